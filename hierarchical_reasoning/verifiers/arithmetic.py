"""Arithmetic as people write it, read by a parser of its own and computed exactly; nothing is ever evaluated as code.

Understood: whole numbers, `+ - * /`, parentheses of any kind, a sign before a factor, and the other spellings of these
(`×`, `x`, `·`, `÷`, `−`, `\\times`, `\\cdot`, `\\div`, `\\frac{a}{b}`, `\\left(`). Everything else is an error that
names what stands there.

    sum = product {("+" | "-") product}      product = signed {("*" | "/") signed}
    signed = {"+" | "-"} (number | "(" sum ")" | "frac" group group)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_LENGTH = 1000
MAX_NESTING = 50
MAX_DIGITS = 15
"""Of one number."""

_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|displaystyle|[,;:! ()\[\]])|\\?\$|`|\*\*(?=\s*$)|^\s*\*\*", " "),
        (r"\\(?:times|cdot|ast)(?![a-zA-Z])|[×·⋅∗]|(?<=[\d\s)])[xX](?=[\d\s(])", "*"),
        (r"\\div(?![a-zA-Z])|[÷∕]", "/"),
        (r"[−–]", "-"),
        (r"[{\[]", "("),
        (r"[}\]]", ")"),
        (r"\\[dt]?frac(?![a-zA-Z])", "f"),
    )
)
_TOKEN = re.compile(r"\s*(?:(\d+)|([-+*/()f]))")


class ExpressionError(ValueError):
    """The text is no arithmetic expression; the message has fixed words up to a colon."""


@dataclass(frozen=True)
class Expression:
    """What was read."""

    numbers: tuple[int, ...]
    """As they stand, from left to right."""
    value: Fraction


def read_expression(text: str) -> Expression:
    """Read and compute. Raises ExpressionError, for a division by zero too."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is too long: {len(text):,} characters, not {MAX_LENGTH:,}")
    tokens = _tokens(text)
    numbers = tuple(int(token) for token in tokens if token.isdecimal())
    reader = _Reader(tokens)
    value = reader.sum()
    if reader.next:
        raise ExpressionError(f"not an expression: {reader.next!r} stands where an operator is expected")
    return Expression(numbers, value)


def _tokens(text: str) -> list[str]:
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    text, tokens, at = text.strip(), [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"not an expression: it has {text[at:].split()[0][:20]!r} in it")
        if match[1] and len(match[1]) > MAX_DIGITS:
            raise ExpressionError(f"a number is too long: {len(match[1])} digits, not {MAX_DIGITS}")
        tokens.append(match[1] or match[2])
        at = match.end()
    return tokens


class _Reader:
    """Takes tokens from the left; one method for each rule of the grammar."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._nesting = 0

    def sum(self) -> Fraction:
        value = self._product()
        while self.next in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while self.next in ("*", "/"):
            value = value * self._signed() if self._take() == "*" else _divided(value, self._signed())
        return value

    def _signed(self) -> Fraction:
        sign = 1
        while self.next in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        if self.next == "f":
            self._take()
            top, bottom = self._group(), self._group()
            return sign * _divided(top, bottom)
        return sign * (Fraction(self._take()) if self.next.isdecimal() else self._group())

    def _group(self) -> Fraction:
        if self.next != "(":
            found = repr(self.next) if self.next else "the end"
            raise ExpressionError(f"not an expression: {found} stands where a number is expected")
        self._take()
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise ExpressionError(f"parentheses are nested too deeply: more than {MAX_NESTING}")
        value = self.sum()
        if self.next != ")":
            raise ExpressionError("not an expression: a parenthesis is not closed")
        self._take()
        self._nesting -= 1
        return value

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]


def _divided(top: Fraction, bottom: Fraction) -> Fraction:
    if not bottom:
        raise ExpressionError("a division by zero: the divisor of one part is 0")
    return top / bottom
