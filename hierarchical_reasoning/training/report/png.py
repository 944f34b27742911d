"""The figures of a report as PNG files, for slides and papers. Needs matplotlib (the `plot` extra)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hierarchical_reasoning.training.report.figures import CurveFigure
from hierarchical_reasoning.training.report.headline import when
from hierarchical_reasoning.training.report.reliability import Reliability
from hierarchical_reasoning.training.report.scales import tick_text, update_scale
from hierarchical_reasoning.training.report.series import MOST_DOTS, runs
from hierarchical_reasoning.training.report.thought_types import Usage
from hierarchical_reasoning.training.report.transitions import Cell, TransitionTables
from taxonomy.drawing import image_bytes, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MATPLOTLIB_MISSING = (
    "The PNG files need matplotlib, which is not installed: pip install 'hierarchical-reasoning[plot]'"
)
_LINES = (("#2b66c4", "-"), ("#b4580a", "--"))
_LABEL_CHARACTERS = 36
_LABEL_LINES = 2
_CELL_INCHES = 0.36


def matplotlib_is_there() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def curves_png(figure: CurveFigure, span: tuple[int, int]) -> bytes:
    """Raises ImportError: matplotlib is not installed."""
    canvas, axes = _canvas((5.6, 3.0))
    scale = figure.scale()
    for (colour, dashes), curve in zip(_LINES, figure.curves, strict=False):
        for number, run in enumerate(runs(curve.points)):
            x = [point.x for point in run]
            y = [point.value for point in run if point.value is not None]
            dots = "o" if len(curve.points) <= MOST_DOTS or len(run) == 1 else None
            name = curve.name if number == 0 else None
            axes.plot(x, y, dashes, color=colour, marker=dots, markersize=2.5, lw=1.4, label=name)
            low = [point.low for point in run if point.low is not None]
            high = [point.high for point in run if point.high is not None]
            if len(low) == len(high) == len(x) > 1:
                axes.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
            elif low:
                axes.vlines(x, low, high, color=colour, alpha=0.6, lw=1)
    axes.set_ylim(scale.low, scale.high)
    axes.set_yticks(scale.ticks, labels=[tick_text(tick, figure.unit) for tick in scale.ticks])
    axes.set_title(figure.title, fontsize=10, loc="left")
    if len(figure.curves) > 1:
        axes.legend(fontsize=8, frameon=False)
    _updates_below(axes, span)
    return image_bytes(canvas, "png")


def reliability_png(parts: Sequence[Reliability]) -> bytes:
    """Raises ImportError: matplotlib is not installed."""
    canvas, axes = _canvas((4.2, 3.9))
    axes.plot((0, 1), (0, 1), color="#8a93a0", lw=0.8)
    for (colour, dashes), part in zip(_LINES, parts, strict=False):
        x, y = [each.predicted for each in part.bins], [each.observed for each in part.bins]
        label = f"{part.name}: ECE {part.ece:.3f}, n = {part.n:,}"
        axes.plot(x, y, dashes, color=colour, marker="o", markersize=3.5, lw=1.4, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("value expected", fontsize=8)
    axes.set_ylabel("mean reward that came", fontsize=8)
    axes.set_title("Reliability of the value head", fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False)
    return image_bytes(canvas, "png")


def usage_png(usage: Usage, colour_of: Mapping[str, str], span: tuple[int, int]) -> bytes:
    """Raises ImportError: matplotlib is not installed."""
    from matplotlib.collections import PolyCollection

    canvas, axes = _canvas((9.0, max(3.4, 0.3 * len(usage.names) + 1)))
    columns = [column for column in usage.columns if column.total]
    floors = [0.0] * len(columns)
    for name in usage.names:
        shares = [column.counts.get(name, 0) / column.total for column in columns]
        boxes = [
            _box(column.first - 0.5, column.last + 0.5, floor, floor + share)
            for column, floor, share in zip(columns, floors, shares, strict=True)
        ]
        axes.add_collection(PolyCollection(boxes, color=colour_of[name], lw=0, label=_label(name)))
        floors = [floor + share for floor, share in zip(floors, shares, strict=True)]
    axes.set_ylim(0, 1)
    axes.set_yticks((0, 0.5, 1), labels=("0 %", "50 %", "100 %"))
    axes.set_title("Thought types chosen, share of choices", fontsize=10, loc="left")
    key = axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False, reverse=True)
    for text in key.get_texts():
        text.set_parse_math(False)
    _updates_below(axes, span)
    return _with_any_letters(canvas)


def _box(left: float, right: float, bottom: float, top: float) -> list[tuple[float, float]]:
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def transitions_png(tables: TransitionTables) -> bytes:
    """Raises ImportError: matplotlib is not installed."""
    from matplotlib.figure import Figure

    panels = list(_panels(tables))
    rows, columns = len(tables.origins), len(tables.targets)
    canvas = Figure(
        figsize=(3.0 + len(panels) * (columns * _CELL_INCHES + 0.5), rows * _CELL_INCHES + 3.0),
        layout="constrained",
    )
    canvas.suptitle(f"What followed what on held-out problems, {tables.mode}", fontsize=10)
    all_axes = canvas.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, colours, lowest, share_of) in zip(all_axes, panels, strict=True):
        shares = [[share_of(origin, target) for target in tables.targets] for origin in tables.origins]
        axes.set_facecolor("#e3e3e3")  # shows through where the origin was not visited
        axes.imshow(
            [[float("nan") if share is None else share for share in row] for row in shares],
            cmap=colours,
            vmin=lowest,
            vmax=1.0,
            aspect="equal",
            interpolation="nearest",
        )
        _write_shares(axes, shares)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(
            range(columns), labels=[_label(name) for name in tables.targets], rotation=90, fontsize=7
        )
    all_axes[0].set_yticks(range(rows), labels=[_label(name) for name in tables.origins], fontsize=7)
    for axes in all_axes:
        for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            text.set_parse_math(False)
    return _with_any_letters(canvas, tight=True)


def _panels(
    tables: TransitionTables,
) -> Iterator[tuple[str, str, float, Callable[[str, str], float | None]]]:
    """Title, colours, lowest value and values of each heat map."""

    def share(cell: Cell | None) -> float | None:
        return None if cell is None else cell.share

    def change(origin: str, target: str) -> float | None:
        before, after = tables.before(origin, target), tables.after(origin, target)
        return None if before is None or after is None else after.share - before.share

    yield when(tables.first), "Blues", 0.0, lambda origin, target: share(tables.before(origin, target))
    if tables.last is not None:
        yield when(tables.last), "Blues", 0.0, lambda origin, target: share(tables.after(origin, target))
        yield "change", "PuOr", -1.0, change


def _write_shares(axes: Axes, shares: Sequence[Sequence[float | None]]) -> None:
    for row, cells in enumerate(shares):
        for column, share in enumerate(cells):
            if share is not None and round(100 * share) != 0:
                axes.text(
                    column,
                    row,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color="white" if abs(share) > 0.6 else "#1d2430",
                )


def _canvas(size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    canvas = Figure(figsize=size, layout="constrained")
    axes = canvas.add_subplot()
    axes.grid(axis="y", color="#e3e6ea", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def _updates_below(axes: Axes, span: tuple[int, int]) -> None:
    scale = update_scale(*span)
    axes.set_xlim(scale.low, scale.high)
    axes.set_xticks(scale.ticks, labels=[f"{tick:,.0f}" for tick in scale.ticks])
    axes.set_xlabel("update", fontsize=8)


def _label(name: str) -> str:
    return wrapped(name, _LABEL_CHARACTERS, _LABEL_LINES)


def _with_any_letters(canvas: Figure, *, tight: bool = False) -> bytes:
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; that is no reason to fail or to alarm.
        warnings.simplefilter("ignore", UserWarning)
        return image_bytes(canvas, "png", tight=tight)
