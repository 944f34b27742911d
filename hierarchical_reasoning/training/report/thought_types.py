"""Which thought types were chosen as training went on, and the colour that each has on every picture."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.log import START, EvaluationRecord
from hierarchical_reasoning.training.report.reading import TrainingLog
from hierarchical_reasoning.training.report.series import Stretch, stretches

_FINISH_COLOUR = "#8a93a0"
_COLOURS = (
    "#4269d0",
    "#efb118",
    "#ff725c",
    "#3ca951",
    "#a463f2",
    "#6cc5b0",
    "#ff8ab7",
    "#9c6b4e",
    "#97bbf5",
    "#c4c229",
    "#b3364b",
    "#1f7a8c",
)
"""Told apart on white and on black, those beside each other most."""
_TURNS_OF_HUE = 0.381966
"""The golden angle, by which any number of hues stay apart."""


@dataclass(frozen=True)
class UsageColumn:
    """The choices of an update, or of consecutive ones."""

    first: int
    last: int
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Usage:
    """What was chosen over the updates."""

    names: tuple[str, ...]
    """In the order in which they are stacked, "Finish thinking" last."""
    columns: tuple[UsageColumn, ...]
    early: UsageColumn
    late: UsageColumn
    """The first and the last tenth of the updates; at least one."""
    overall: Mapping[str, int]


def usage(log: TrainingLog) -> Usage | None:
    """None: nothing was chosen yet."""
    overall = _added([update.thought_types for update in log.updates])
    if not overall.total():
        return None
    tenth = max(1, len(log.updates) // 10)
    return Usage(
        names=tuple(name for name in thought_types(log) if overall[name]),
        columns=tuple(_column(part) for part in stretches(log.updates)),
        early=_column(log.updates[:tenth]),
        late=_column(log.updates[-tenth:]),
        overall=overall,
    )


def thought_types(log: TrainingLog) -> tuple[str, ...]:
    """Every option of the log, in the order of its first record, those of one record by name; "Finish thinking" last.

    It does not change as a log grows, and is mostly alike for runs with the same options: so are the colours.
    """
    places: dict[str, None] = {}
    for record in log.records:
        names: Iterable[str]
        if isinstance(record, EvaluationRecord):
            names = {*record.transitions, *(to for row in record.transitions.values() for to in row)}
        else:
            names = record.thought_types
        places.update(dict.fromkeys(sorted(names)))
    options = [name for name in places if name not in (START, FINISH)]
    return (*options, *([FINISH] if FINISH in places else []))


def colours(names: Iterable[str]) -> dict[str, str]:
    """By name, as #rrggbb; beyond those picked by eye, hues a golden angle apart."""
    options = [name for name in names if name != FINISH]
    found = {name: _colour(number) for number, name in enumerate(options)}
    return {**found, FINISH: _FINISH_COLOUR}


def _colour(number: int) -> str:
    if number < len(_COLOURS):
        return _COLOURS[number]
    parts = colorsys.hls_to_rgb(number * _TURNS_OF_HUE % 1, 0.4 + 0.25 * (number % 2), 0.55)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def _column(part: Stretch) -> UsageColumn:
    return UsageColumn(part[0].update, part[-1].update, _added([update.thought_types for update in part]))


def _added(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in counts:
        found.update(each)
    return found
