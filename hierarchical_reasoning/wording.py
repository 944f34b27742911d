"""How messages name numbers, values and fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
_SHOWN = 5


def kind_of(value: Any) -> str:
    """What a value is, as in "a list"."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def quoted(names: Iterable[str]) -> str:
    """Names of fields."""
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def first_of(items: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def counted(n: int, noun: str) -> str:
    """ "1 problem", "2 problems"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
