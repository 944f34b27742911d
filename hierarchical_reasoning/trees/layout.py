"""Where the nodes of a tree stand in a picture that grows to the right: a column for each depth.

A parent stands in the middle of its children, subtrees of the same shape are drawn alike, and none overlap; a subtree
moves as close to the one above it as their outlines allow (Reingold and Tilford 1981, "Tidier Drawings of Trees"). Here
outlines are merged into the longer one, which takes linear time. Unlike there, subtrees are placed from the first
to the last and not spread again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_BETWEEN_SIBLINGS = 1.0
_BETWEEN_COUSINS = 1.3


@dataclass(frozen=True)
class Place:
    """Of a node."""

    column: int
    """Its depth."""
    row: float
    """From 0 down; two nodes of a column are at least 1 apart."""


@dataclass
class _Outline:
    """The first and the last row of a forest at each depth, the deepest first; `offset` is to be added to each."""

    first: list[float]
    last: list[float]
    offset: float = 0.0


def tidy_layout(root: int, children: Callable[[int], Sequence[int]]) -> dict[int, Place]:
    """The places of a node and all below it, parents before children."""
    columns = {root: 0}
    order = [root]
    for node in order:  # it grows
        for child in children(node):
            columns[child] = columns[node] + 1
            order.append(child)
    rows = _rows_from_parents(order, children)
    for node in order:
        for child in children(node):
            rows[child] += rows[node]
    top = min(rows.values())
    return {node: Place(columns[node], rows[node] - top) for node in order}


def _rows_from_parents(order: Sequence[int], children: Callable[[int], Sequence[int]]) -> dict[int, float]:
    """Each node's row less that of its parent; `order` has parents before children."""
    rows = {order[0]: 0.0}
    outlines: dict[int, _Outline] = {}
    for node in reversed(order):
        below = children(node)
        forest = _Outline([], [])
        for child in below:
            subtree = outlines.pop(child)
            rows[child] = _room_above(forest, subtree)
            subtree.offset += rows[child]
            forest = _merged(forest, subtree)
        if below:
            middle = (rows[below[0]] + rows[below[-1]]) / 2
            for child in below:
                rows[child] -= middle
            forest.offset -= middle
        forest.first.append(-forest.offset)
        forest.last.append(-forest.offset)
        outlines[node] = forest
    return rows


def _room_above(forest: _Outline, subtree: _Outline) -> float:
    """How far the subtree moves down from where its root is in row 0, to stand below the forest."""
    needed = 0.0
    pairs = zip(reversed(forest.last), reversed(subtree.first), strict=False)
    for depth, (last, first) in enumerate(pairs):
        gap = _BETWEEN_COUSINS if depth else _BETWEEN_SIBLINGS
        room = last + forest.offset + gap - first - subtree.offset
        needed = room if depth == 0 else max(needed, room)
    return needed


def _merged(upper: _Outline, lower: _Outline) -> _Outline:
    """That of both; in place of the deeper one, so that the time taken is that of the shallower one."""
    shared = min(len(upper.first), len(lower.first))
    if shared == 0:
        return lower
    if len(lower.first) > len(upper.first):
        lower.first[-shared:] = [row + upper.offset - lower.offset for row in upper.first[-shared:]]
        return lower
    upper.last[-shared:] = [row + lower.offset - upper.offset for row in lower.last[-shared:]]
    return upper
