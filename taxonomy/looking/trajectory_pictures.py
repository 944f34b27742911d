"""Pictures of trajectories: heatmaps over the trace, and what follows what. Needs matplotlib.

Correct and wrong rollouts stand side by side, with the same rows and the same colours for the same shares;
where outcomes are not known, there is one panel for all.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from taxonomy.drawing import image_bytes, wrapped
from taxonomy.looking.errors import LookingError
from taxonomy.looking.plot import require_matplotlib
from taxonomy.looking.traces import LevelTraces
from taxonomy.looking.trajectories import (
    PositionRow,
    TransitionRow,
    order_by_position,
    position_frame,
    transition_frame,
)
from taxonomy.transitions import END, START

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABEL_CHARACTERS = 40
_LABEL_LINES = 2
_ROW_INCHES = 0.36
_PANEL_INCHES = 3.6
_LABEL_INCHES = 2.4
_INK = "#1d2430"
_FORWARD, _BACKWARD = "#2166ac", "#b2500f"


def draw_positions(
    traces: LevelTraces,
    image_format: str,
    *,
    bins: int = 20,
    share_of: Literal["type", "position"] = "type",
) -> bytes:
    """Heatmaps: a row per thought type, early ones first; a column per bin of the normalised trace.

    Args:
        traces: of one level.
        image_format: "png" or "svg".
        bins: columns.
        share_of: a cell is a share of its thought type's chunks (where does it occur), or of the chunks at
            that position (what occurs there).

    Raises:
        MissingPackageError: matplotlib is not installed.
        LookingError: the number of bins is not allowed.
    """
    require_matplotlib()
    frame = position_frame(traces, bins=bins)
    order = order_by_position(traces)
    groups = _side_by_side(traces)
    cells: defaultdict[str, dict[tuple[str, int], PositionRow]] = defaultdict(dict)
    for row in frame:
        cells[row.group][row.node_id, row.bin] = row
    shares = {
        group: [
            [_share(cells[group][node_id, number], share_of) for number in range(bins)] for node_id in order
        ]
        for group in groups
    }
    totals = {
        group: [sum(cells[group][node_id, number].chunks for number in range(bins)) for node_id in order]
        for group in groups
    }
    figure = _heatmaps(traces, order, groups, shares, totals)
    figure.suptitle(
        f"Where the thought types of level {traces.level} occur: share of "
        + ("each type's chunks" if share_of == "type" else "the chunks at each position"),
        fontsize=10,
    )
    return image_bytes(figure, image_format, tight=True)


def _share(row: PositionRow, share_of: str) -> float:
    share = row.share_of_type if share_of == "type" else row.share_of_bin
    return float("nan") if share is None else share


def _heatmaps(
    traces: LevelTraces,
    order: Sequence[str],
    groups: Sequence[str],
    shares: Mapping[str, list[list[float]]],
    totals: Mapping[str, list[float]],
) -> "Figure":
    highest = max(
        (cell for rows in shares.values() for row in rows for cell in row if cell == cell), default=1
    )
    from matplotlib.colors import PowerNorm

    figure, panels = _panels(groups, len(order))
    # By square roots, since the few types that open or end every trace would leave all others in the dark.
    colours = PowerNorm(0.5, vmin=0.0, vmax=highest or 1.0)
    for panel, group in zip(panels, groups, strict=True):
        panel.set_facecolor("#e3e3e3")  # shows through where a thought type has no chunk
        image = panel.imshow(
            shares[group],
            aspect="auto",
            cmap="viridis",
            norm=colours,
            interpolation="nearest",
            extent=(0.0, 1.0, len(order) - 0.5, -0.5),
        )
        panel.set_xticks((0.0, 0.25, 0.5, 0.75, 1.0), labels=("start", "¼", "½", "¾", "end"), fontsize=8)
        panel.set_xlabel("position in the trace", fontsize=8)
        panel.set_title(_panel_title(traces, group), fontsize=9)
        for row, total in enumerate(totals[group]):
            panel.text(1.015, row, f"{total:,.0f}", va="center", fontsize=7, color="#5b6575")
    _label_rows(panels, [traces.name_of[node_id] for node_id in order])
    bar = figure.colorbar(image, ax=panels, fraction=0.03, pad=0.1 / len(panels), aspect=30)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return figure


def draw_transitions(traces: LevelTraces, image_format: str, *, min_share: float = 0.1) -> bytes:
    """A graph: thought types from early to late down a line, an arc for each transition.

    Arcs on the right lead onward, those on the left lead back; their width is the share of what follows the
    thought type that they come from. A ring says how often a thought type follows itself.

    Args:
        traces: of one level.
        image_format: "png" or "svg".
        min_share: rarer transitions are not drawn; the title says how many are.

    Raises:
        MissingPackageError: matplotlib is not installed.
        LookingError: `min_share` is not between 0 and 1.
    """
    if not 0.0 <= min_share <= 1.0:
        raise LookingError(f"min_share is {min_share}, 0 to 1 is allowed (--min_share)")
    require_matplotlib()
    place_of = {node_id: place for place, node_id in enumerate((START, *order_by_position(traces), END))}
    groups = _side_by_side(traces)
    rows_of: defaultdict[str, list[TransitionRow]] = defaultdict(list)
    for row in transition_frame(traces):
        rows_of[row.group].append(row)
    figure, panels = _panels(groups, len(place_of))
    drawn_of = {group: [row for row in rows_of[group] if row.share >= min_share] for group in groups}
    spans = [
        abs(place_of[row.target_id] - place_of[row.origin_id]) for rows in drawn_of.values() for row in rows
    ]
    for panel, group in zip(panels, groups, strict=True):
        drawn = drawn_of[group]
        _draw_arcs(panel, drawn, place_of, longest=max(spans, default=1))
        panel.set_title(
            f"{_panel_title(traces, group)}\n{len(drawn)} of {len(rows_of[group])} transitions", fontsize=9
        )
    _label_rows(panels, [{START: "start", END: "end", **traces.name_of}[node_id] for node_id in place_of])
    figure.suptitle(
        f"What follows what at level {traces.level}: at least {min_share:.0%} of what follows a thought type\n"
        "right, blue: onward; left, orange: back; ring: follows itself",
        fontsize=10,
    )
    return image_bytes(figure, image_format, tight=True)


def _draw_arcs(
    panel: "Axes", rows: Sequence[TransitionRow], place_of: Mapping[str, int], *, longest: int
) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    count = len(place_of)
    panel.set_xlim(-1.05, 1.05)
    panel.set_ylim(count - 0.5, -0.5)
    panel.set_xticks(())
    for edge in ("top", "right", "bottom", "left"):
        panel.spines[edge].set_visible(False)
    panel.hlines(range(count), -1.05, 1.05, color="#ececec", lw=0.6, zorder=0)
    panel.plot([0.0] * count, range(count), "o", color=_INK, markersize=3.5, zorder=3)
    for row in rows:
        start, end = place_of[row.origin_id], place_of[row.target_id]
        if start == end:
            panel.plot(
                [0.0], [start], "o", mfc="none", mec=_INK, markersize=6 + 12 * row.share, mew=0.9, zorder=4
            )
            continue
        side = 1.0 if end > start else -1.0
        reach = side * (0.15 + 1.15 * abs(end - start) / longest)  # a cubic reaches 3/4 of its control points
        curve = Curve(
            [(0.0, start), (reach, start), (reach, end), (0.0, end)],
            [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4],
        )
        panel.add_patch(
            FancyArrowPatch(
                path=curve,
                arrowstyle="-|>",
                mutation_scale=7,
                lw=0.5 + 3.5 * row.share,
                alpha=0.35 + 0.6 * row.share,
                color=_FORWARD if side > 0 else _BACKWARD,
                shrinkA=0,
                shrinkB=3,
                zorder=2,
            )
        )


def _side_by_side(traces: LevelTraces) -> tuple[str, ...]:
    """Correct beside wrong, where there are both; else all."""
    groups = traces.groups()
    return ("correct", "wrong") if {"correct", "wrong"} <= groups.keys() else ("all",)


def _panel_title(traces: LevelTraces, group: str) -> str:
    members = traces.groups()[group]
    steps = sum(len(trace.steps) for trace in members)
    unknown = "" if traces.graded else "\nwhich are correct is not known"
    return f"{group} rollouts: {len(members):,}, {steps:,} chunks{unknown}"


def _panels(groups: Sequence[str], rows: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(_LABEL_INCHES + _PANEL_INCHES * len(groups), _ROW_INCHES * rows + 1.4), layout="constrained"
    )
    panels = [figure.add_subplot(1, len(groups), number + 1) for number in range(len(groups))]
    return figure, panels


def _label_rows(panels: "Sequence[Axes]", names: Sequence[str]) -> None:
    labels = [wrapped(name, _LABEL_CHARACTERS, _LABEL_LINES) for name in names]
    for number, panel in enumerate(panels):
        panel.set_yticks(
            range(len(labels)), labels=labels if number == 0 else [""] * len(labels), fontsize=7.5
        )
        panel.tick_params(axis="y", length=0)
        for text in panel.get_yticklabels():
            text.set_parse_math(False)
