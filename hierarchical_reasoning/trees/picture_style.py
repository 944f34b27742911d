"""How large a picture of a tree is drawn, and what its nodes look like."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.thought_colours import HUES, hex_of, hue_of
from hierarchical_reasoning.trees.layout import Place
from hierarchical_reasoning.trees.node import Node
from hierarchical_reasoning.trees.view import grade_mark

INK, DIM, PALE, FAINT = "#1d2430", "#5b6575", "#8a93a0", "#aab2bd"
CHOSEN = "#e08a00"
_GRADES = {Outcome.CORRECT: "#1c7a3e", Outcome.WRONG: "#c0392b"}
_NO_GRADE = "#7a8494"
_SHAPES = ("o", "s", "^", "D", "v", "P", "p", "h")
_LIGHTNESS = (0.42, 0.62)


@dataclass(frozen=True)
class Scale:
    """Sizes of a picture, in inches and, for markers and letters, in points."""

    column: float
    row: float
    marker: float
    """Diameter of the largest."""
    heading_cells: int = 0
    """Letters above the line of a node; 0: none."""
    text_cells: int = 0
    """Letters of a line of its text below that."""
    text_lines: int = 0
    letters: float = 7.0

    @property
    def has_signs(self) -> bool:
        """Whether a sign can be told on a marker."""
        return self.marker > 4.0


_IN_FULL = Scale(column=2.35, row=0.56, marker=11, heading_cells=34, text_cells=38, text_lines=2)
_IN_SHORT = Scale(column=0.92, row=0.2, marker=7, heading_cells=13, letters=5.5)
_FULL_NODES, _FULL_COLUMNS = 70, 12
_SHORT_NODES, _SHORT_COLUMNS = 320, 30
_DOTS_WIDTH, _DOTS_HEIGHT = 20.0, 20.0


def scale_for(places: Collection[Place]) -> Scale:
    """The largest at which the picture is not too large to be looked at."""
    columns = 1 + max(place.column for place in places)
    rows = 1 + max(place.row for place in places)
    if len(places) <= _FULL_NODES and columns <= _FULL_COLUMNS:
        return _IN_FULL
    if len(places) <= _SHORT_NODES and columns <= _SHORT_COLUMNS:
        return _IN_SHORT
    row = min(0.11, _DOTS_HEIGHT / rows)
    column = min(_DOTS_WIDTH, max(0.9 * columns, rows * row / 2)) / columns
    return Scale(column, row, marker=max(2.2, min(7.0, 72 * row)))


@dataclass(frozen=True, order=True)
class Look:
    """Of the nodes of one kind."""

    name: str
    """In the legend."""
    shape: str
    face: str
    edge: str
    is_thought_type: bool = False


def look_of(node: Node) -> Look:
    """Steady: that of a thought type is the same in every picture."""
    if node.parent is None:
        return Look("problem", "o", "white", INK)
    if node.thought_type is not None:
        lightness, shape = divmod(_beyond_hue(node.thought_type), len(_SHAPES))
        face = hex_of(hue_of(node.thought_type), lightness=_LIGHTNESS[lightness], saturation=0.6)
        return Look(node.thought_type, _SHAPES[shape], face, "white", is_thought_type=True)
    if node.leaf is not None:
        name = f"{grade_mark(node) or ''} {node.leaf.outcome}".strip().replace("_", " ")
        return Look(name, "o", grade_colour(node.leaf.outcome), "white")
    return Look(node.kind, "o", "#8794a8", "white")


def _beyond_hue(thought_type: str) -> int:
    """Tells thought types of the same hue apart: a number for each combination of lightness and shape."""
    number = zlib.crc32(thought_type.encode("utf-8", "surrogatepass")) // HUES
    return number % (len(_SHAPES) * len(_LIGHTNESS))


def grade_colour(outcome: Outcome) -> str:
    return _GRADES.get(outcome, _NO_GRADE)
