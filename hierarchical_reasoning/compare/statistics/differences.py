"""How far two arms are apart on the same problems, with an interval.

A difference is that of two shares of right samples on one problem, exact, between -1 and 1. With one sample a problem
the interval is that of Bonett, D. G. and Price, R. M. (2012), "Adjusted Wald confidence interval for a difference of
binomial proportions based on paired data": two problems are added, one gained and one lost, so that it has a width
where the arms never disagreed. With several, problems are drawn again (Efron 1979), whatever their samples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

from hierarchical_reasoning.compare.statistics.inputs import ArmOutcomes
from hierarchical_reasoning.compare.statistics.records import Difference
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.intervals import percentile_interval


@dataclass(frozen=True)
class Pair:
    """Both arms on one problem."""

    problem_id: str
    right: tuple[int, int]
    """Samples of the arm, and of the baseline."""
    errors: tuple[int, int]
    finished: tuple[int, int]
    """Samples, those with an error too."""

    @property
    def counting_errors(self) -> Shares:
        """Errors count as wrong."""
        return Shares(self.right, self.finished)

    @property
    def completed(self) -> Shares | None:
        """Errors left out; None where nothing else is left of an arm."""
        n = (self.finished[0] - self.errors[0], self.finished[1] - self.errors[1])
        return Shares(self.right, n) if all(n) else None

    def with_errors_right(self, *, of_arm: bool) -> Shares:
        """The errors of one of the two count as right, those of the other as wrong."""
        arm, baseline = self.right
        errors, baseline_errors = self.errors
        right = (arm + errors, baseline) if of_arm else (arm, baseline + baseline_errors)
        return Shares(right, self.finished)


@dataclass(frozen=True)
class Shares:
    """Right samples of the arm and of the baseline, and out of how many (none is 0)."""

    right: tuple[int, int]
    n: tuple[int, int]

    @property
    def arm(self) -> Fraction:
        """Of the arm."""
        return Fraction(self.right[0], self.n[0])

    @property
    def baseline(self) -> Fraction:
        """Of the baseline."""
        return Fraction(self.right[1], self.n[1])

    @property
    def difference(self) -> Fraction:
        """Arm minus baseline."""
        return self.arm - self.baseline


def pairs_of(arm: ArmOutcomes, baseline: ArmOutcomes) -> list[Pair]:
    """The problems of which both have finished a sample or more, by id."""
    pairs = []
    for problem_id in sorted(arm.problems.keys() & baseline.problems.keys()):
        counts = [Counter(which.problems[problem_id].outcomes) for which in (arm, baseline)]
        one, other = ((c[Outcome.CORRECT], c[Outcome.ERROR], c.total() - c[None]) for c in counts)
        if one[2] and other[2]:
            pairs.append(Pair(problem_id, *zip(one, other, strict=True)))
    return pairs


def differences_of(shares: Mapping[Shares, int]) -> Counter[Fraction]:
    """How many problems have each difference, of how many have each shares. Problems with the same are alike."""
    differences: Counter[Fraction] = Counter()
    for share, count in shares.items():
        differences[share.difference] += count
    return differences


def oriented(differences: Mapping[Fraction, int]) -> tuple[int, dict[Fraction, int]]:
    """A sign, and the differences times that sign: the same ones whichever arm was taken from the other, so that what
    is drawn is the same too. In rising order."""
    given = sorted(differences.items())
    negated = sorted((-difference, count) for difference, count in given)
    return (-1, dict(negated)) if negated > given else (1, dict(given))


def estimate_difference(differences: Mapping[Fraction, int], *, samples: int, seed: int) -> Difference:
    """The mean, with its 95 % interval.

    Args:
        differences: how many problems have each.
        samples: a problem, at most. With one, or where every problem has the same difference, the interval is
            Bonett and Price's, otherwise the bootstrap's.
        seed: of the bootstrap.
    """
    n = sum(differences.values())
    value = float(sum(one * count for one, count in differences.items()) / n) if n else None
    if samples == 1 or len(differences) < 2:
        low, high = bonett_price_interval(differences)
        return Difference(n=n, value=value, low=low, high=high, method="Bonett-Price")
    sign, turned = oriented(differences)
    bounds = percentile_interval({(float(one), 1.0): count for one, count in turned.items()}, seed=seed)
    low, high = sorted(sign * bound for bound in bounds)
    return Difference(n=n, value=value, low=low, high=high, method="bootstrap over problems")


def bonett_price_interval(
    differences: Mapping[Fraction, int], confidence: float = 0.95
) -> tuple[float, float]:
    """With a difference of 1 and one of -1 added, their mean m, standard deviation s, and n problems in all::

    m ± z s / sqrt(n), cut to -1 and 1
    """
    n = sum(differences.values()) + 2
    mean, deviation = bonett_price_moments(differences)
    half_width = NormalDist().inv_cdf(0.5 + confidence / 2) * deviation / math.sqrt(n)
    return max(-1.0, mean - half_width), min(1.0, mean + half_width)


def bonett_price_moments(differences: Mapping[Fraction, int]) -> tuple[float, float]:
    """Mean and standard deviation (by n) of the differences with one of 1 and one of -1 added."""
    n = sum(differences.values()) + 2
    mean = sum((one * count for one, count in differences.items()), Fraction()) / n
    square = (sum((one * one * count for one, count in differences.items()), Fraction()) + 2) / n
    return float(mean), math.sqrt(square - mean * mean)
