"""Charts as data, drawn twice: in the page (`markup`) and as files (`pictures`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hierarchical_reasoning.compare.report.colours import Colour
from hierarchical_reasoning.training.report.scales import Scale

Shape = Literal["filled", "hollow"]
Unit = Literal["percent", "points", "tokens", "dollars"]


@dataclass(frozen=True)
class Mark:
    """A value with its interval."""

    value: float
    low: float
    high: float
    shape: Shape
    """Hollow for what is beside the matter: a baseline, or incorrect traces."""
    told: str
    """In words, for a pointer that rests on it and for who does not see it."""


@dataclass(frozen=True)
class IntervalRow:
    """One line of an interval chart."""

    label: str
    marks: tuple[Mark, ...]
    text: str
    """What stands at its end: numbers."""
    note: str = ""
    """What stands under that."""
    colour: Colour | None = None
    """None: that of the page."""


@dataclass(frozen=True)
class IntervalChart:
    """Values with their intervals, one below another."""

    key: str
    """In the names of files."""
    title: str
    meaning: str
    scale: Scale
    unit: Unit
    rows: tuple[IntervalRow, ...]
    heads: tuple[str, str]
    """Over the labels, and over the numbers."""
    band: tuple[float, float, float] | None = None
    """Low, value and high of what all rows are compared with."""
    shapes: tuple[tuple[Shape, str], ...] = ()
    """What the shapes mean, where that must be said."""


@dataclass(frozen=True)
class Segment:
    """A part of a bar."""

    name: str
    share: float
    count: int


@dataclass(frozen=True)
class Bar:
    """One line of a stack chart; its segments add up to 1 or less."""

    label: str
    segments: tuple[Segment, ...]
    text: str = ""


@dataclass(frozen=True)
class StackChart:
    """Shares side by side, one bar below another."""

    key: str
    title: str
    meaning: str
    panels: tuple[tuple[str, tuple[Bar, ...]], ...]
    """Named, one or more, with the same labels."""
    colours: dict[str, Colour]
    """By the name of a segment, in the order of the legend."""
    head: str
    """Over the labels."""


@dataclass(frozen=True)
class Point:
    """One arm in a scatter chart."""

    label: str
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float
    shape: Shape
    told: str


@dataclass(frozen=True)
class ScatterChart:
    """Accuracy against what it took."""

    key: str
    title: str
    meaning: str
    points: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    """Places from 0 to 1, and what is written there; `Point.x` are such places too."""
    y: Scale
    x_name: str
    frontier: tuple[int, ...]
    """Numbers of points that no other one is both cheaper and better than, by x."""


@dataclass(frozen=True)
class HeatChart:
    """What followed what."""

    key: str
    title: str
    meaning: str
    origins: tuple[str, ...]
    targets: tuple[str, ...]
    panels: tuple[tuple[str, dict[tuple[str, str], tuple[int, int]]], ...]
    """Named; for a pair, how often it came and how often anything followed its origin."""
    colours: dict[str, Colour]


Chart = IntervalChart | StackChart | ScatterChart | HeatChart
