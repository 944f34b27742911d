"""Charts as PNG and SVG files, for slides and papers. Needs matplotlib (the `plot` extra)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hierarchical_reasoning.compare.report.charts import (
    Chart,
    HeatChart,
    IntervalChart,
    Mark,
    ScatterChart,
    StackChart,
)
from hierarchical_reasoning.compare.report.markup import tick_text
from hierarchical_reasoning.compare.report.scatter_labels import is_far, label_places
from hierarchical_reasoning.compare.report.wording import encodable
from taxonomy.drawing import image_bytes, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
_ACCENT, _INK, _DIM, _GRID, _BAND = "#2b62bd", "#1b2230", "#5a6474", "#e9ecf0", "#f1f4f7"
_ROW_INCHES = 0.34
_LABEL_CHARACTERS, _LABEL_LINES = 34, 2
_APART = 0.14
"""Of a row, between its middle and each of two marks."""


def chart_pictures(chart: Chart) -> dict[str, bytes]:
    """The chart by format. Raises ImportError: matplotlib is not installed."""
    if isinstance(chart, IntervalChart):
        figure = _intervals(chart)
    elif isinstance(chart, StackChart):
        figure = _stacks(chart)
    elif isinstance(chart, ScatterChart):
        figure = _scatter(chart)
    else:
        figure = _heat(chart)
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; that is no reason to fail or to alarm.
        warnings.simplefilter("ignore", UserWarning)
        return {kind: image_bytes(figure, kind, tight=True) for kind in FORMATS}


def _intervals(chart: IntervalChart) -> Figure:
    figure, (axes,) = _canvas((7.5, 0.9 + _ROW_INCHES * len(chart.rows)), 1)
    if chart.band is not None:
        low, value, high = chart.band
        axes.axvspan(low, high, color=_BAND, lw=0)
        axes.axvline(value, color=_DIM, lw=0.8, ls=":")
    for place, row in enumerate(chart.rows):
        colour = _ACCENT if row.colour is None else row.colour.light
        for number, mark in enumerate(row.marks):
            shift = _APART * (2 * number - 1) if len(row.marks) > 1 else 0
            _draw_mark(axes, mark, place + shift, colour)
        axes.text(
            1.015,
            place,
            encodable(row.text),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=7.5,
            parse_math=False,
        )
    _labelled_rows(axes, [row.label for row in chart.rows])
    axes.set_xlim(chart.scale.low, chart.scale.high)
    axes.set_xticks(chart.scale.ticks, labels=[tick_text(chart, tick) for tick in chart.scale.ticks])
    axes.grid(axis="x", color=_GRID, lw=0.7)
    if chart.shapes:
        for shape, told in chart.shapes:
            axes.plot([], [], "o", ms=5, color=_ACCENT, mfc=_face(shape, _ACCENT), label=encodable(told))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=7.5, frameon=False)
    figure.suptitle(encodable(chart.title), fontsize=10, x=0.02, ha="left", parse_math=False)
    return figure


def _draw_mark(axes: Axes, mark: Mark, y: float, colour: str) -> None:
    axes.plot([mark.low, mark.high], [y, y], color=colour, lw=1.5, alpha=0.55, clip_on=False)
    axes.plot(mark.value, y, "o", ms=5, color=colour, mfc=_face(mark.shape, colour), clip_on=False)


def _stacks(chart: StackChart) -> Figure:
    from matplotlib.patches import Patch

    rows = max((len(bars) for _, bars in chart.panels), default=0)
    figure, panels = _canvas((7.5, 1.1 + 0.28 * rows), max(1, len(chart.panels)))
    for axes, (title, bars) in zip(panels, chart.panels, strict=False):
        for place, bar in enumerate(bars):
            left = 0.0
            for segment in bar.segments:
                colour = chart.colours[segment.name].light
                axes.barh(place, segment.share, left=left, height=0.74, color=colour, ec="white", lw=0.6)
                left += segment.share
        _labelled_rows(axes, [bar.label for bar in bars])
        axes.set_xlim(0, 1)
        axes.set_xticks((0, 0.5, 1), labels=("0 %", "50 %", "100 %"))
        axes.set_title(encodable(title), fontsize=8.5, loc="left", parse_math=False)
        axes.set_ylabel(chart.head if chart.head == "step" else "", fontsize=8)
    keys = [Patch(color=colour.light, label=_wrapped(name)) for name, colour in chart.colours.items()]
    legend = figure.legend(handles=keys, loc="outside right upper", fontsize=7.5, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.suptitle(encodable(chart.title), fontsize=10, x=0.02, ha="left", parse_math=False)
    return figure


def _scatter(chart: ScatterChart) -> Figure:
    figure, (axes,) = _canvas((7.0, 3.8), 1)
    joined = [chart.points[number] for number in chart.frontier]
    axes.plot([point.x for point in joined], [point.y for point in joined], ":", color=_DIM, lw=0.9)
    labels = label_places([(point.x, 1 - chart.y.share(point.y), point.label) for point in chart.points])
    for point, (anchor, dx, dy) in zip(chart.points, labels, strict=True):
        axes.plot([point.x, point.x], [point.y_low, point.y_high], color=_ACCENT, lw=1.3, alpha=0.5)
        axes.plot([point.x_low, point.x_high], [point.y, point.y], color=_ACCENT, lw=1.3, alpha=0.5)
        axes.plot(point.x, point.y, "o", ms=5.5, color=_ACCENT, mfc=_face(point.shape, _ACCENT))
        axes.annotate(
            _wrapped(point.label, lines=1),
            (point.x, point.y),
            xytext=(0.7 * dx, -0.7 * dy),
            textcoords="offset points",
            ha="left" if anchor == "start" else "right",
            fontsize=8,
            color=_INK,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": _DIM, "lw": 0.6} if is_far(dx, dy) else None,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(chart.y.low, chart.y.high)
    axes.set_xticks(
        [place for place, _ in chart.x_ticks], labels=[_no_math(text) for _, text in chart.x_ticks]
    )
    axes.set_yticks(chart.y.ticks, labels=[f"{100 * tick:.4g} %" for tick in chart.y.ticks])
    axes.set_xlabel(chart.x_name, fontsize=8)
    axes.set_ylabel("accuracy", fontsize=8)
    axes.grid(color=_GRID, lw=0.7)
    figure.suptitle(encodable(chart.title), fontsize=10, x=0.02, ha="left", parse_math=False)
    return figure


def _heat(chart: HeatChart) -> Figure:
    rows, columns = len(chart.origins), len(chart.targets)
    panels = max(1, len(chart.panels))
    figure, all_axes = _canvas((2.4 + panels * (0.3 * columns + 0.4), 1.5 + 0.3 * rows), panels, shared=True)
    for axes, (title, cells) in zip(all_axes, chart.panels, strict=False):
        shares = [
            [cells[origin, target][0] / cells[origin, target][1] if (origin, target) in cells else 0.0
             for target in chart.targets]
            for origin in chart.origins
        ]  # fmt: skip
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.6, aspect="equal", interpolation="nearest")
        for row, of_row in enumerate(shares):
            for column, share in enumerate(of_row):
                if share:
                    axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.5)
        axes.set_title(encodable(title), fontsize=8.5, parse_math=False)
        axes.set_xticks(
            range(columns), labels=[*(f"{number}" for number in range(1, columns)), "end"], fontsize=7
        )
        axes.xaxis.tick_top()
        axes.set_xticks([edge - 0.5 for edge in range(columns + 1)], minor=True)
        axes.set_yticks([edge - 0.5 for edge in range(rows + 1)], minor=True)
        axes.grid(which="minor", color="white", lw=1.2)
        axes.tick_params(which="both", length=0)
    names = [_wrapped(f"{number} {name}" if number else name) for number, name in enumerate(chart.origins)]
    all_axes[0].set_yticks(range(rows), labels=names, fontsize=7)
    for text in all_axes[0].get_yticklabels():
        text.set_parse_math(False)
    figure.suptitle(encodable(chart.title), fontsize=10, x=0.02, ha="left", parse_math=False)
    return figure


def _canvas(size: tuple[float, float], panels: int, *, shared: bool = False) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    found = list(figure.subplots(1, panels, squeeze=False, sharey=shared)[0])
    for axes in found:
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8, length=0, colors=_DIM, labelcolor=_INK)
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return figure, found


def _labelled_rows(axes: Axes, labels: list[str]) -> None:
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels=[_wrapped(label) for label in labels])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)


def _wrapped(text: str, *, lines: int = _LABEL_LINES) -> str:
    return wrapped(encodable(text), _LABEL_CHARACTERS, lines)


def _face(shape: str, colour: str) -> str:
    return colour if shape == "filled" else "white"


def _no_math(text: str) -> str:
    return text.replace("$", r"\$")
