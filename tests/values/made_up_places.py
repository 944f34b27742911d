"""Places whose reward can be told from numbers that stand in their last text, and an encoder that reads these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.values import Place


class ReadsNumbers:
    """The vector of a place is what its last text says; of words, their lengths."""

    def __init__(self, name: str = "numbers", scale: float = 1.0, width: int | None = None) -> None:
        self.name = name
        self._scale = scale
        self._width = width
        self.encoded: list[Place] = []

    async def encode(self, places: Sequence[Place]) -> NDArray[np.float32]:
        self.encoded += places
        rows = [[_number(word) for word in place.texts[-1].split()] for place in places]
        width = self._width or 4
        return self._scale * np.array([(row + [0.0] * width)[:width] for row in rows], dtype=np.float32)


def place_at(numbers: Sequence[float], problem: int = 0) -> Place:
    text = " ".join(f"{number:.4f}" for number in numbers)
    return Place(Problem(f"p{problem}", f"problem {problem}", None, None, {}), ("a thought", text))


def exclusive_or(n: int, seed: int, n_problems: int = 1) -> tuple[list[Place], list[float]]:
    """Places in four dimensions, worth 1 where the first two numbers have different signs."""
    points = np.random.default_rng(seed).normal(size=(n, 4))
    places = [place_at(point.tolist(), index % n_problems) for index, point in enumerate(points)]
    return places, [float((point[0] > 0) != (point[1] > 0)) for point in points]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float(len(word))
