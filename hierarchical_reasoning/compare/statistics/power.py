"""How small a difference a study can find, and how many problems it takes to find one.

One sample a problem: the power of the exact McNemar test, by summing over how many problems are discordant and how
many of them were gained: Duffy, S. W. (1984), "Asymptotic and exact power for the McNemar test and its analogue with R
controls per case". Several: a normal approximation, with the standard deviation that the differences were seen to have.

What is asked is what a study *like this one* finds: it takes from the data how much the arms disagree, and never how
large a difference was observed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from statistics import NormalDist

from hierarchical_reasoning.compare.statistics.differences import bonett_price_moments
from hierarchical_reasoning.compare.statistics.records import Detectable

POWER, ALPHA = 0.8, 0.05
_UNSEEN = 1e-12
"""Probability of the numbers of discordant problems, on either side, that are not summed over."""
_PRECISION = 1e-6
_MOST_PROBLEMS = 10**7


def mcnemar_power(n: int, difference: float, discordance: float, alpha: float = ALPHA) -> float:
    """The probability that the exact two-sided test has p <= alpha.

    Args:
        n: problems.
        difference: the true one, arm minus baseline.
        discordance: the true share of problems that one arm solves and the other does not; not below |difference|.
        alpha: the level of the test.

    Raises ValueError for numbers out of range.
    """
    import numpy as np
    from scipy.stats import binom

    if not abs(difference) <= discordance <= 1 or n < 0 or not 0 < alpha < 1:
        raise ValueError(
            "|difference| <= discordance <= 1, n >= 0 and 0 < alpha < 1 must hold, not "
            f"difference={difference}, discordance={discordance}, n={n}, alpha={alpha}"
        )
    if discordance == 0 or n == 0:
        return 0.0
    least, most = binom.ppf(_UNSEEN, n, discordance), binom.isf(_UNSEEN, n, discordance)
    discordant_M = np.arange(max(0, int(least)), int(most) + 1)
    fewest_M = binom.ppf(alpha / 2, discordant_M, 0.5)
    rejected_M = fewest_M - (2 * binom.cdf(fewest_M, discordant_M, 0.5) > alpha)  # -1: none is few enough
    gained = (discordance + difference) / (2 * discordance)
    tails_M = binom.cdf(rejected_M, discordant_M, gained) + binom.cdf(rejected_M, discordant_M, 1 - gained)
    return float((binom.pmf(discordant_M, n, discordance) * tails_M).sum())


def required_n(difference: float, discordance: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Problems with which the exact McNemar test finds the difference with that power: n has it, n - 1 has not.

    Power grows with n but for the small steps of an exact test, so that a little below n it may be there too. Raises
    ValueError for numbers out of range, and where more than 10 million problems would be needed.
    """
    if not 0 < abs(difference) <= discordance <= 1 or not 0 < power < 1:
        raise ValueError(
            "0 < |difference| <= discordance <= 1 and 0 < power < 1 must hold, not "
            f"difference={difference}, discordance={discordance}, power={power}"
        )
    low, high = 0, 1
    while mcnemar_power(high, difference, discordance, alpha) < power:
        low, high = high, 2 * high
        if high > _MOST_PROBLEMS:
            raise ValueError(f"a difference of {difference} takes more than {_MOST_PROBLEMS:,} problems")
    while high - low > 1:
        middle = (low + high) // 2
        enough = mcnemar_power(middle, difference, discordance, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def minimum_detectable(
    n: int, discordance: float, power: float = POWER, alpha: float = ALPHA
) -> float | None:
    """The smallest difference, to 1e-6, that the exact McNemar test finds with that power.

    A difference beyond `discordance` takes that many discordant problems, all of them gained. None where `n` problems
    are too few for any.
    """

    def enough(difference: float) -> bool:
        return mcnemar_power(n, difference, max(discordance, difference), alpha) >= power

    if not enough(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable(
    differences: Mapping[Fraction, int], *, samples: int, power: float = POWER, alpha: float = ALPHA
) -> Detectable:
    """The smallest difference that a study with as many problems, on which arms disagree as much, would find.

    With several samples a problem it is, with z the normal quantile and s the standard deviation of the differences
    between problems::

        (z(1 - alpha / 2) + z(power)) s / sqrt(n)

    Where all differences are the same, s is that of the differences with one of 1 and one of -1 added.
    """
    n = sum(differences.values())
    if samples == 1:
        spread = sum(count for one, count in differences.items() if one) / n
        found = minimum_detectable(n, spread, power, alpha)
        return Detectable(difference=found, power=power, alpha=alpha, n=n, spread=spread, method="exact")
    mean = sum((one * count for one, count in differences.items()), Fraction()) / n
    square = sum(((one - mean) ** 2 * count for one, count in differences.items()), Fraction())
    spread = math.sqrt(square / (n - 1)) if square else bonett_price_moments(differences)[1]
    normal = NormalDist()
    found = (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * spread / math.sqrt(n)
    return Detectable(
        difference=found if found <= 1 else None,
        power=power,
        alpha=alpha,
        n=n,
        spread=spread,
        method="normal approximation",
    )
