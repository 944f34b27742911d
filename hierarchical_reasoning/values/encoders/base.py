"""The seam of encoders: places in, vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hierarchical_reasoning.values.base import Place

    Vectors = NDArray[np.float32]
    """One row a place."""


class Encoder(Protocol):
    """Makes vectors of one width. A place's vector depends on its texts alone."""

    @property
    def name(self) -> str:
        """What the vectors are, for the record and for messages."""

    async def encode(self, places: Sequence[Place]) -> Vectors:
        """A row for each of at least one place, in their order; finite numbers."""
