"""Where the labels of points go, so that they hide neither one another nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

WIDTH, HEIGHT = 620, 320
"""Of the field that places are found for, in pixels; a wider one has only more room."""
_LETTER, _LINE = 6.6, 14
_POINT = 6
_NEAR = 16

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: _Box) -> float:
        """The area in common."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0) * max(down, 0)


_FIELD = _Box(0, 0, WIDTH, HEIGHT)


def label_places(labelled: Sequence[tuple[float, float, str]]) -> list[tuple[Anchor, int, int]]:
    """For each label its anchor and how far, in pixels, its baseline starts from its point.

    Args:
        labelled: x and y of a point, from 0 to 1 and y downwards, and its label.
    """
    taken = [
        _Box(x * WIDTH - _POINT, y * HEIGHT - _POINT, x * WIDTH + _POINT, y * HEIGHT + _POINT)
        for x, y, _ in labelled
    ]
    found = []
    for x, y, label in labelled:
        candidates = [
            (_hidden(box, taken), number, place, box)
            for number, place in enumerate(_candidates())
            for box in [_box(x * WIDTH, y * HEIGHT, len(label) * _LETTER, place)]
        ]
        _, _, place, box = min(candidates, key=lambda each: each[:2])
        taken.append(box)
        found.append(place)
    return found


def is_far(dx: int, dy: int) -> bool:
    """Whether a label needs a line to its point."""
    return abs(dx) > _NEAR or abs(dy) > _NEAR


def _candidates() -> list[tuple[Anchor, int, int]]:
    """The nearest first."""
    near: list[tuple[Anchor, int, int]] = [
        ("start", 9, -6),
        ("start", 9, 14),
        ("end", -9, -6),
        ("end", -9, 14),
    ]
    far: list[tuple[Anchor, int, int]] = [
        ("start" if dx > 0 else "end", dx, dy)
        for dy, dx in product((-24, 32, -42, 50, -60, 68, -78, 86), (22, -22, 44, -44))
    ]
    return near + far


def _box(x: float, y: float, width: float, place: tuple[Anchor, int, int]) -> _Box:
    anchor, dx, dy = place
    left = x + dx - (width if anchor == "end" else 0)
    return _Box(left, y + dy - _LINE + 3, left + width, y + dy + 3)


def _hidden(box: _Box, taken: Sequence[_Box]) -> float:
    """Area of a label that is outside or on something else."""
    area = (box.right - box.left) * (box.bottom - box.top)
    return area - box.covers(_FIELD) + sum(box.covers(other) for other in taken)
