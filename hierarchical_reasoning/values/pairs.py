"""What a value head has gathered: vectors of places, and the rewards that came.

Bounded: the newest `max_pairs` are kept. The oldest go first, because in training they were made by weights, and in a
search under estimates, that are no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchical_reasoning.values.settings import HeadSettings

LEAST_PAIRS = 8
"""A head learns nothing from fewer."""


class Pairs:
    """The newest pairs, oldest first."""

    def __init__(self, settings: HeadSettings) -> None:
        self._max_pairs = settings.max_pairs
        self._n_resamples = settings.n_bootstrap if settings.kind == "bootstrap" else 0
        self._seed = settings.seed
        self.vectors: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self.rewards: NDArray[np.float64] = np.empty(0)
        self.counts: NDArray[np.float64] = np.empty((0, self._n_resamples))
        """How often each pair is in each resample: (pairs, resamples). Drawn once, when the pair comes, from a Poisson
        distribution with mean 1, which is what sampling with replacement comes to where the number of pairs is not
        known before (Oza and Russell, 2001, "Online bagging and boosting")."""
        self.n_seen = 0
        """How many there have been, forgotten ones included."""

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def suffice(self) -> bool:
        """Whether there is anything to learn: `LEAST_PAIRS`, and not all of the same reward."""
        return len(self) >= LEAST_PAIRS and bool((self.rewards != self.rewards[0]).any())

    def copy(self) -> Pairs:
        return copy(self)  # its arrays are replaced, never written into

    def add(self, vectors: NDArray[np.float32], rewards: NDArray[np.float64]) -> None:
        drawn = np.array(
            [
                np.random.default_rng([self._seed, self.n_seen + index]).poisson(1.0, self._n_resamples)
                for index in range(len(rewards))
            ],
            dtype=float,
        ).reshape(len(rewards), self._n_resamples)
        self.n_seen += len(rewards)
        kept = vectors if not len(self) else np.concatenate([self.vectors, vectors])
        self.vectors = kept[-self._max_pairs :]
        self.rewards = np.concatenate([self.rewards, rewards])[-self._max_pairs :]
        self.counts = np.concatenate([self.counts, drawn])[-self._max_pairs :]

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"vectors": self.vectors, "rewards": self.rewards, "counts": self.counts}

    def load_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take what `tensors` gave; `n_seen` is not among it."""
        self.vectors, self.rewards, self.counts = (tensors[name] for name in ("vectors", "rewards", "counts"))
