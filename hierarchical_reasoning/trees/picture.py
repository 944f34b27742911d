"""A tree as PNG or SVG: the problem at the left, a column for each depth. Needs matplotlib (the `plot` extra).

Colour and shape of a node are those of its thought type; it is the larger, and the line to it the wider, the more it
promises (`TreeView.promise`). What was pruned is grey and its lines are dashed; the path of the chosen leaf is wide and
orange; graded leaves have a check or a cross. Up to about 70 nodes have their text, up to about 300 their id and score,
more are dots. The same tree gives the same bytes from one version of matplotlib.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from hierarchical_reasoning.trees.layout import Place, tidy_layout
from hierarchical_reasoning.trees.picture_nodes import draw_nodes
from hierarchical_reasoning.trees.picture_style import CHOSEN, FAINT, INK, Scale, look_of, scale_for
from hierarchical_reasoning.trees.picture_text import cells_of, draw_label, fitted, plain
from hierarchical_reasoning.trees.view import TreeView
from hierarchical_reasoning.wording import counted
from taxonomy.drawing import image_bytes
from taxonomy.looking.errors import MissingPackageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_TEXT_SHARE = 0.86
"""Of a column: its nodes' lines and labels; in what is left, lines branch off."""
_LEGEND_NAMES = 24
_LEGEND_CELLS = 44
_LEGEND_INCHES = 2.9


def require_matplotlib() -> None:
    """Raises MissingPackageError, which says what to install, where matplotlib is absent."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            "--plot needs matplotlib, which is not installed: pip install 'hierarchical-reasoning[plot]'; --html "
            "needs nothing"
        ) from error


def tree_picture(view: TreeView, image_format: Literal["png", "svg"]) -> bytes:
    """The picture, as the content of a file.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    places = tidy_layout(view.tree.root, view.children)
    scale = scale_for(places.values())
    columns = 1 + max(place.column for place in places.values())
    rows = 1 + max(place.row for place in places.values())
    figure = Figure(figsize=(max(columns * scale.column, 4.5), max(rows * scale.row, 0.8)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-0.1, figure.get_figwidth() / scale.column - 0.1)
    axes.set_ylim(max(rows, 0.8 / scale.row) - 0.5, -0.5)
    _draw_lines(axes, view, places, scale)
    draw_nodes(axes, view, places, scale)
    if scale.heading_cells:
        for node_id, place in places.items():
            draw_label(axes, view, node_id, place, scale)
    _draw_legend(figure, axes, view)
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; that is no reason to fail or to alarm.
        warnings.simplefilter("ignore", UserWarning)
        return image_bytes(figure, image_format, tight=True)


def _draw_lines(axes: Axes, view: TreeView, places: Mapping[int, Place], scale: Scale) -> None:
    """A line from every parent to its child; those of the chosen path last, above the others."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path

    groups: dict[str, list[tuple[Path, float]]] = {"pruned": [], "kept": [], "chosen": []}
    for node_id, end in places.items():
        node = view.node(node_id)
        if node.parent is None:
            continue
        start = places[node.parent]
        straight = start.column + (_TEXT_SHARE if scale.heading_cells else 0.0)
        middle = (straight + end.column) / 2
        path = Path(
            [
                (start.column, start.row),
                (straight, start.row),
                (middle, start.row),
                (middle, end.row),
                (end.column, end.row),
            ],
            [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        width = scale.marker / 11 * (0.5 + 1.5 * (view.promise(node_id) or 0.0))
        name = "pruned" if node.pruned else "chosen" if node_id in view.chosen_path else "kept"
        groups[name].append((path, width))
    styles = {
        "pruned": (FAINT, (0, (3, 2)), 0.5),
        "kept": (FAINT, "solid", 1.0),
        "chosen": (CHOSEN, "solid", 1.0),
    }
    for order, (name, drawn) in enumerate(groups.items(), start=1):
        colour, dashes, width = styles[name]
        extra = max(1.5, scale.marker / 5) if name == "chosen" else 0.0
        axes.add_collection(
            PathCollection(
                [path for path, _ in drawn],
                facecolors="none",
                edgecolors=colour,
                linestyles=[dashes],
                linewidths=[width * each + extra for _, each in drawn],
                capstyle="butt",
                zorder=order,
            ),
            autolim=False,
        )


def _draw_legend(figure: Figure, axes: Axes, view: TreeView) -> None:
    handles = list(_legend(view))
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, -0.1 / figure.get_figheight()),
        ncols=max(1, min(len(handles), int(figure.get_figwidth() / _LEGEND_INCHES))),
        fontsize=7.5,
        frameon=False,
        borderaxespad=0.0,
    )
    title = axes.text(
        0.0,
        1.0 + 0.14 / figure.get_figheight(),
        _title(view, int(figure.get_figwidth() * 9)),
        transform=axes.transAxes,
        fontsize=10,
        color=INK,
    )
    for text in (*legend.get_texts(), title):
        text.set_parse_math(False)


def _title(view: TreeView, cells: int) -> str:
    shown = counted(len(view), "node")
    pruned = f", {counted(view.hidden, 'pruned one')} not shown" if view.hidden else ""
    counts = f" · {shown}{pruned}"
    return fitted(plain(view.tree.problem_id), max(12, cells - cells_of(counts))) + counts


def _legend(view: TreeView) -> Iterator[Line2D]:
    from matplotlib.lines import Line2D

    counts = Counter(look_of(view.node(node_id)) for node_id in view.walk() if not view.node(node_id).pruned)
    ordered = sorted(counts.items(), key=lambda each: (not each[0].is_thought_type, -each[1], each[0]))
    for look, count in ordered[:_LEGEND_NAMES]:
        name = f"{fitted(plain(look.name), _LEGEND_CELLS)} ({count:,})"
        edge = INK if look.face == "white" else look.face
        yield Line2D([], [], marker=look.shape, ls="", ms=7, mfc=look.face, mec=edge, label=name)
    if len(ordered) > _LEGEND_NAMES:
        yield Line2D(
            [], [], ls="", label=f"and {len(ordered) - _LEGEND_NAMES:,} more, by their colours and shapes"
        )
    if view.chosen_path:
        yield Line2D([], [], color=CHOSEN, lw=3, label="path of the chosen answer")
    if len(view) > len(view.tree):
        label = f"pruned ({len(view) - len(view.tree):,})"
        yield Line2D([], [], color=FAINT, ls=(0, (3, 2)), marker="o", mfc="white", mec=FAINT, label=label)
