"""Tests of two arms on the same problems, and Holm's adjustment over a family of them.

With one sample a problem: McNemar's test, exact (McNemar, Q. 1947; the two-sided binomial test of the discordant
problems). With several: the sign-flip test (Fisher, R. A. 1935, "The design of experiments", section 21; Pitman,
E. J. G. 1937). Its hypothesis is that on every problem the two arms could be swapped, so that each difference could as
well have the other sign; the statistic is the sum of differences. The problem, not the sample, is what is counted. With
one sample a problem both tests are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.compare.statistics.records import PValue

if TYPE_CHECKING:
    import numpy as np

DRAWS = 99_999
_MOST_WORK = 500_000_000
"""Additions that an exact sign-flip test may take, about a second."""
_MOST_SUMS = 10_000_000
"""Places of its lattice, 8 bytes each, held twice."""
_SAME = 1e-9
"""Sums of floats that differ relatively by less are taken for ties."""


def paired_test(differences: Mapping[Fraction, int], *, samples: int, seed: int) -> PValue:
    """The test that goes with the number of samples a problem.

    Args:
        differences: how many problems have each; one problem or more.
        samples: a problem, at most.
        seed: of a Monte-Carlo test.
    """
    if samples == 1:
        n = sum(differences.values())
        return exact_mcnemar(differences.get(Fraction(1), 0), differences.get(Fraction(-1), 0), n=n)
    return sign_flip(differences, seed=seed)


def exact_mcnemar(better: int, worse: int, *, n: int) -> PValue:
    """Of `n` problems the arm solved `better` that the baseline did not, and the baseline `worse`."""
    from scipy.stats import binomtest

    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return PValue(test="exact McNemar", n=n, p=p)


def sign_flip(differences: Mapping[Fraction, int], *, seed: int, most_work: int = _MOST_WORK) -> PValue:
    """The share of all ways to choose the signs whose sum is as far from 0 as the observed one.

    All ways are counted, as sums on a lattice; where the numbers of samples differ so that the lattice is too fine,
    signs are drawn, and the p-value is (1 + those as far) / (1 + draws): Phipson, B. and Smyth, G. K. (2010),
    "Permutation p-values should never be zero".
    """
    n = sum(differences.values())
    units = math.lcm(*(difference.denominator for difference in differences))
    counts: Counter[int] = Counter()
    for difference, count in differences.items():
        counts[abs(int(difference * units))] += count
    del counts[0]
    observed = abs(sum(int(difference * units) * count for difference, count in differences.items()))
    total = sum(size * count for size, count in counts.items())
    if counts.total() * total <= most_work and total <= _MOST_SUMS:
        return PValue(test="exact sign-flip", n=n, p=_exact_share(counts, observed, total))
    return PValue(test="Monte-Carlo sign-flip", n=n, p=_drawn_share(counts, observed, seed), draws=DRAWS)


def _exact_share(counts: Counter[int], observed: int, total: int) -> float:
    """With T the sum of the sizes that have a plus, the sum is 2 T - total, and T is distributed symmetrically."""
    import numpy as np
    from scipy.stats import binom

    if observed == 0:
        return 1.0
    shares_T: np.ndarray[Any, np.dtype[np.float64]] = np.ones(1)
    for size, count in sorted(counts.items()):
        longer_T = np.zeros(len(shares_T) + size * count)
        for plus, share in enumerate(binom.pmf(range(count + 1), count, 0.5)):
            longer_T[size * plus : size * plus + len(shares_T)] += share * shares_T
        shares_T = longer_T
    return min(1.0, 2 * float(shares_T[(total + observed) // 2 :].sum()))


def _drawn_share(counts: Counter[int], observed: int, seed: int) -> float:
    import numpy as np

    sizes = sorted(counts)
    of_size = np.array([counts[size] for size in sizes])
    plus_RV = np.random.default_rng(seed).binomial(of_size, 0.5, size=(DRAWS, len(sizes)))
    sums_R = (2 * plus_RV - of_size) @ np.array([float(size) for size in sizes])
    as_far = int((np.abs(sums_R) >= observed * (1 - _SAME)).sum())
    return (1 + as_far) / (1 + DRAWS)


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values of a family, adjusted so that rejecting those up to alpha wrongly rejects any with at most that
    probability, however they depend on one another.

    Holm, S. (1979), "A simple sequentially rejective multiple test procedure": in rising order the first times m, the
    next times m - 1, and so on, at most 1 and none below the one before it.
    """
    adjusted = [0.0] * len(ps)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        so_far = max(so_far, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = so_far
    return adjusted
