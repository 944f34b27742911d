"""What was foretold before it came: the record by which a value head that learns online is judged and tempered.

Every pair is predicted before it is learned, so nothing need be held back (Dawid, 1984, "The prequential approach").
The oldest are forgotten: they were foretold by a head that knew less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchical_reasoning.values.calibration import Calibration

N_KEPT = 1000
_LEAST_FOR_TEMPERATURE = 50
_TEMPERATURES: tuple[float, ...] = tuple(2.0 ** (step / 8) for step in range(-16, 33))


class Predictions:
    """The last `N_KEPT`, oldest first."""

    def __init__(self, n_members: int) -> None:
        self._values: NDArray[np.float64] = np.empty(0)
        self._logits_NM: NDArray[np.float64] = np.empty((0, n_members))
        """Of each member, before the temperature."""
        self._rewards: NDArray[np.float64] = np.empty(0)

    def add(
        self,
        values: NDArray[np.float64],
        logits_MN: NDArray[np.float64],
        rewards: NDArray[np.float64],
    ) -> None:
        self._values = np.concatenate([self._values, values])[-N_KEPT:]
        self._logits_NM = np.concatenate([self._logits_NM, logits_MN.T])[-N_KEPT:]
        self._rewards = np.concatenate([self._rewards, rewards])[-N_KEPT:]

    @property
    def calibration(self) -> Calibration | None:
        """Of the values as they were given; None where there are none."""
        if not len(self._values):
            return None
        return Calibration.of(self._values.tolist(), self._rewards.tolist())

    @property
    def temperature(self) -> float | None:
        """`best_temperature`; None while there are too few to tell."""
        if len(self._values) < _LEAST_FOR_TEMPERATURE:
            return None
        return best_temperature(self._logits_NM.T, self._rewards)

    def copy(self) -> Predictions:
        return copy(self)  # its arrays are replaced, never written into

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"values": self._values, "logits": self._logits_NM, "rewards": self._rewards}

    def load_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take what `tensors` gave."""
        self._values, self._logits_NM, self._rewards = (
            tensors[name] for name in ("values", "logits", "rewards")
        )


def best_temperature(logits_MN: NDArray[np.float64], rewards: NDArray[np.float64]) -> float:
    """What to divide logits by (Guo et al., 2017): the one of a grid from 1/4 to 16, 1 included, with the least
    `cross_entropy`; where two have the same, the one nearer to 1."""
    return min(_TEMPERATURES, key=lambda t: (cross_entropy(logits_MN, rewards, t), abs(math.log(t))))


def cross_entropy(logits_MN: NDArray[np.float64], rewards: NDArray[np.float64], temperature: float) -> float:
    """Between rewards and the mean of the members' values."""
    values = np.clip(sigmoid(logits_MN / temperature).mean(axis=0), 1e-12, 1 - 1e-12)
    return float(-(rewards * np.log(values) + (1 - rewards) * np.log1p(-values)).mean())


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return values
