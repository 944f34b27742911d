"""What is to be made of what in a countdown problem: from its fields, its prompt and its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

NUMBER_FIELDS = ("numbers", "nums")
TARGET_FIELD = "target"

LIST = r"\d+(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s+)\d+)+"
_NUMBERS = re.compile(
    rf"(?:\b(?:numbers?|digits|use|using)\b:?\s*[\[({{]?\s*|^\s*|:\s*)({LIST})", re.IGNORECASE
)
_TARGET = re.compile(
    r"(?:\b(?:equals?(?:\s+to)?|makes?|reach(?:es)?|gets?|obtain|target(?:\s+(?:number|value))?(?:\s+(?:is|of))?|"
    r"results?\s+in|evaluates?\s+to)\b:?\s*|=\s*)(?:exactly\s+)?(-?\d+)\b(?!\s*,?\s*\d)",
    re.IGNORECASE,
)
_WHOLE_NUMBER = re.compile(r"[0-9]+(?:\.0+)?")


@dataclass(frozen=True)
class Countdown:
    """What is to be made of what."""

    numbers: tuple[int, ...]
    target: Fraction


def countdown_of(text: str, fields: Mapping[str, Any], answers: Sequence[str]) -> Countdown:
    """The task of a problem with this prompt, these fields and these answers; raises ValueError, with the reason."""
    given = next((fields[name] for name in NUMBER_FIELDS if fields.get(name) is not None), None)
    numbers = _numbers_in(text) if given is None else _whole_numbers(given)
    target = fields.get(TARGET_FIELD)
    if target is None:
        found = {match[1] for match in _TARGET.finditer(text)} or {
            answer for answer in answers if answer.isdecimal()
        }
        if len(found) != 1:
            raise ValueError(
                f"the target is not clear from the prompt, it may be {sorted(found) or 'anything'}"
            )
        target = found.pop()
    try:
        return Countdown(numbers, Fraction(str(target)))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"`{TARGET_FIELD}` must be a number, not {target!r}") from None


def has_fields(fields: Mapping[str, Any]) -> bool:
    """Whether they tell both the numbers and the target."""
    return fields.get(TARGET_FIELD) is not None and any(
        fields.get(name) is not None for name in NUMBER_FIELDS
    )


def _whole_numbers(given: Any) -> tuple[int, ...]:
    values = re.split(r"[\s,]+", given.strip(" []()")) if isinstance(given, str) else given
    if (
        not isinstance(values, list | tuple)
        or len(values) < 2
        or not all(_WHOLE_NUMBER.fullmatch(str(value)) for value in values)
    ):
        raise ValueError(f"`numbers` must be a list of whole numbers, not {given!r}")
    return tuple(int(str(value).partition(".")[0]) for value in values)


def _numbers_in(text: str) -> tuple[int, ...]:
    lists = {tuple(map(int, re.findall(r"\d+", match[1]))) for match in _NUMBERS.finditer(text)}
    if len(lists) != 1:
        found = "; ".join(map(listed, sorted(lists))) or "none"
        raise ValueError(f"the prompt should have one list of numbers, and has: {found}")
    return lists.pop()


def listed(numbers: Sequence[int]) -> str:
    """As messages name them."""
    return ", ".join(map(str, numbers))
