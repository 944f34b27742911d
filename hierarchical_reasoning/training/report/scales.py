"""From numbers to places: axes with round ticks, and numbers as they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Unit = Literal["number", "percent"]
_NARROWEST = 1e-9
"""Least width of an axis, of the larger of its ends; what is closer together is drawn as equal."""
_TINIEST = 1e-90
_EXPONENT = re.compile(r"e(?:\+|(-))0*(?=\d)")


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, low < high, with ticks inside."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value is: 0 at `low`, 1 at `high`."""
        return (value - self.low) / (self.high - self.low)


def value_scale(values: Iterable[float], *, floor: float | None, ceiling: float | None) -> Scale:
    """An axis that holds all values, and `floor` and `ceiling` too; it ends on ticks where no value was given for
    the end."""
    ends = [*values, *(end for end in (floor, ceiling) if end is not None)] or [0.0]
    low, high = _apart(min(ends), max(ends))
    step = _round_step(high - low, 4)
    if low != floor:
        low = math.floor(low / step) * step
    if high != ceiling:
        high = math.ceil(high / step) * step
    return Scale(low, high, _ticks(low, high, step))


def update_scale(first: int, last: int) -> Scale:
    """An axis of updates, each with the width of one, and ticks at whole numbers."""
    low, high = _apart(first - 0.5, last + 0.5)
    step = max(1.0, _round_step(high - low, 6))
    return Scale(low, high, _ticks(low, high, step))


def tick_text(value: float, unit: Unit) -> str:
    return f"{100 * value:.4g} %" if unit == "percent" else number_text(value)


def value_text(value: float, unit: Unit) -> str:
    return percent_text(value) if unit == "percent" else number_text(value)


def percent_text(share: float) -> str:
    return f"{100 * share:.1f} %".replace("-", "−")


def number_text(value: float) -> str:
    """Four digits, as 1,234,000, 12.34 or 5e-5."""
    if 1000 <= abs(value) < 1e9:
        text = f"{float(f'{value:.4g}'):,.0f}"
    else:
        text = _EXPONENT.sub(lambda found: f"e{found[1] or ''}", f"{value + 0.0:.4g}")
    return f"−{text[1:]}" if text.startswith("-") else text


def dollars_text(cost_usd: float) -> str:
    return f"${cost_usd:,.4f}"


def duration_text(seconds: float) -> str:
    """As 4.2 s, 12 min 46 s or 3 h 12 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def _apart(low: float, high: float) -> tuple[float, float]:
    """Ends that differ, around the given ones where those do not."""
    size = max(abs(low), abs(high))
    if high - low > max(size * _NARROWEST, _TINIEST):
        return low, high
    room = size * 0.1 if size > _TINIEST else 1.0
    return (low, low + room) if low == 0 else (low - room, high + room)


def _round_step(width: float, count: int) -> float:
    """1, 2 or 5 times a power of ten, so that `width` holds about `count` of them."""
    power: float = 10.0 ** math.floor(math.log10(width / count))
    return power * next((each for each in (1, 2, 5) if width / (power * each) <= count + 1), 10)


def _ticks(low: float, high: float, step: float) -> tuple[float, ...]:
    """The multiples of `step` from `low` to `high`."""
    slack = step * 1e-6
    first = math.ceil((low - slack) / step)
    last = math.floor((high + slack) / step)
    return tuple(number * step for number in range(first, last + 1))
