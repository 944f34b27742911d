"""Curves and stacked shares as SVG that stands in an HTML page.

Colours of curves come from the page's style sheet, so that they suit a light and a dark page. What a pointer rests on
is told by the title of an invisible column; who reads by ear gets the description instead, and the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from markupsafe import Markup

from hierarchical_reasoning.training.report.figures import CurveFigure
from hierarchical_reasoning.training.report.reliability import Reliability
from hierarchical_reasoning.training.report.scales import (
    Scale,
    percent_text,
    tick_text,
    update_scale,
    value_scale,
    value_text,
)
from hierarchical_reasoning.training.report.series import MOST_DOTS, Curve, Point, runs
from hierarchical_reasoning.training.report.thought_types import Usage, UsageColumn
from taxonomy.terminal import visible

_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 22, 8, 38


class _Plot:
    """A drawing area with its axes, in a picture of `width` times `height`."""

    def __init__(self, width: int, height: int, across: Scale, up: Scale) -> None:
        self.width, self.height = width, height
        self._across, self._up = across, up

    def x(self, value: float) -> float:
        return _LEFT + self._across.share(value) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - self._up.share(value) * (self.height - _TOP - _BOTTOM)

    def axes(self, labels: Sequence[str], *, below: str = "update") -> list[str]:
        """Lines and numbers; a label for each tick upwards, and what the numbers below are."""
        right, bottom = self.width - _RIGHT, self.height - _BOTTOM
        parts = []
        for tick, label in zip(self._up.ticks, labels, strict=True):
            y = self.y(tick)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
            parts.append(f'<text class="up" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(label)}</text>')
        parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
        for tick in self._across.ticks:
            x = self.x(tick)
            parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
            parts.append(
                f'<text class="across" x="{x:.1f}" y="{bottom + 17}">{tick_text(tick, "number")}</text>'
            )
        middle = (_LEFT + right) / 2
        parts.append(f'<text class="across" x="{middle:.1f}" y="{self.height - 4}">{below}</text>')
        return parts

    def told(self, start: float, end: float, text: str) -> str:
        """A column from one place to another that tells something where a pointer rests on it."""
        left, right = self.x(start), self.x(end)
        return (
            f'<rect class="told" x="{left:.1f}" y="{_TOP}" width="{max(right - left, 0.5):.1f}" '
            f'height="{self.height - _TOP - _BOTTOM}"><title>{escape(text)}</title></rect>'
        )

    def picture(self, name: str, parts: Sequence[str]) -> Markup:
        """The parts as one picture, which `name` stands for to who does not see it."""
        return Markup(  # noqa: S704 - what comes from outside is escaped where it is put in
            f'<svg role="img" aria-label="{escape(name)}" viewBox="0 0 {self.width} {self.height}">'
            f"{''.join(parts)}</svg>"
        )


def draw_curves(figure: CurveFigure, span: tuple[int, int], *, size: tuple[int, int]) -> Markup:
    """The figure over the updates from the first to the last of `span`."""
    up = figure.scale()
    plot = _Plot(*size, update_scale(*span), up)
    parts = plot.axes([tick_text(tick, figure.unit) for tick in up.ticks])
    for number, curve in enumerate(figure.curves):
        parts += _shade(plot, curve, number)
    for number, curve in enumerate(figure.curves):
        parts += _line(plot, curve, number)
    parts += _told_values(plot, figure)
    return plot.picture(described(figure), parts)


def described(figure: CurveFigure) -> str:
    """The figure in words."""
    sentences = [f"{figure.title} over updates."]
    for curve in figure.curves:
        measured = [(point.value, point) for point in curve.points if point.value is not None]
        if not measured:
            sentences.append(f"{curve.name}: never measured.")
            continue
        (low, lowest), (high, highest) = (
            min(measured, key=lambda each: each[0]),
            max(measured, key=lambda each: each[0]),
        )
        ends = f"{value_text(measured[0][0], figure.unit)} at {measured[0][1].where}"
        if len(measured) > 1:
            ends += (
                f", {value_text(measured[-1][0], figure.unit)} at {measured[-1][1].where}; lowest "
                f"{value_text(low, figure.unit)} at {lowest.where}, highest {value_text(high, figure.unit)} at "
                f"{highest.where}"
            )
        sentences.append(f"{curve.name}: {ends}.")
    return " ".join(sentences)


def _shade(plot: _Plot, curve: Curve, number: int) -> list[str]:
    found = []
    for run in runs(curve.points):
        edges = [
            (plot.x(point.x), plot.y(point.low), plot.y(point.high))
            for point in run
            if point.low is not None and point.high is not None
        ]
        if len(edges) == 1:  # has no width
            x, low, high = edges[0]
            found.append(f'<path class="whisker c{number}" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
        elif edges:
            upper = "L".join(f"{x:.1f} {high:.1f}" for x, _, high in edges)
            lower = "L".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(edges))
            found.append(f'<path class="shade c{number}" d="M{upper}L{lower}Z"/>')
    return found


def _line(plot: _Plot, curve: Curve, number: int) -> list[str]:
    dots = len(curve.points) <= MOST_DOTS
    found = []
    for run in runs(curve.points):
        places = [(plot.x(point.x), plot.y(point.value)) for point in run if point.value is not None]
        if len(places) > 1:
            line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            found.append(f'<path class="line c{number}" d="M{line}"/>')
        if dots or len(places) == 1:
            found += [f'<circle class="dot c{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in places]
    return found


def _told_values(plot: _Plot, figure: CurveFigure) -> list[str]:
    lines: dict[tuple[int, int], list[str]] = {}
    for curve in figure.curves:
        for point in curve.points:
            where = lines.setdefault((point.first, point.last), [point.where])
            where.append(f"{curve.name}: {_told_value(point, figure)}")
    places = sorted(lines)
    between = [(before[1] + after[0]) / 2 for before, after in pairwise(places)]
    edges = pairwise([places[0][0] - 0.5, *between, places[-1][1] + 0.5]) if places else ()
    return [plot.told(*ends, "\n".join(lines[place])) for place, ends in zip(places, edges, strict=True)]


def _told_value(point: Point, figure: CurveFigure) -> str:
    if point.value is None:
        return "nothing was trained on"
    text = value_text(point.value, figure.unit)
    if point.low is None or point.high is None:
        return text
    return f"{text} [{value_text(point.low, figure.unit)}, {value_text(point.high, figure.unit)}]"


def draw_usage(
    usage: Usage, colour_of: Mapping[str, str], span: tuple[int, int], *, size: tuple[int, int]
) -> Markup:
    """Shares of the choices, stacked, a step for each update or stretch of updates."""
    up = value_scale((), floor=0.0, ceiling=1.0)
    plot = _Plot(*size, update_scale(*span), up)
    parts = plot.axes([tick_text(tick, "percent") for tick in up.ticks])
    columns = [column for column in usage.columns if column.total]
    floors = [0.0] * len(columns)
    for name in usage.names:
        tops = [
            floor + column.counts.get(name, 0) / column.total
            for floor, column in zip(floors, columns, strict=True)
        ]
        path = "".join(map(_step, [plot] * len(columns), columns, floors, tops))
        parts.append(f'<path class="stack" fill="{colour_of[name]}" d="{path}"/>')
        floors = tops
    parts += [
        plot.told(column.first - 0.5, column.last + 0.5, _told_shares(usage, column)) for column in columns
    ]
    early, late = usage.early, usage.late
    shares = "; ".join(
        f"{visible(name)} {percent_text(early.counts.get(name, 0) / (early.total or 1))}, then "
        f"{percent_text(late.counts.get(name, 0) / (late.total or 1))}"
        for name in usage.names
    )
    return plot.picture(
        f"Share of each thought type among the choices, at first and at the end: {shares}.", parts
    )


def draw_reliability(parts: Sequence[Reliability], *, size: tuple[int, int]) -> Markup:
    """What was expected across, what came upwards; on the diagonal the two are the same."""
    scale = value_scale((), floor=0.0, ceiling=1.0)
    plot = _Plot(*size, scale, scale)
    found = plot.axes([tick_text(tick, "number") for tick in scale.ticks], below="value expected")
    found.append(f'<path class="axis" d="M{plot.x(0):.1f} {plot.y(0):.1f}L{plot.x(1):.1f} {plot.y(1):.1f}"/>')
    for number, part in enumerate(parts):
        places = [(plot.x(each.predicted), plot.y(each.observed), each) for each in part.bins]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places)
        found.append(f'<path class="line c{number}" d="M{line}"/>')
        found += [
            f"<g><title>{escape(part.name)}: {value_text(each.predicted, 'number')} expected, "
            f"{value_text(each.observed, 'number')} came (n = {each.n:,})</title>"
            f'<circle class="dot c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/></g>'
            for x, y, each in places
        ]
    told = "; ".join(
        f"{part.name}: "
        + ", ".join(
            f"{value_text(b.observed, 'number')} at {value_text(b.predicted, 'number')}" for b in part.bins
        )
        for part in parts
    )
    return plot.picture(f"Mean reward that came, at the value that was expected. {told}.", found)


def _step(plot: _Plot, column: UsageColumn, floor: float, top: float) -> str:
    if top <= floor:
        return ""
    left, right = plot.x(column.first - 0.5), plot.x(column.last + 0.5)
    return f"M{left:.1f} {plot.y(floor):.1f}V{plot.y(top):.1f}H{right:.1f}V{plot.y(floor):.1f}Z"


def _told_shares(usage: Usage, column: UsageColumn) -> str:
    where = Point(column.first, column.last, None).where
    shares = [
        f"{visible(name)}: {percent_text(column.counts.get(name, 0) / column.total)} ({column.counts.get(name, 0):,})"
        for name in reversed(usage.names)
    ]
    return "\n".join([where, *shares])
