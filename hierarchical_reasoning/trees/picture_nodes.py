"""The nodes of a picture, and on graded leaves what they were graded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees.layout import Place
from hierarchical_reasoning.trees.picture_style import CHOSEN, FAINT, Look, Scale, grade_colour, look_of
from hierarchical_reasoning.trees.view import GRADE_MARKS, NO_GRADE_MARK, TreeView, grade_mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

_SIGNS = {
    GRADE_MARKS[Outcome.CORRECT]: (((-0.5, 0.05), (-0.15, -0.35), (0.5, 0.4)),),
    GRADE_MARKS[Outcome.WRONG]: (((-0.4, -0.4), (0.4, 0.4)), ((-0.4, 0.4), (0.4, -0.4))),
    NO_GRADE_MARK: (((-0.5, 0.0), (0.5, 0.0)),),
}
"""Lines, each from point to point."""
_SMALL = {GRADE_MARKS[Outcome.CORRECT]: "o", GRADE_MARKS[Outcome.WRONG]: "X", NO_GRADE_MARK: "s"}
_WITHIN = 0.8
"""Diameter of what tells the grade, of that of its node: the colour of a thought type is seen around it."""


def draw_nodes(axes: Axes, view: TreeView, places: Mapping[int, Place], scale: Scale) -> None:
    """All of them, grades too, and a ring around the one that was chosen."""
    looks: defaultdict[Look, list[int]] = defaultdict(list)
    for node_id in places:
        node = view.node(node_id)
        look = look_of(node)
        looks[replace(look, face="white", edge=FAINT) if node.pruned else look].append(node_id)
    rim = min(0.9, scale.marker / 10) if scale.has_signs else 0.0
    for look, members in sorted(looks.items()):
        axes.scatter(
            [places[node_id].column for node_id in members],
            [places[node_id].row for node_id in members],
            s=[_diameter(view, node_id, scale) ** 2 for node_id in members],
            marker=look.shape,
            c=look.face,
            edgecolors=look.edge,
            linewidths=rim,
            zorder=5,
        )
    _draw_grades(axes, view, places, scale)
    if view.tree.chosen is not None:
        chosen = places[view.tree.chosen]
        diameter = _diameter(view, view.tree.chosen, scale) + max(3.0, scale.marker / 2)
        axes.plot(chosen.column, chosen.row, "o", ms=diameter, mfc="none", mec=CHOSEN, mew=1.6, zorder=7)


def _diameter(view: TreeView, node_id: int, scale: Scale) -> float:
    promise = view.promise(node_id)
    if view.node(node_id).leaf is not None:
        promise = 1.0  # what marks its grade has to fit
    return scale.marker * (0.5 + 0.5 * (0.5 if promise is None else promise))


def _draw_grades(axes: Axes, view: TreeView, places: Mapping[int, Place], scale: Scale) -> None:
    """What each graded leaf is, by the colour of its grade and by a check, a cross or a bar on it; where that would be
    too small, by its own shape."""
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for node_id in places:
        node = view.node(node_id)
        mark = grade_mark(node)
        if node.leaf is not None and mark is not None:
            groups[mark, "white" if node.pruned else grade_colour(node.leaf.outcome)].append(node_id)
    for (mark, ground), members in groups.items():
        columns = [places[node_id].column for node_id in members]
        rows = [places[node_id].row for node_id in members]
        axes.scatter(
            columns,
            rows,
            s=(_WITHIN * scale.marker if scale.has_signs else scale.marker) ** 2,
            marker="o" if scale.has_signs else _SMALL[mark],
            c=ground,
            edgecolors=FAINT,
            linewidths=0.5 if ground == "white" else 0.0,
            zorder=6,
        )
        if scale.has_signs:
            axes.scatter(
                columns,
                rows,
                s=(0.5 * scale.marker) ** 2,
                marker=_sign(mark),
                facecolors="none",
                edgecolors=FAINT if ground == "white" else "white",
                linewidths=max(0.4, scale.marker / 7),
                zorder=7,
            )


def _sign(mark: str) -> Path:
    from matplotlib.path import Path

    return Path.make_compound_path(*(Path(line) for line in _SIGNS[mark]))
