"""Curves as points. Where there are more updates than can be told apart, consecutive ones are drawn as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.results.intervals import wilson_interval
from hierarchical_reasoning.training.log import EvaluationRecord, UpdateRecord

MOST_POINTS = 300
"""Of a curve."""
MOST_DOTS = 60
"""Of a curve; with more points than that a line says enough."""


@dataclass(frozen=True)
class Point:
    """One value, of an update or of consecutive ones."""

    first: int
    last: int
    value: float | None
    """None: not measured there, which leaves a gap."""
    low: float | None = None
    high: float | None = None
    """Of what is shaded around the curve."""

    @property
    def x(self) -> float:
        return (self.first + self.last) / 2

    @property
    def where(self) -> str:
        if self.first == self.last:
            return f"update {self.first:,}"
        return f"updates {self.first:,} to {self.last:,}"


@dataclass(frozen=True)
class Curve:
    name: str
    points: tuple[Point, ...]


Stretch = tuple[UpdateRecord, ...]
"""Consecutive updates that are drawn as one; at least one."""


def stretches(updates: Sequence[UpdateRecord]) -> list[Stretch]:
    """At most MOST_POINTS, all of one length but the last."""
    length = max(1, math.ceil(len(updates) / MOST_POINTS))
    return [tuple(updates[start : start + length]) for start in range(0, len(updates), length)]


def update_curve(name: str, parts: Sequence[Stretch], value: Callable[[UpdateRecord], float | None]) -> Curve:
    """The mean of each stretch, with its lowest and highest value where stretches have several updates."""
    shaded = any(len(part) > 1 for part in parts)
    return Curve(name, tuple(_point(part, value, shaded) for part in parts))


def _point(part: Stretch, value: Callable[[UpdateRecord], float | None], shaded: bool) -> Point:
    found = [each for each in map(value, part) if each is not None]
    first, last = part[0].update, part[-1].update
    if not found:
        return Point(first, last, None)
    mean = math.fsum(found) / len(found)
    return Point(first, last, mean, min(found), max(found)) if shaded else Point(first, last, mean)


def accuracy_curve(name: str, evaluations: Sequence[EvaluationRecord]) -> Curve:
    """Every evaluation, with its Wilson interval."""
    return Curve(
        name,
        tuple(
            Point(record.update, record.update, record.accuracy, *wilson_interval(record.correct, record.n))
            for record in evaluations
        ),
    )


def runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The points between gaps."""
    run: list[Point] = []
    for point in points:
        if point.value is not None:
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run
