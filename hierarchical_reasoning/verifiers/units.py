"""Units of measure: which one stands with a number, so that 5 cm is not taken for 5 kg.

Only units that everyone writes alike are known; what is counted ("clips", "sq. units") is no unit here and never
differs from anything.
"""

from __future__ import annotations

import re

_NAMES = {
    "mm": "mm|millimet(?:er|re)s?",
    "cm": "cm|centimet(?:er|re)s?",
    "m": "m|met(?:er|re)s?",
    "km": "km|kilomet(?:er|re)s?",
    "in": "inch|inches",
    "ft": "ft|foot|feet",
    "yd": "yds?|yards?",
    "mi": "mi|miles?",
    "mg": "mg|milligrams?",
    "g": "g|grams?",
    "kg": "kg|kilograms?|kilos?",
    "lb": "lbs?|pounds?",
    "oz": "oz|ounces?",
    "t": "tons?|tonnes?",
    "ml": "ml|mL|millilit(?:er|re)s?",
    "l": "[lL]|lit(?:er|re)s?",
    "s": "s|secs?|seconds?",
    "min": "mins?|minutes?",
    "h": "h|hrs?|hours?",
    "day": "days?",
    "week": "weeks?",
    "month": "months?",
    "year": "yrs?|years?",
    "degree": r"°|\^ ?\{? ?\\circ ?\}?|degrees?",
    "radian": "rad|radians?",
    "dollar": r"USD|dollars?|\\\$(?= ?[\d.])",
    "cent": "¢|cents?",
    "euro": "€|EUR|euros?",
    "pound sterling": "£|GBP",
}
_UNIT = re.compile(
    r"(?<![A-Za-z\\])(?:(?P<before>sq(?:uare|\.)?|cu(?:bic|\.)?) ?)?(?:"
    + "|".join(f"(?P<u{place}>{names})" for place, names in enumerate(_NAMES.values()))
    + r")(?![A-Za-z])(?: ?\^ ?\{?(?P<power>[23])|(?P<raised>[²³])| (?P<after>squared|cubed))?"
)
_POWERS = {"s": 2, "c": 3, "2": 2, "3": 3, "²": 2, "³": 3}
_LETTER_AFTER_NUMBER = re.compile(r"[\d}] ?\Z|/ ?\Z|per \Z")
_WRAPPER = re.compile(r"\\(?:text|textbf|textrm|mathrm|mbox) ?\{([^{}]*)\}")
_TWO = re.compile(r"\d[^\d,=<>()\\]*\d")
_THING_AND = re.compile(r"[a-zA-Z]{2,}\s+and\s")


def unit_of(text: str) -> str:
    """The unit that the text names, a rate as "km/h"; empty where it names none that is known."""
    plain = _plain(text)
    found = []
    for match in _UNIT.finditer(plain):
        if len(match[0]) == 1 and match[0].isalpha() and not _letter_is_unit(plain, match):
            continue
        name = next(name for name, written in zip(_NAMES, _written(match), strict=True) if written)
        mark = match["before"] or match["power"] or match["raised"] or match["after"]
        found.append(f"{name}^{_POWERS[mark[0]]}" if mark else name)
    return "/".join(dict.fromkeys(found))


def same_units(one: str, other: str) -> bool:
    """Whether neither of two texts names another unit than the other; it may be left out on one side."""
    units = unit_of(one), unit_of(other)
    return "" in units or units[0] == units[1]


def in_two_units(text: str) -> bool:
    """Whether it is told in two parts: "3 feet 4 inches", "6 apples and 7 pears"."""
    parts = (part[0] for part in _TWO.finditer(_plain(text)) if "/" not in part[0])
    return any(unit_of(part[:-1]) or _THING_AND.search(part) for part in parts)


def _plain(text: str) -> str:
    return _WRAPPER.sub(r" \1 ", _WRAPPER.sub(r" \1 ", text))


def _letter_is_unit(text: str, match: re.Match[str]) -> bool:
    return bool(_LETTER_AFTER_NUMBER.search(text[max(0, match.start() - 4) : match.start()]))


def _written(match: re.Match[str]) -> list[str | None]:
    return [match[f"u{place}"] for place in range(len(_NAMES))]
