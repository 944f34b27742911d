"""Answers in words: what two spellings of one answer have in common, and what of an open line is the answer."""

from __future__ import annotations

import re
import unicodedata

from hierarchical_reasoning.verifiers.extract import Candidate, Marker

MAX_NESTING = 3
"""Of `\\text{}` and its like."""
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|boxed) ?\{([^{}]*)\}")
_SPACING = re.compile(r"\\[,;:! ]|~|\s+")
_ALIKE = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "‐": "-", "‑": "-", "−": "-"})
_AROUND = " \"'`*_$"
FUNCTION = re.compile(r"\b(?:(?:arc)?(?:sin|cos|tan|cot|sec|csc)|sqrt|log|ln|exp|infinity|infty)\b")
"""Names in mathematics that are written as words are."""
_PHRASED = re.compile(r"[\sA-Za-z'’.,()!?-]+")
_WORD = re.compile(r"[A-Za-z]{4}|[A-Za-z]{2}['’ -]+[A-Za-z]|[A-Za-z] +[A-Za-z]{2}")
_OPERATOR = re.compile(r"[\\=^+*/<>|{}\[\]_≤≥√π∞∪]")
_DATE_OR_TIME = re.compile(
    r"\d{4}-\d\d?-\d\d?|\d\d?[/.]\d\d?[/.]\d{2,4}|\d\d?:\d\d ?[ap]\.?m\.?", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")


def unwrapped(text: str) -> str:
    """Without `\\text{}` and its like around parts of it."""
    for _ in range(MAX_NESTING):
        text = _WRAPPER.sub(r"\1", text)
    return text


def normalized(text: str) -> str:
    """What is left when Unicode composition, case, spaces, quotes, markup around the text and an end stop do not
    count."""
    text = unicodedata.normalize("NFC", unwrapped(text)).translate(_ALIKE)
    return _SPACING.sub(" ", text.replace("**", "")).strip(_AROUND).rstrip(".").strip(_AROUND).casefold()


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
    """Whether the answer is `truth`, or, on an open line, begins with it as a sentence of its own ("St. Petersburg.
    It is ...")."""
    written, wanted = normalized(candidate.text), normalized(truth)
    if written == wanted:
        return True
    goes_on = candidate.marker not in (Marker.BOXED, Marker.ANSWER_TAG) and written.startswith(wanted)
    return goes_on and _SENTENCE_END.match(written, len(wanted)) is not None
