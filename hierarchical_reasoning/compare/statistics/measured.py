"""Means and ratios of what was measured, such as tokens and dollars, with their bootstrap intervals over problems."""

from __future__ import annotations

from collections.abc import Sequence

from hierarchical_reasoning.results.intervals import RESAMPLES, Estimate

_DRAWN_AT_ONCE = 4_000_000
"""Problems, 16 bytes each."""


def measured_mean(values: Sequence[float], *, seed: int) -> Estimate | None:
    """The mean of one value a problem; None without one."""
    return measured_ratio([(value, 1) for value in values], seed=seed)


def measured_ratio(pairs: Sequence[tuple[float, float]], *, seed: int) -> Estimate | None:
    """The ratio of sums over problems, the percentile interval from drawing problems again; None without one.

    Unlike counts of right answers, nearly every problem has values of its own, so it is problems that are drawn.

    Args:
        pairs: of each problem what is added above, and what is added below, which is more than 0.
        seed: of what is drawn. The order of the problems changes nothing.
    """
    import numpy as np

    n = len(pairs)
    if not n:
        return None
    rng = np.random.default_rng(seed)
    pairs_N2 = np.array(sorted(pairs), dtype=float)
    ratios_R = np.empty(RESAMPLES)
    at_once = max(1, _DRAWN_AT_ONCE // n)
    for start in range(0, RESAMPLES, at_once):
        drawn_RN = rng.integers(n, size=(min(at_once, RESAMPLES - start), n))
        above_R, below_R = (column_N[drawn_RN].sum(axis=1) for column_N in pairs_N2.T)
        ratios_R[start : start + at_once] = above_R / below_R
    low, high = np.quantile(ratios_R, [0.025, 0.975])
    above, below = pairs_N2.sum(axis=0)
    return Estimate(value=float(above / below), low=float(low), high=float(high), n=n)
