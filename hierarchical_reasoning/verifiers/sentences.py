"""The number that a sentence gives for an answer, and the one that is written as a word.

A sentence may say more than its number, as long as nothing in it makes another answer possible: it has one number, or
begins with it and goes on in a way that only explains ("20 apples in 3 boxes", "12, not 13", "12 (see step 3)").
"""

from __future__ import annotations

import re
from fractions import Fraction

from hierarchical_reasoning.verifiers.numerals import (
    LABEL,
    NUMERAL,
    Number,
    denied,
    denied_before,
    number_of,
    read_number,
    right_hand_side,
)
from hierarchical_reasoning.verifiers.units import in_two_units, unit_of

_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_SPELLED = re.compile(rf"[\s*'\"]*(?:({'|'.join(_WORDS)}))[\s*'\".]*(?:\((\d+)\)[\s.]*)?", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\d|[.:]\d|[_!²³⁰¹⁴-⁹]|(?:st|nd|rd|th)\b|(?![aghlmsAJLNVW]\b)[A-Za-z](?![A-Za-z])"
    r"| ?(?:\\[A-Za-z]|\^|π|pi\b|[-+*/(] ?[\d\\(])| ?(?:,|and|or|to) ?[-+]?\d|[ -]*(?:sqrt|[e-ik-z])\b(?! ?[a-z])"
)
_OPENS = re.compile(LABEL)
_ASIDE = re.compile(r"\([^()\d]*[A-Za-z][^()]*\)")
_CONTRAST = re.compile(
    r",? ?\b(?:and not|but not|not|rather than|instead of) [-$]*\d[\d.,/]*(?: ?[A-Za-z]{2,})?(?=[ .,]*$)"
)
_EXPLAINS = re.compile(
    r",? (?:because|since|as|when|where|after|if|from|of (?:the|these|those|all|his|her|their|its|our))\b"
    r"|(?: [A-Za-z]{3,}){1,3} (?:in|for|per|with|from|after|because|since|if|when|where|on|at|every|each)\b"
    r"|(?: [A-Za-z]{3,}){1,2} of (?:the|these|those|all|his|her|their|its|our)\b"
)
_TAKEN_BACK = re.compile(
    r"[\s*]*(?:no,|wait\b|actually\b|sorry\b|correction\b|scratch that|oops|hmm)", re.IGNORECASE
)


def number_in(sentence: str, rest: str = "") -> Number | None:
    """The number that a sentence gives, right of its last `=`; `rest` is what the text says after it.

    None when it gives none, several, or one that something makes another of.
    """
    if rest.startswith("!") or _TAKEN_BACK.match(rest.lstrip(".!?")):
        return None
    alone = read_number(sentence)
    if alone is not None:
        return alone
    told = right_hand_side(_CONTRAST.sub("", sentence))
    match = NUMERAL.search(told) if told is not None else None
    if told is None or match is None or _GOES_ON.match(told, match.end()):
        return None
    before, after = told[: match.start()], _ASIDE.sub("", told[match.end() :])
    if denied_before(before) or denied(after) or in_two_units(told):
        return None
    if NUMERAL.search(after) and not (_OPENS.fullmatch(before) and _EXPLAINS.match(after)):
        return None
    return number_of(match, _unit_part(match[0], after))


def spelled_number(text: str) -> Number | None:
    """The number of a text that is no more than its word, "zero" to "twenty", or the word and the figure."""
    match = _SPELLED.fullmatch(text)
    if match is None:
        return None
    value = _WORDS.index(match[1].lower())
    return Number(Fraction(value)) if match[2] is None or match[2] == str(value) else None


def _unit_part(numeral: str, after: str) -> str:
    """A number with the word after it; units further on belong to other things."""
    following = " ".join(after.split()[:2])
    return f"{numeral} {following}" if unit_of(f"{numeral} {following}") else numeral
