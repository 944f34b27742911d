"""Whether predicted rewards come true: reliability, expected calibration error, Brier score.

Guo, C. et al. (2017), "On calibration of modern neural networks": with predictions in M bins of equal width,
ECE = Σ_m (n_m / n) · |mean prediction in m − mean reward in m|. Theirs bins the confidence of a classifier; here it is
the predicted reward itself that is binned, as is usual where there are two classes. Brier, G. W. (1950),
"Verification of forecasts expressed in terms of probability": the mean of (prediction − reward)².
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

N_BINS = 10


class Bin(BaseModel):
    """Predictions from `low` up to `high`; the last bin has its upper end, the others do not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    n: int
    predicted: float | None
    """Their mean; None where n is 0, as for `observed`."""
    observed: float | None
    """The mean of the rewards that came."""


class Calibration(BaseModel):
    """How predictions of rewards in [0, 1] came true."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]

    @classmethod
    def of(cls, predicted: Sequence[float], rewards: Sequence[float], n_bins: int = N_BINS) -> Calibration:
        """Raises ValueError where there are none, where they differ in number, or where one is not in [0, 1]."""
        if len(predicted) != len(rewards) or not predicted or n_bins < 1:
            raise ValueError(
                f"{len(predicted)} predictions, {len(rewards)} rewards and {n_bins} bins; expected as many rewards as "
                "predictions, and at least one of each"
            )
        outside = [number for number in (*predicted, *rewards) if not 0.0 <= number <= 1.0]
        if outside:
            raise ValueError(f"a prediction or a reward is {outside[0]}, expected a number from 0 to 1")
        inside: list[list[int]] = [[] for _ in range(n_bins)]
        for index, prediction in enumerate(predicted):
            inside[min(int(prediction * n_bins), n_bins - 1)].append(index)
        bins = tuple(
            Bin(
                low=number / n_bins,
                high=(number + 1) / n_bins,
                n=len(indices),
                predicted=_mean([predicted[index] for index in indices]),
                observed=_mean([rewards[index] for index in indices]),
            )
            for number, indices in enumerate(inside)
        )
        n = len(predicted)
        return cls(
            n=n,
            ece=math.fsum(
                abs(math.fsum(predicted[index] - rewards[index] for index in indices)) for indices in inside
            )
            / n,
            brier=math.fsum((p - r) ** 2 for p, r in zip(predicted, rewards, strict=True)) / n,
            bins=bins,
        )

    def in_words(self) -> str:
        return f"ECE {self.ece:.3f}, Brier score {self.brier:.3f} (n = {self.n})"

    def table(self) -> str:
        """One line a bin that is not empty."""
        lines = [f"{'predicted':>12}  {'n':>6}  {'mean':>6}  {'came':>6}"]
        lines += [
            f"{b.low:>5.2f} - {b.high:.2f}  {b.n:>6}  {b.predicted:>6.3f}  {b.observed:>6.3f}"
            for b in self.bins
            if b.n
        ]
        return "\n".join(lines)


def _mean(numbers: Sequence[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None
