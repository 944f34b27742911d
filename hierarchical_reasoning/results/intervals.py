"""Shares with their uncertainty: the Wilson score interval, the bootstrap over problems, and numbers that carry them.

Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference". It stays inside
[0, 1] and is meaningful at 0 and at n successes, where the textbook interval has no width. It needs independent
successes; where a problem has several samples, the problems are drawn again instead: Efron, B. (1979), "Bootstrap
methods: another look at the jackknife".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from pydantic import BaseModel, ConfigDict

RESAMPLES = 10_000


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The lower and upper bound of the share behind `successes` out of `n`.

    With z the two-sided normal quantile and p = successes / n::

        (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n)

    Nothing observed (n = 0) leaves the whole range, (0, 1). Raises ValueError for counts or a confidence out
    of range.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n, not {successes} of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half_width = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == n else (centre + half_width) / scale
    return low, high


def bootstrap_interval(
    pairs: Mapping[tuple[float, float], int], *, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The percentile interval of a ratio of sums over problems, the problems drawn again with replacement.

    A problem with the pair (a, b) adds a to the sum above and b > 0 to the one below; 0 <= a <= b. Where every
    problem has the same ratio, 0 or 1, drawing again tells nothing, and the interval is Wilson's over problems. No
    problem at all leaves the whole range, (0, 1).

    Args:
        pairs: how many problems have each pair. Problems with the same pair are alike, so drawing n problems is
            drawing how often each pair comes, from a multinomial distribution.
        seed: of what is drawn.
        confidence: of the interval.
    """
    n = sum(pairs.values())
    if n == 0:
        return 0.0, 1.0
    ratios = {above / below for above, below in pairs}
    if ratios in ({0.0}, {1.0}):
        return wilson_interval(n if ratios == {1.0} else 0, n, confidence)
    return percentile_interval(pairs, seed=seed, confidence=confidence)


def percentile_interval(
    pairs: Mapping[tuple[float, float], int], *, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """As `bootstrap_interval`, of one problem or more and of whatever quantity: a has no bounds, and where every
    problem has the same ratio the interval has no width."""
    import numpy as np

    n = sum(pairs.values())
    ordered = sorted(pairs)
    rng = np.random.default_rng(seed)
    drawn_RP = rng.multinomial(n, [pairs[pair] / n for pair in ordered], size=RESAMPLES)
    above_R, below_R = (drawn_RP @ np.asarray(ordered, dtype=float)).T
    tail = (1 - confidence) / 2
    low, high = np.quantile(above_R / below_R, [tail, 1 - tail])
    return float(low), float(high)


class Estimate(BaseModel):
    """A mean over `n` problems, with its 95 % bootstrap interval over problems."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    """None when n is 0."""
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, pairs: Mapping[tuple[float, float], int], seed: int) -> Estimate:
        """The ratio of sums over problems (see `bootstrap_interval`)."""
        low, high = bootstrap_interval(pairs, seed=seed)
        below = sum(b * count for (_, b), count in pairs.items())
        above = sum(a * count for (a, _), count in pairs.items())
        return cls(value=above / below if below else None, low=low, high=high, n=sum(pairs.values()))


class Accuracy(BaseModel):
    """How many of `n` graded problems were right, with the 95 % interval of the share: Wilson's, or where problems
    have several samples, and so count several times, the bootstrap's over problems."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    correct: int
    n: int
    value: float | None
    """correct / n; None when n is 0."""
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, n: int) -> Accuracy:
        """The accuracy of `correct` right answers out of `n`."""
        low, high = wilson_interval(correct, n)
        return cls(correct=correct, n=n, value=correct / n if n else None, low=low, high=high)

    @classmethod
    def of_samples(cls, pairs: Mapping[tuple[float, float], int], seed: int) -> Accuracy:
        """Of problems by (right samples, graded samples); those without a graded sample left out."""
        graded = {pair: count for pair, count in pairs.items() if pair[1]}
        found = Estimate.of(graded, seed)
        correct = int(sum(right * count for (right, _), count in graded.items()))
        n = int(sum(all_ * count for (_, all_), count in graded.items()))
        return cls(correct=correct, n=n, value=found.value, low=found.low, high=found.high)
