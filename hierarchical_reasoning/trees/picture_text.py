"""What is written in a picture: cut to the room that there is, and never read as markup."""

from __future__ import annotations

import textwrap
import unicodedata
from itertools import accumulate
from typing import TYPE_CHECKING

from hierarchical_reasoning.trees.layout import Place
from hierarchical_reasoning.trees.node import Node
from hierarchical_reasoning.trees.picture_style import DIM, INK, PALE, Scale, look_of
from hierarchical_reasoning.trees.view import CHOSEN_MARK, TreeView
from taxonomy.terminal import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_READ = 400
"""Characters of a text that are looked at; more do not fit."""


def draw_label(axes: Axes, view: TreeView, node_id: int, place: Place, scale: Scale) -> None:
    """The heading of a node above its line and, where the scale has lines for it, its text below."""
    node = view.node(node_id)
    right = scale.marker * (1.0 if node_id == view.tree.chosen else 0.7)
    axes.annotate(
        _heading(view, node, scale),
        (place.column, place.row),
        xytext=(right, scale.letters * 0.3),
        textcoords="offset points",
        va="bottom",
        fontsize=scale.letters,
        fontweight="bold" if node_id in view.chosen_path else "normal",
        color=DIM if node.pruned else INK,
        parse_math=False,
        zorder=8,
    )
    if scale.text_lines:
        text = f"pruned, {node.pruned}: {node.text[:_READ]}" if node.pruned else node.text
        lines = textwrap.wrap(plain(text), scale.text_cells, max_lines=scale.text_lines, placeholder="…")
        axes.annotate(
            "\n".join(fitted(line, scale.text_cells) for line in lines),
            (place.column, place.row),
            xytext=(right, -scale.letters * 0.35),
            textcoords="offset points",
            va="top",
            fontsize=scale.letters - 0.5,
            linespacing=1.1,
            color=PALE if node.pruned else DIM,
            parse_math=False,
            zorder=8,
        )


def _heading(view: TreeView, node: Node, scale: Scale) -> str:
    """The number of the node, what it is, and its score; where there is little room, without the second."""
    before = f"#{node.id} {CHOSEN_MARK}" if node.id == view.tree.chosen else f"#{node.id}"
    behind = "" if node.scores is None else f" {node.scores.total:.2f}"
    if not scale.text_lines:
        return fitted(before + behind, scale.heading_cells)
    if node.scores is not None and node.scores.uncertainty is not None:
        behind += f" ±{node.scores.uncertainty:.2f}"
    room = max(8, scale.heading_cells - cells_of(before) - cells_of(behind) - 1)
    return f"{before} {fitted(plain(_name(node)), room)}{behind}"


def _name(node: Node) -> str:
    if node.thought_type is not None:
        return node.thought_type
    if node.leaf is not None and node.leaf.extracted is not None:
        return f"{look_of(node).name}: {node.leaf.extracted}"
    return look_of(node).name


def plain(text: str) -> str:
    """In a line; a lone surrogate, which no UTF-8 can hold, is written out, as control characters are."""
    return one_line(text[:_READ].encode("utf-8", "backslashreplace").decode())


def fitted(text: str, cells: int) -> str:
    """The text, shortened with "…" where it takes more cells."""
    if cells_of(text) <= cells:
        return text
    ends = accumulate(map(cells_of, text))
    return text[: sum(end < cells for end in ends)].rstrip() + "…"


def cells_of(text: str) -> int:
    """How wide a text is, in letters: Chinese, Japanese and Korean ones are as wide as two others."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
