"""Answers in words: what two spellings of one answer have in common, and what of an open line is the answer."""

from __future__ import annotations

import re
import unicodedata

from hierarchical_reasoning.verifiers.extract import Candidate, Marker

MAX_NESTING = 3
"""Of `\\text{}` and its like."""
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed) ?\{([^{}]*)\}")
_SPACING = re.compile(r"\\[,;:! ]|~|\s+")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})(?![\s*])([^*]+)(?<!\s)\1(?![\w*])")
_PAIRED = re.compile(r"([\"'`$*]{1,3})((?:(?!\1).)+)\1", re.DOTALL)
_MARKS = " \"'`*_$"
_ESCAPED = re.compile(r"\\([$%&#_])")
_ALIKE = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "‐": "-", "‑": "-", "−": "-"})
FUNCTION = re.compile(r"\b(?:(?:arc)?(?:sin|cos|tan|cot|sec|csc)|sqrt|log|ln|exp|infinity|infty)\b")
"""Names in mathematics that are written as words are."""
_PHRASED = re.compile(r"[\sA-Za-z'’.,()!?-]+")
_WORD = re.compile(r"[A-Za-z]{4}|[A-Za-z]{2}['’ -]+[A-Za-z]|[A-Za-z] +[A-Za-z]{2}")
_OPERATOR = re.compile(r"[\\=^+*/<>|{}\[\]_≤≥√π∞∪]")
_DATE_OR_TIME = re.compile(
    r"\d{4}-\d\d?-\d\d?|\d\d?[/.]\d\d?[/.]\d{2,4}|\d\d?:\d\d ?[ap]\.?m\.?", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_NEXT_SENTENCE = re.compile(r"[\"'*`)]*[.!?]+[\"'*`)]*\s+[\"'*`(]*([A-Z][\w'’]*)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s.-])(?:[^\W\d_]|st|dr|mr|mrs|ms|prof|jr|sr|mt|ft|gen|col|sgt|capt|lt|rev|hon|pres|gov|sen|rep|inc|ltd|co|corp|"
    r"dept|univ|fig|vol|ch|sec|pp|ed|vs|etc|approx)$"
)
_OPENERS = "Because|He|Hence|Here|If|In|Its?|Since|She|That|The|There|Therefore|These|They|This|Thus|We"
"""Words that begin a sentence and hardly a name."""
_APPOSITION = re.compile(r"[\"'*`]*\s?, (?:which|who|because|since|(the))\s+[a-z]")
_CONTRADICTED = re.compile(
    r"\b(?:not|no|nor|never|neither|wrong|incorrect|false|but|however|instead|rather|and|or|either|maybe|perhaps|possibly)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"(?:^|[-.!?;:,(…—–])[\s*_]*(?:(?:oh|but|hmm|uh),?\s+)?"
    r"(?:(?:no|wrong|incorrect|false)(?=\s*(?:[^\w\s]|$|wait\b))|(?:nope|wait|hmm|actually|sorry|correction|"
    r"scratch that|on second thoughts?|i mean)\b)|[.!?…]\s*(?:or|but|however|maybe|perhaps|possibly|not|alternatively|"
    r"(?:that|this|it)\s+is\s+(?:not|wrong|incorrect|false))\b|\bbut\s+(?:wait|no|hmm)\b|\bno,\s|^[\"'*)]*!?\?!?\s+\S",
    re.IGNORECASE,
)


def unwrapped(text: str) -> str:
    """Without `\\text{}` and its like around parts of it."""
    for _ in range(MAX_NESTING):
        text = _WRAPPER.sub(r"\1", text)
    return text


def normalized(text: str) -> str:
    """What is left when Unicode composition, case, spaces, paired quotes and markup around the text and an end stop do
    not count."""
    return plain(text).casefold()


def plain(text: str) -> str:
    """As `normalized`, in the text's own case."""
    text = unicodedata.normalize("NFC", unwrapped(text)).translate(_ALIKE)
    text = _SPACING.sub(" ", _EMPHASIS.sub(r"\2", text)).strip()
    for _ in range(MAX_NESTING):
        text = text.rstrip(".").rstrip()
        paired = _PAIRED.fullmatch(text)
        text = paired[2].strip() if paired else text
    return _ESCAPED.sub(r"\1", text) if text.strip(_MARKS) else ""


def is_words(text: str) -> bool:
    """Whether an answer is words (a date, a time) rather than mathematics: "even", "\\text{(B)}", "Apollo 11"."""
    plain = text.strip().strip("$").strip()
    wrapped, plain = plain.startswith("\\text"), unwrapped(plain)
    if _DATE_OR_TIME.fullmatch(plain) or (wrapped and _PHRASED.fullmatch(plain)):
        return True
    return not _OPERATOR.search(plain) and bool(_WORD.search(FUNCTION.sub("", plain)))


def first_sentence(candidate: Candidate) -> str:
    """What is graded: all that is boxed or tagged, but of an open line its first sentence."""
    if candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG):
        return candidate.text
    return _SENTENCE_END.split(candidate.text, maxsplit=1)[0].strip()


def same_words(candidate: Candidate, truth: str) -> bool:
    """Whether the answer is `truth`, or, on an open line, begins with it and then says more of it.

    More is a sentence of its own ("St. Petersburg. It is ..."), which no abbreviation begins, or a clause that tells
    what the answer is or why ("Paris, the capital of France", ", which ...", ", because ..."). "Paris, France" may be
    another place, "the king, the queen" is two answers, and a clause that denies, adds or offers others counts as none.
    """
    written, wanted = plain(candidate.text), normalized(truth)
    if written.casefold() == wanted:
        return True
    rest = after(written, wanted)
    if candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG) or rest is None or takes_back(rest):
        return False
    if opens_sentence(rest, wanted):
        return True
    more = _APPOSITION.match(rest)
    if more is None or (more[1] and re.match(r"(?:the|an?)\s", wanted)):
        return False
    return _CONTRADICTED.search(rest) is None


def after(written: str, wanted: str) -> str | None:
    """What follows `wanted`, which is normalized, at the beginning of `written`; None if that begins otherwise."""
    if not wanted or not written.casefold().startswith(wanted):
        return None
    n_matched = 0
    for at, character in enumerate(written):
        if n_matched >= len(wanted):
            return written[at:]
        n_matched += len(character.casefold())
    return ""


def opens_sentence(rest: str, before: str) -> bool:
    """Whether what follows the answer `before` is a sentence of its own: "No. It is ...", but not "No. 5"."""
    found = _NEXT_SENTENCE.match(rest)
    if found is None:
        return False
    return re.fullmatch(_OPENERS, found[1]) is not None or _ABBREVIATION.search(before.casefold()) is None


def takes_back(rest: str) -> bool:
    """Whether what follows an answer takes it back: "... no, 5", "? Wrong.", ". Wait, ..."."""
    return _TAKEN_BACK.search(rest) is not None
