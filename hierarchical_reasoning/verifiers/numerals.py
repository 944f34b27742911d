"""Reads numbers as people and models write them, exactly.

Understood: thousands commas, a sign (the Unicode minus too), decimals, fractions (`3/4`, `\\frac{3}{4}`, `1
1/2`), repeating decimals (`0.\\overline{3}`), powers of ten (`1.5e3`, `1.5 \\times 10^3`), percent, and words, a
currency or a unit around them. Not understood, on purpose: anything that would have to be computed (`2 + 3`,
`\\sqrt{2}`, `5x`), number words, and decimal commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_LENGTH = 1000
"""Longer numerals are not read: no problem needs them, and a hostile text must not cost time."""
MAX_EXPONENT = 1000
MAX_WORDS = 500
"""A text with more characters around its number is not that number with a unit."""
MAX_NESTING = 3
"""Of `\\text{}` and its like."""

EXACT = Fraction(0)

_WRAPPER = (r"\\(?:boxed|text|textbf|textrm|mathrm|mathbf|mbox) ?\{([^{}]*)\}", r" \1 ")
_REPLACEMENTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\s+", " "),
        (r"[−–]", "-"),
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
    r"(?P<percent> ?%)?"
)
_WORDS_BEFORE = r"(?:[A-Za-z ,.:;'’\"]*[ :,\"])?"
_UNIT = (
    r"(?:(?: ?/ ?| ?-| )?(?!pi\b|sqrt\b|e\b|i\b)(?:[A-Za-z]{2,}|[aghlmsAJLNVW]\b)"
    r"(?:[A-Za-z .,;:'’\"/²³-]|\^ ?\{?[23]\}?)*)?"
)
_ALONE = re.compile(rf"{_WORDS_BEFORE}{_NUMERAL}{_UNIT}[ .,;!]*")
_FIRST = re.compile(rf"(?<![\w.^]){_NUMERAL}")
_GOES_ON = re.compile(
    r"\d|[.:]\d|_|(?![aghlmsAJLNVW]\b)[A-Za-z](?![A-Za-z])"
    r"| ?(?:\\[A-Za-z]|\^|π|pi\b|[-+*/(] ?[\d\\(])| ?(?:,|and|or|to) ?[-+]?\d"
)
_SEPARATOR = re.compile(r"[,;]| (?:and|or) ")
"""Between two equations, of which neither is then the answer: `a = 5, b = 6`."""
_UNKNOWN = re.compile(r"\d ?[a-z]\b|[a-z] ?\^")
"""Left of `=` it makes an equation to be solved: `2x = 10`."""
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")


@dataclass(frozen=True)
class Number:
    """A number as written."""

    value: Fraction
    """What stands before the percent sign, if there is one."""
    is_percent: bool = False

    def __str__(self) -> str:
        return f"{self.value}%" if self.is_percent else str(self.value)

    def readings(self) -> tuple[Fraction, ...]:
        """The values it may stand for: of a percentage, its hundredth and the figure itself."""
        return (self.value / 100, self.value) if self.is_percent else (self.value,)


def read_number(text: str) -> Number | None:
    """The number that `text` is, words and units around it aside; of an equation, its right-hand side.

    None when there is no number, when there are several, or when it is a part of a larger expression.
    """
    if len(text) > MAX_LENGTH + MAX_WORDS:
        return None
    left, _, right = _simplified(text).rpartition("=")
    if _SEPARATOR.search(left.partition("=")[2]) or _UNKNOWN.search(left):
        return None
    match = _ALONE.fullmatch(right.strip())
    return _number(match) if match else None


def first_number(text: str) -> Number | None:
    """The first number of a sentence (right of its last `=`), which may go on: "5 of the 10 apples".

    None when there is none, or when it belongs to a list or to a larger expression: "5 or 6", "5x",
    "2\\\\sqrt{3}".
    """
    sentence = _simplified(text).rpartition("=")[2]
    match = _FIRST.search(sentence)
    if match is None or _GOES_ON.match(sentence, match.end()):
        return None
    return _number(match)


def same_number(answer: Number, truth: Number, tolerance: Fraction = EXACT) -> bool:
    """Whether |answer - truth| <= tolerance |truth|; a percent sign on one side alone is taken either way."""
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


def _number(match: re.Match[str]) -> Number | None:
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
    return Number(-value if part["sign"] == "-" else value, part["percent"] is not None)


def _decimal(numeral: str, exponent: str) -> Fraction | None:
    whole, _, decimals = numeral.partition(".")
    if "," in whole and not _THOUSANDS.fullmatch(whole):
        return None
    if abs(int(exponent)) > MAX_EXPONENT:
        return None
    return Fraction(f"{whole.replace(',', '') or '0'}.{decimals or '0'}") * Fraction(10) ** int(exponent)


def _fraction(top: Fraction, bottom: str) -> Fraction | None:
    return top / int(bottom) if int(bottom) else None
