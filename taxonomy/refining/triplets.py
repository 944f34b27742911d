"""Triplets, in the batches that a model is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SHARE = 0.2
"""Of what triplets are drawn from; nothing held out is seen in training."""


@dataclass(frozen=True)
class Triplets:
    """Texts, and which of them are more alike."""

    texts: tuple[str, ...]
    anchor_positive_negative: NDArray[np.signedinteger[Any]]
    """(T, 3) positions in `texts`."""

    def __len__(self) -> int:
        return len(self.anchor_positive_negative)


@dataclass(frozen=True)
class Lesson:
    """What a model is trained on, and what it is then measured by."""

    batches: tuple[Triplets, ...]
    """In the order of training."""
    held_out: Triplets
    """May be empty: then nothing is measured."""
    notes: tuple[str, ...] = ()
    """What differs from what was asked for, in sentences."""


def triplets_of(texts: Sequence[str], rows: Sequence[tuple[int, int, int]]) -> Triplets:
    """Triplets of positions in a longer list of texts, with only the texts that they need."""
    needed = sorted({row for triplet in rows for row in triplet})
    place = {row: number for number, row in enumerate(needed)}
    positions = [[place[row] for row in triplet] for triplet in rows]
    return Triplets(
        tuple(texts[row] for row in needed), np.array(positions, dtype=np.int64).reshape(len(rows), 3)
    )
