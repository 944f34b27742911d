"""Charts as HTML: tables whose cells hold pictures, so that a chart is read aloud as the numbers that it shows.

Pictures are SVG with places in percent, which stretch with the page while text keeps its size. What comes from outside
is escaped where it is put in. No element has a style of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from hierarchical_reasoning.compare.report.charts import (
    Bar,
    Chart,
    HeatChart,
    IntervalChart,
    IntervalRow,
    Mark,
    ScatterChart,
    StackChart,
)
from hierarchical_reasoning.compare.report.palette import Palette
from hierarchical_reasoning.compare.report.scatter_labels import is_far, label_places
from hierarchical_reasoning.compare.report.wording import percent, points
from hierarchical_reasoning.html_pages import escaped

HEAT_CLASSES = 20
"""Shades of a cell, `q1` the lightest."""


def chart_markup(chart: Chart, palette: Palette) -> Markup:
    """The chart without its title and meaning."""
    if isinstance(chart, IntervalChart):
        html = _intervals(chart, palette)
    elif isinstance(chart, StackChart):
        html = _stacks(chart, palette)
    elif isinstance(chart, ScatterChart):
        html = _scatter(chart)
    else:
        html = _heat(chart, palette)
    return Markup(html)  # noqa: S704 - what comes from outside went through _text


def _intervals(chart: IntervalChart, palette: Palette) -> str:
    ticks = "".join(
        f'<text x="{_at(chart.scale.share(tick))}" y="100%" dy="-.5em" class="middle">'
        f"{tick_text(chart, tick)}</text>"
        for tick in chart.scale.ticks
    )
    head = (
        f'<thead><tr><th scope="col">{escaped(chart.heads[0])}</th>'
        f'<td class="axis"><svg aria-hidden="true">{ticks}</svg></td>'
        f'<th scope="col" class="num">{escaped(chart.heads[1])}</th></tr></thead>'
    )
    rows = "".join(_interval_row(chart, row, palette) for row in chart.rows)
    return f'{_shapes(chart)}<table class="rows">{head}<tbody>{rows}</tbody></table>'


def _shapes(chart: IntervalChart) -> str:
    if not chart.shapes:
        return ""
    keys = "".join(
        f'<li><svg class="key" aria-hidden="true"><circle class="mark {shape}" cx="50%" cy="50%" r="4.5"/></svg>'
        f"{escaped(told)}</li>"
        for shape, told in chart.shapes
    )
    return f'<ul class="legend">{keys}</ul>'


def _interval_row(chart: IntervalChart, row: IntervalRow, palette: Palette) -> str:
    kind = "" if row.colour is None else f" {palette.class_of(row.colour)}"
    dot = "" if row.colour is None else f'<i class="dot{kind}"></i>'
    note = f"<small>{escaped(row.note)}</small>" if row.note else ""
    told = "; ".join(mark.told for mark in row.marks)
    apart = 13 if len(row.marks) > 1 else 0
    marks = "".join(
        _mark(chart, mark, 50 + apart * (2 * number - 1) * (len(row.marks) > 1))
        for number, mark in reversed(list(enumerate(row.marks)))
    )
    return (
        f'<tr><th scope="row">{dot}<bdi>{escaped(row.label)}</bdi></th><td class="plot">'
        f'<svg role="img" aria-label="{escaped(told)}" class="{kind.strip()}">{_ground(chart)}{marks}</svg></td>'
        f'<td class="num">{escaped(row.text)}{note}</td></tr>'
    )


def _ground(chart: IntervalChart) -> str:
    """Grid and band, which run through all rows."""
    share = chart.scale.share
    parts = [
        f'<line class="grid" x1="{_at(share(tick))}" x2="{_at(share(tick))}" y2="100%"/>'
        for tick in chart.scale.ticks
    ]
    if chart.band is not None:
        low, value, high = (share(end) for end in chart.band)
        if high > low:
            parts.append(f'<rect class="band" x="{_at(low)}" width="{_at(high - low)}" height="100%"/>')
        parts.append(f'<line class="base" x1="{_at(value)}" x2="{_at(value)}" y2="100%"/>')
    return "".join(parts)


def _mark(chart: IntervalChart, mark: Mark, y: int) -> str:
    low, value, high = (chart.scale.share(end) for end in (mark.low, mark.value, mark.high))
    return (
        f'<g class="{mark.shape}"><title>{escaped(mark.told)}</title>'
        f'<line class="whisker" x1="{_at(low)}" x2="{_at(high)}" y1="{y}%" y2="{y}%"/>'
        f'<circle class="mark {mark.shape}" cx="{_at(value)}" cy="{y}%" r="{5 if mark.shape == "filled" else 4}"/></g>'
    )


def _stacks(chart: StackChart, palette: Palette) -> str:
    legend = "".join(
        f'<li><i class="dot {palette.class_of(colour)}"></i><bdi>{escaped(name)}</bdi></li>'
        for name, colour in chart.colours.items()
    )
    panels = "".join(_panel(chart, title, bars, palette) for title, bars in chart.panels)
    return f'<ul class="legend">{legend}</ul><div class="panels">{panels}</div>'


def _panel(chart: StackChart, title: str, bars: Sequence[Bar], palette: Palette) -> str:
    caption = f"<caption>{escaped(title)}</caption>" if title else ""
    ends = '<th scope="col" class="num">in all</th>' if any(bar.text for bar in bars) else ""
    heads = f'<th scope="col">{escaped(chart.head)}</th><th scope="col">shares</th>{ends}'
    head = f'<thead class="quiet"><tr>{heads}</tr></thead>'
    rows = "".join(_bar(chart, bar, palette) for bar in bars)
    return f'<table class="rows stacks">{caption}{head}<tbody>{rows}</tbody></table>'


def _bar(chart: StackChart, bar: Bar, palette: Palette) -> str:
    left, parts = 0.0, []
    for segment in bar.segments:
        told = f"{segment.name}: {percent(segment.share)} ({segment.count:,})"
        parts.append(
            f'<rect class="segment {palette.class_of(chart.colours[segment.name])}" x="{_at(left)}" '
            f'width="{_at(segment.share)}" height="100%"><title>{escaped(told)}</title></rect>'
        )
        left += segment.share
    told = "; ".join(f"{segment.name} {percent(segment.share)}" for segment in bar.segments) or "none"
    text = f'<td class="num">{escaped(bar.text)}</td>' if bar.text else ""
    return (
        f'<tr><th scope="row"><bdi>{escaped(bar.label)}</bdi></th><td class="bar">'
        f'<svg role="img" aria-label="{escaped(told)}">{"".join(parts)}</svg></td>{text}</tr>'
    )


def _scatter(chart: ScatterChart) -> str:
    up = "".join(
        f'<text x="100%" y="{_at(1 - chart.y.share(tick))}" dy=".35em" class="end">{100 * tick:.4g} %</text>'
        for tick in chart.y.ticks
    )
    across = "".join(
        f'<text x="{_at(place)}" y="1.1em" class="{_side(place)}">{escaped(text)}</text>'
        for place, text in chart.x_ticks
    )
    told = "; ".join(point.told for point in chart.points)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(chart.title)}"><div class="scatter">'
        f'<svg class="up" aria-hidden="true">{up}</svg>'
        f'<svg class="field" role="img" aria-label="{escaped(chart.title)}: {escaped(told)}">'
        f"{''.join(_field(chart))}</svg>"
        f'<svg class="across" aria-hidden="true">{across}</svg>'
        f'<p class="axis-name">{escaped(chart.x_name)}</p></div></div>'
    )


def _field(chart: ScatterChart) -> Iterator[str]:
    for tick in chart.y.ticks:
        height = _at(1 - chart.y.share(tick))
        yield f'<line class="grid" x2="100%" y1="{height}" y2="{height}"/>'
    for place, _ in chart.x_ticks:
        yield f'<line class="grid" x1="{_at(place)}" x2="{_at(place)}" y2="100%"/>'
    places = [(point.x, 1 - chart.y.share(point.y)) for point in chart.points]
    for one, next_one in zip(chart.frontier, chart.frontier[1:], strict=False):
        (x1, y1), (x2, y2) = places[one], places[next_one]
        yield f'<line class="frontier" x1="{_at(x1)}" y1="{_at(y1)}" x2="{_at(x2)}" y2="{_at(y2)}"/>'
    labels = label_places([(x, y, point.label) for (x, y), point in zip(places, chart.points, strict=True)])
    for point, (x, y), (anchor, dx, dy) in zip(chart.points, places, labels, strict=True):
        top, bottom = 1 - chart.y.share(point.y_high), 1 - chart.y.share(point.y_low)
        yield (
            f'<g class="{point.shape}"><title>{escaped(point.told)}</title>'
            f'<line class="whisker" x1="{_at(x)}" x2="{_at(x)}" y1="{_at(top)}" y2="{_at(bottom)}"/>'
            f'<line class="whisker" x1="{_at(point.x_low)}" x2="{_at(point.x_high)}" y1="{_at(y)}" y2="{_at(y)}"/>'
            f'<circle class="mark {point.shape}" cx="{_at(x)}" cy="{_at(y)}" r="5"/>'
            f'<svg x="{_at(x)}" y="{_at(y)}">{_leader(dx, dy)}'
            f'<text class="{anchor} label" x="{dx}" y="{dy}">{escaped(point.label)}</text></svg></g>'
        )


def _leader(dx: int, dy: int) -> str:
    """A line from a point to a label that is not right beside it."""
    return f'<line class="leader" x2="{dx}" y2="{dy - 4}"/>' if is_far(dx, dy) else ""


def _heat(chart: HeatChart, palette: Palette) -> str:
    number = {name: f"{place}" for place, name in enumerate(chart.origins) if place}
    heads = "".join(
        f'<th scope="col"><abbr title="{escaped(name)}">{number.get(name, "end")}</abbr></th>'
        for name in chart.targets
    )
    groups = "<td></td>".join(
        f'<th scope="colgroup" colspan="{len(chart.targets)}">{escaped(title)}</th>'
        for title, _ in chart.panels
    )
    rows = "".join(_heat_row(chart, origin, number, palette) for origin in chart.origins)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(chart.title)}"><table class="heat"><thead>'
        f"<tr><td></td>{groups}</tr>"
        f'<tr><th scope="col">after</th>{"<td></td>".join(heads for _ in chart.panels)}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _heat_row(chart: HeatChart, origin: str, number: dict[str, str], palette: Palette) -> str:
    dot = f'<i class="dot {palette.class_of(chart.colours[origin])}"></i>' if origin in chart.colours else ""
    cells = '<td class="gap"></td>'.join(
        "".join(_heat_cell(cells.get((origin, target)), origin, target) for target in chart.targets)
        for _, cells in chart.panels
    )
    named = f"{number[origin]} {dot}" if origin in number else ""
    return f'<tr><th scope="row">{named}<bdi>{escaped(origin)}</bdi></th>{cells}</tr>'


def _heat_cell(cell: tuple[int, int] | None, origin: str, target: str) -> str:
    if cell is None:
        return "<td></td>"
    count, visits = cell
    shade = max(1, round(HEAT_CLASSES * count / visits))
    told = f"{origin} → {target}: {count:,} of {visits:,}"
    return f'<td class="q{shade}" title="{escaped(told)}">{100 * count / visits:.0f}</td>'


def heat_rules() -> str:
    """For the style sheet: the shades of a cell."""
    return (
        "".join(f".q{shade}{{--q:{shade / HEAT_CLASSES:.2f}}}" for shade in range(1, HEAT_CLASSES + 1)) + "\n"
    )


def tick_text(chart: IntervalChart, tick: float) -> str:
    return (
        (points(tick).removesuffix(".0") if tick else "0")
        if chart.unit == "points"
        else f"{100 * tick:.4g} %"
    )


def _at(share: float) -> str:
    return f"{100 * share:.2f}%"


def _side(share: float) -> str:
    """How a label at that place is anchored, so that it stays inside."""
    return "start" if share < 0.02 else "end" if share > 0.98 else "middle"
