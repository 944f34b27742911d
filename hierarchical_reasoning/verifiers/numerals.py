"""Reads numbers as people and models write them, exactly.

Understood: thousands commas, grouped digits (`1 000 000`), a sign (the Unicode minus too), decimals, fractions (`3/4`,
`\\frac{3}{4}`, `1 1/2`, `2½`), repeating decimals (`0.\\overline{3}`), powers of ten (`1.5e3`, `1.5 \\times 10^3`,
`12 million`), percent, a currency, a unit, and the few words before a number that leave it as it is ("x =", "about").
Not understood, on purpose: anything that would have to be computed (`2 + 3`, `5!`, "half of 5", `5x`), and decimal
commas. A number in a sentence is read in `sentences`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from hierarchical_reasoning.verifiers.units import unit_of

MAX_LENGTH = 1000
"""Longer numerals are not read: no problem needs them, and a hostile text must not cost time."""
MAX_EXPONENT = 1000
MAX_WORDS = 500
"""A text with more characters around its number is not that number with a unit."""
MAX_NESTING = 3
"""Of `\\text{}` and its like."""

EXACT = Fraction(0)
_SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}

_WRAPPER = (r"\\(?:boxed|text|textbf|textrm|mathrm|mathbf|mbox) ?\{([^{}]*)\}", r" \1 ")
_REPLACEMENTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\s+", " "),
        (r"[−–]", "-"),
        *((f" ?{sign}", f" {top}/{bottom}") for sign, top, bottom in ("½12", "¼14", "¾34", "⅓13", "⅔23")),
        (r"(?<![\d.,/^_{])(\d{1,3}) (?=\d{3}(?: \d{3})*(?! ?/|[\d,]| \d))", r"\1"),
        (r"(?<=\d{3}) (?=\d{3}(?: \d{3})*(?! ?/|[\d,]| \d))", ""),
        (r"\{,\}", ","),
        (r"\\[!,]", ""),
        (r"\\[dt]?frac ?\{ ?(-?\d+) ?\} ?\{ ?(\d+) ?\}", r" \1/\2 "),
        (r"\\[dt]?frac ?(\d) ?\{?(\d)(?!\d)\}?", r" \1/\2 "),
        (r"\\[dt]?frac ?\{(\d+)\} ?(\d)", r" \1/\2 "),
        *(_WRAPPER,) * MAX_NESTING,
        (r"^ *\{([^{}]*)\} *$", r"\1"),
        (r" ?(?:\\times|\\cdot|[x×*]) ?10 ?\^ ?(?:\{([-+]?\d+)\}|([-+]?\d+))", r"e\1\2"),
        (r"\b(?:minus|negative) (?=[\d.])", "-"),
        (r"\\%|\bper ?cent\b", "%"),
        (r"\^ ?\{?\\circ\}?|°", " degrees "),
        (r"\\(?:left|right|displaystyle)\b|\\[;:() \[\]]|\\?[$€£¥]|[*`]", " "),
        (r" +", " "),
    )
)
_REPEATING = re.compile(r"(?<![\d.])(\d{0,50})\.(\d{0,50})\\overline ?\{ ?(\d{1,50}) ?\}")
_NUMERAL = (
    r"(?P<sign>[-+]?) ?"
    r"(?:(?P<whole>\d+) (?P<top>\d+)/(?P<bottom>\d+)"
    r"|(?P<decimal>\d(?:,?\d)*(?:\.\d*)?|\.\d+)(?:[eE](?P<exponent>[-+]?\d+))?(?: ?/ ?(?P<divisor>\d+))?)"
    r"(?P<percent> ?%)?(?P<scale>(?:[ -](?:hundred|thousand|million|billion|trillion|dozen)s?\b)*)"
)
LABEL = (
    r"(?i:(?:(?:so|thus|hence|therefore|then|we|get|have|the|a|final|answer|result|value|total|number|of|is|are|it"
    r"|equals?|equal to|be|about|around|approximately|approx|roughly|exactly|just|USD|EUR|GBP|US|Rs)\b[ .,:'’\"]*)*)"
    r"[ '’\"]*"
)
"""What may stand before a number and leave it as it is."""
_UNIT = (
    r"(?P<unit>(?: ?/ ?| ?-| )?(?!pi\b|sqrt\b|e\b|i\b)(?:[A-Za-z]{2,}|[aghlmsAJLNVW]\b)"
    r"(?:[A-Za-z .,;:'’\"/²³-]|\^ ?\{?[23]\}?)*!?)?"
)
_ALONE = re.compile(rf"{LABEL}{_NUMERAL}{_UNIT}[ .,;]*")
NUMERAL = re.compile(rf"(?<![\w.^]){_NUMERAL}")
_DENIAL = re.compile(
    r"\b(?:not|no|never|neither|nor|isn['’]t|wrong|incorrect|false|or|wait|actually|rather|instead|sorry|oops)\b"
    r"|\b(?:factorial|plus|minus|divided|multiplied|power|remainder|mod|modulo|choose|and an? (?:half|third|quarter))\b"
    r"|\b(?:half|twice|double|triple|thrice|root|sqrt|than|between|out of|at (?:least|most)|up to)\b"
    r"|\btimes (?!as\b|a\b|per\b|each\b|more\b)",
    re.IGNORECASE,
)
"""Words that make another number of one, or none."""
_MADE_ANOTHER = re.compile(
    r"[ -]*\b(?:squared|cubed|tenths?|hundredths?|thousandths?|halves|thirds|fourths|fifths|sixths)\b",
    re.IGNORECASE,
)
"""Directly after a number; "5 meters squared" is a unit."""
_OF = re.compile(
    r"\b(?:square|cube|power|multiple|factor|divisor|log|logarithm|reciprocal|inverse|opposite|third|quarter) of\b"
    r"|\b(?:over|under|above|below|times|squared|cubed|nearly|almost) *[$-]*$",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[,;]| (?:and|or) ")
"""Between two equations, of which neither is then the answer: `a = 5, b = 6`."""
_UNKNOWN = re.compile(r"\d ?[a-z]\b|[a-z] ?\^|[!<>:~≠] ?$|\\(?:ne|not|l|g|approx)")
"""Left of `=` it makes an equation to be solved (`2x = 10`), or no equation (`!=`)."""
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")


@dataclass(frozen=True)
class Number:
    """A number as written."""

    value: Fraction
    """What stands before the percent sign, if there is one."""
    is_percent: bool = False
    unit: str = ""
    """Of measure, where it names one that `units` knows."""

    def __str__(self) -> str:
        return f"{self.value}%" if self.is_percent else f"{self.value} {self.unit}".rstrip()

    def readings(self) -> tuple[Fraction, ...]:
        """The values it may stand for: of a percentage, its hundredth and the figure itself."""
        return (self.value / 100, self.value) if self.is_percent else (self.value,)


def read_number(text: str) -> Number | None:
    """The number that `text` is, a unit and a few harmless words aside; of an equation, its right-hand side.

    None when there is no number, when there are several, when it is a part of a larger expression, or when a word makes
    another number of it ("half of 5", "5 squared").
    """
    right = right_hand_side(text)
    match = _ALONE.fullmatch(right) if right is not None else None
    if match is None or denied(match["unit"] or ""):
        return None
    return number_of(match, text)


def right_hand_side(text: str) -> str | None:
    """What stands right of the last `=`, in one spelling; all, where there is none.

    None when the left-hand side has to be solved, or is one of several.
    """
    if len(text) > MAX_LENGTH + MAX_WORDS:
        return None
    left, _, right = _simplified(text).rpartition("=")
    if _SEPARATOR.search(left.partition("=")[2]) or _UNKNOWN.search(left) or _DENIAL.search(left):
        return None
    return right.strip()


def denied(words_after: str) -> str | None:
    """The word after a number that makes another number of it, or none."""
    match = _MADE_ANOTHER.match(words_after) or _DENIAL.search(words_after)
    return match[0].strip() if match else None


def denied_before(words: str) -> str | None:
    """The word before a number that makes another number of it, or none."""
    match = _DENIAL.search(words) or _OF.search(words)
    return match[0].strip() if match else None


def why_unread(text: str) -> str:
    """Why a text is not one number: fixed words, then after a colon what is in the way."""
    plain = _simplified(text[: MAX_LENGTH + MAX_WORDS])
    numbers = [match[0].strip() for match in NUMERAL.finditer(plain)]
    if len(numbers) > 1:
        return f"more than one number: {', '.join(numbers[:10])}{', ...' if len(numbers) > 10 else ''}"
    if numbers and (word := denied_before(plain) or denied(plain)):
        return f"a word that is no unit stands with the number: {word}"
    return f"the answer is not one number: {text!r}"


def same_number(answer: Number, truth: Number, tolerance: Fraction = EXACT) -> bool:
    """Whether |answer - truth| <= tolerance |truth|; a percent sign on one side alone is taken either way.

    Where both have a unit, it has to be the same.
    """
    if answer.unit and truth.unit and answer.unit != truth.unit:
        return False
    if answer.is_percent == truth.is_percent:
        pairs = [(answer.value, truth.value)]
    else:
        pairs = [(a, t) for a in answer.readings() for t in truth.readings()]
    return any(abs(a - t) <= tolerance * abs(t) for a, t in pairs)


def repeating_decimals_as_fractions(text: str) -> str:
    """With `0.1\\overline{6}` written as `\\frac{15}{90}`."""
    return _REPEATING.sub(_as_fraction, text)


def _as_fraction(match: re.Match[str]) -> str:
    whole, decimals, period = match.groups()
    top = int(whole + decimals + period) - int(whole + decimals or "0")
    return rf"\frac{{{top}}}{{{(10 ** len(period) - 1) * 10 ** len(decimals)}}}"


def _simplified(text: str) -> str:
    text = repeating_decimals_as_fractions(text)
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def number_of(match: re.Match[str], text: str) -> Number | None:
    """The number of a match of `NUMERAL`, with the unit that is in `text`; None where it is too large or is none."""
    part = match.groupdict()
    if sum(len(digits) for digits in part.values() if digits) > MAX_LENGTH:
        return None
    if part["whole"]:
        value = _fraction(Fraction(part["top"]), part["bottom"])
        value = value if value is None else value + int(part["whole"])
    else:
        decimal = _decimal(part["decimal"], part["exponent"] or "0")
        value = decimal if decimal is None else _fraction(decimal, part["divisor"] or "1")
    if value is None:
        return None
    for scale in re.findall("[a-z]+", part["scale"]):
        value *= _SCALES[scale.removesuffix("s")]
    return Number(-value if part["sign"] == "-" else value, part["percent"] is not None, unit_of(text))


def _decimal(numeral: str, exponent: str) -> Fraction | None:
    whole, _, decimals = numeral.partition(".")
    if "," in whole and not _THOUSANDS.fullmatch(whole):
        return None
    if abs(int(exponent)) > MAX_EXPONENT:
        return None
    return Fraction(f"{whole.replace(',', '') or '0'}.{decimals or '0'}") * Fraction(10) ** int(exponent)


def _fraction(top: Fraction, bottom: str) -> Fraction | None:
    return top / int(bottom) if int(bottom) else None
