"""Which option of a multiple-choice problem an answer names, and why it names none."""

from __future__ import annotations

import re

from hierarchical_reasoning.verifiers.options import Options, with_text
from hierarchical_reasoning.verifiers.wording import after, normalized, plain, takes_back

NO_OPTION = "the answer is none of the options"
TAKEN_BACK = "the option named is taken back"
_FURTHER = re.compile(r"(?:(?:and|or|/|&)\s*\(?([A-Z])\b|\(?([A-Z])\)?(?:\W*$|\s*,|\s+(?:and|or)\b))")
_NAMED = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:option|choice|answer|letter)\s*:?\s*)?"
    r"(?P<open>\()?(?P<label>[A-Za-z]|\d+)(?(open)\)|(?![\w'’]|\.\w))(?P<stop>[\s.):,;–—-]*)(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_INLINE = re.compile(r"\\\(\s*([A-Za-z])\s*\\\)")
_LABEL = re.compile(r"(?<![\w'’])([A-Z]|\d+)(?![\w'’])")
_ARTICLE = re.compile(r"\s+(?!(?:and|or|as|is|plus|versus|vs)\b)[a-z]")
_REASON = re.compile(r"[\s.):,;–—-]*(?:because|since)\b", re.IGNORECASE)
_AFFIRMED = re.compile(
    r"\s*is\s+(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|option|choice|one))?\b", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[\s)\"']*[.!?](?:\s|$)")


def named(text: str, options: Options, *, whole: bool) -> tuple[str | None, str]:
    """The label of the option that a text names, or None with the reason.

    After a label only that option's own text, "because ...", "since ..." and "is correct" may follow. `whole` says that
    the text is the answer and nothing else; otherwise further sentences may follow too, if they do not take it back.
    """
    same = with_text(text, options)
    if same is not None:
        return same, ""
    written = _INLINE.sub(r"\1", plain(text)).strip(" *`$\"'")
    match = _NAMED.match(written)
    label = None if match is None else _label(match, options)
    if match is None or label is None:
        return _named_by_text(written, options, whole=whole)
    stop, rest = match["stop"], match["rest"]
    begun = _begun_with(rest.lstrip("("), options)
    further = _FURTHER.match(rest)
    if further and (further[1] or further[2]) in options.keys() - {label}:
        return None, "more than one option is named"
    if begun is not None and normalized(options[begun[0]]) != normalized(options[label]):
        return None, "the letter and the text after it are of different options"
    why = _flaw_after(f"{stop}{rest}" if begun is None else begun[1], options, label, whole=whole)
    return (None, why) if why else (label, "")


def _label(match: re.Match[str], options: Options) -> str | None:
    """The label read, if it is one: but for alone, a small "a" is an article, and so are "A" and "I" before a word."""
    label, stop, rest = match["label"], match["stop"], match["rest"]
    told = match["open"] or not rest or stop.strip() or with_text(rest, options)
    label = label.upper() if told else label
    if label not in options or (label in ("A", "I") and not told and _ARTICLE.match(f"{stop}{rest}")):
        return None
    return label


def _named_by_text(written: str, options: Options, *, whole: bool) -> tuple[str | None, str]:
    """The option whose text a text begins with: "Paris, since ...", "Paris. It is ..."."""
    begun = _begun_with(written, options)
    if begun is None or with_text(options[begun[0]], options) is None:
        return None, NO_OPTION
    label, rest = begun
    if takes_back(rest):
        return None, TAKEN_BACK
    if _REASON.match(rest) or (not whole and _SENTENCE_END.match(rest)):
        return label, ""
    return None, NO_OPTION


def _begun_with(written: str, options: Options) -> tuple[str, str] | None:
    """The option with the longest text that `written` begins with, and what follows it."""
    begun = [
        (len(option), label, rest)
        for label, option in options.items()
        if (rest := after(written, normalized(option))) is not None and not re.match(r"\w", rest)
    ]
    return max(begun)[1:] if begun else None


def _flaw_after(following: str, options: Options, label: str, *, whole: bool) -> str:
    """Why what follows a label does not leave it as it is; empty where it does."""
    following = _AFFIRMED.sub("", following, count=1) if _AFFIRMED.match(following) else following
    if takes_back(following):
        return TAKEN_BACK
    if re.fullmatch(r"\W*", following) or _REASON.match(following):
        return ""
    if not whole and _SENTENCE_END.match(following):
        return ""
    if {found[1] for found in _LABEL.finditer(following)} & (options.keys() - {label}):
        return "more than one option is named"
    return "words that are not the option's text stand after the letter"
