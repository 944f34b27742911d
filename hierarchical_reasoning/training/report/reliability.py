"""How what a value head expected came true, over many updates: the bins of their calibrations added up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hierarchical_reasoning.training.log import CalibrationBin, UpdateRecord
from hierarchical_reasoning.training.report.reading import TrainingLog
from hierarchical_reasoning.training.report.series import Point


@dataclass(frozen=True)
class ReliabilityBin:
    n: int
    predicted: float
    """The mean of what was expected."""
    observed: float
    """The mean of the rewards that came."""


@dataclass(frozen=True)
class Reliability:
    """Of consecutive updates."""

    first: int
    last: int
    bins: tuple[ReliabilityBin, ...]
    """Those that are not empty, in order."""

    @property
    def name(self) -> str:
        return Point(self.first, self.last, None).where

    @property
    def n(self) -> int:
        return sum(each.n for each in self.bins)

    @property
    def ece(self) -> float:
        """Of all these updates together, as `values.calibration` defines it."""
        return math.fsum(each.n * abs(each.predicted - each.observed) for each in self.bins) / self.n


def reliabilities(log: TrainingLog) -> tuple[Reliability, ...]:
    """Of the first and of the second half of the updates in which values were told; of the one, where there is one."""
    told = [update for update in log.updates if update.calibration]
    middle = len(told) // 2
    return tuple(_of(part) for part in (told[:middle], told[middle:]) if part)


def _of(updates: Sequence[UpdateRecord]) -> Reliability:
    by_bin: dict[float, list[CalibrationBin]] = {}
    for update in updates:
        for found in update.calibration:
            by_bin.setdefault(found["low"], []).append(found)
    bins = (_added(by_bin[low]) for low in sorted(by_bin))
    return Reliability(updates[0].update, updates[-1].update, tuple(bins))


def _added(parts: Sequence[CalibrationBin]) -> ReliabilityBin:
    n = sum(part["n"] for part in parts)
    return ReliabilityBin(
        n,
        predicted=math.fsum(part["n"] * part["predicted"] for part in parts) / n,
        observed=math.fsum(part["n"] * part["observed"] for part in parts) / n,
    )
