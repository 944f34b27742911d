"""Intervals and detectable differences against sums over everything that could have been."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb
from statistics import NormalDist, fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_studies import differences

from hierarchical_reasoning.compare.statistics import mcnemar_power, minimum_detectable, required_n
from hierarchical_reasoning.compare.statistics.differences import bonett_price_interval, estimate_difference
from hierarchical_reasoning.compare.statistics.measured import measured_mean, measured_ratio
from hierarchical_reasoning.compare.statistics.power import detectable

VALUES = st.lists(st.fractions(-1, 1, max_denominator=4), min_size=1, max_size=30)


def counts(better: int, worse: int, n: int) -> dict[Fraction, int]:
    found = {Fraction(1): better, Fraction(-1): worse, Fraction(0): n - better - worse}
    return {value: count for value, count in found.items() if count}


@given(n=st.integers(0, 300), data=st.data())
def test_the_interval_is_walds_with_two_problems_added(n: int, data: st.DataObject) -> None:
    better = data.draw(st.integers(0, n))
    worse = data.draw(st.integers(0, n - better))
    low, high = bonett_price_interval(counts(better, worse, n))
    up, down = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    half = NormalDist().inv_cdf(0.975) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    assert (low, high) == pytest.approx((max(-1, up - down - half), min(1, up - down + half)), abs=1e-12)
    assert low < high


@pytest.mark.parametrize(
    ("n", "up", "down"), [(25, 0.1, 0.1), (25, 0.3, 0.05), (60, 0.02, 0.02), (60, 0.2, 0.1), (60, 0.5, 0.2)]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(n: int, up: float, down: float) -> None:
    """Summed over every table that could have been."""
    held = 0.0
    for better in range(n + 1):
        for worse in range(n + 1 - better):
            low, high = bonett_price_interval(counts(better, worse, n))
            if low <= up - down <= high:
                ways = comb(n, better) * comb(n - better, worse)
                held += ways * up**better * down**worse * (1 - up - down) ** (n - better - worse)
    assert held > 0.935


@settings(max_examples=25)
@given(values=VALUES, seed=st.integers(0, 9))
def test_intervals_mirror_when_the_arms_swap(values: list[Fraction], seed: int) -> None:
    for samples in (1, 4):
        one = estimate_difference(Counter(values), samples=samples, seed=seed)
        other = estimate_difference(Counter(-value for value in values), samples=samples, seed=seed)
        assert one.value == -(other.value or 0)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
        assert -1 <= one.low <= one.high <= 1


def test_the_bootstrap_is_the_distribution_of_all_draws() -> None:
    values = [Fraction(1, 2), Fraction(-1, 4), Fraction(0), Fraction(1), Fraction(1, 4), Fraction(1, 4)]
    means = sorted(float(sum(drawn)) / 6 for drawn in product(values, repeat=6))
    expected = (means[round(0.025 * len(means))], means[round(0.975 * len(means))])
    found = estimate_difference(Counter(values), samples=4, seed=0)
    assert found.method == "bootstrap over problems"
    assert (found.low, found.high) == pytest.approx(expected, abs=1 / 24 + 1e-9)


def test_the_unit_is_the_problem_not_the_sample() -> None:
    """The same problems with each sample written four times over know no more than before."""
    once = estimate_difference(counts(31, 14, 200), samples=1, seed=0)
    right = ([4] * 31 + [0] * 169, [0] * 31 + [4] * 14 + [0] * 155)
    fourfold = estimate_difference(differences(*right, samples=4), samples=4, seed=0)
    assert (fourfold.low, fourfold.high) == pytest.approx((once.low, once.high), abs=0.01)


def test_no_spread_still_leaves_a_width() -> None:
    for samples in (1, 4):
        found = estimate_difference({Fraction(0): 50}, samples=samples, seed=0)
        assert (found.value, found.method) == (0, "Bonett-Price")
        assert -found.low == pytest.approx(found.high)
        assert 0.03 < found.high < 0.08
    nothing = estimate_difference({}, samples=1, seed=0)
    assert (nothing.value, nothing.low, nothing.high, nothing.n) == (None, -1, 1, 0)


def test_what_was_measured_has_the_interval_of_its_mean() -> None:
    values = [float((37 * i) % 101 + 100) for i in range(400)]
    found = measured_mean(values, seed=0)
    assert found is not None
    half = 1.96 * pstdev(values) / 20
    assert found.value == pytest.approx(fmean(values))
    assert (found.low, found.high) == pytest.approx((fmean(values) - half, fmean(values) + half), abs=0.25)
    assert measured_mean(values[::-1], seed=0) == found
    assert measured_mean([], seed=0) is None
    threefold = measured_ratio([(3 * value, value) for value in values], seed=0)
    assert threefold is not None
    assert (threefold.value, threefold.low, threefold.high) == pytest.approx((3, 3, 3))


def power_by_enumeration(n: int, difference: float, discordance: float, alpha: float) -> float:
    up, down = (discordance + difference) / 2, (discordance - difference) / 2
    power = 0.0
    for better in range(n + 1):
        for worse in range(n + 1 - better):
            few, both = min(better, worse), better + worse
            p = min(1.0, 2 * sum(comb(both, k) for k in range(few + 1)) / 2**both)
            if p <= alpha:
                ways = comb(n, better) * comb(n - better, worse)
                power += ways * up**better * down**worse * (1 - up - down) ** (n - both)
    return power


@settings(max_examples=40)
@given(
    n=st.integers(0, 30),
    discordance=st.floats(0.01, 1),
    part=st.floats(-1, 1),
    alpha=st.sampled_from((0.05, 0.05 / 7, 0.2)),
)
def test_power_is_the_sum_over_all_tables(n: int, discordance: float, part: float, alpha: float) -> None:
    found = mcnemar_power(n, part * discordance, discordance, alpha)
    assert found == pytest.approx(power_by_enumeration(n, part * discordance, discordance, alpha), abs=1e-9)


@pytest.mark.parametrize(
    ("difference", "discordance"), [(0.1, 0.2), (0.3, 0.3), (-0.2, 0.5), (0.05, 0.1), (1, 1)]
)
def test_the_required_problems_are_enough_and_one_fewer_is_not(difference: float, discordance: float) -> None:
    n = required_n(difference, discordance)
    assert mcnemar_power(n, difference, discordance) >= 0.8
    assert mcnemar_power(n - 1, difference, discordance) < 0.8
    fewer = [m for m in range(1, n) if mcnemar_power(m, difference, discordance) >= 0.8]
    assert len(fewer) <= 0.02 * n
    spread = math.sqrt(discordance - difference**2)
    by_formula = ((1.959964 * math.sqrt(discordance) + 0.841621 * spread) / difference) ** 2
    assert n == pytest.approx(by_formula, rel=0.15, abs=12)


@pytest.mark.parametrize(("n", "discordance"), [(200, 0.225), (50, 0.0), (1000, 0.05), (10_000, 0.2)])
def test_the_detectable_difference_has_the_power_and_a_smaller_one_has_not(
    n: int, discordance: float
) -> None:
    found = minimum_detectable(n, discordance)
    assert found is not None
    assert mcnemar_power(n, found, max(found, discordance)) >= 0.8
    below = found - 1e-5
    assert mcnemar_power(n, below, max(below, discordance)) < 0.8


def test_what_cannot_be_found_or_asked() -> None:
    assert minimum_detectable(5, 0.5) is None
    assert minimum_detectable(6, 0.5) is not None
    assert detectable({Fraction(1): 3}, samples=1).difference is None
    for bad in ((0.0, 0.1), (0.3, 0.2), (0.1, 1.2)):
        with pytest.raises(ValueError, match="discordance"):
            required_n(*bad)
    with pytest.raises(ValueError, match="more than 10,000,000 problems"):
        required_n(1e-5, 0.5)
    with pytest.raises(ValueError, match="alpha=2"):
        mcnemar_power(10, 0.1, 0.2, alpha=2)


def test_with_several_samples_the_detectable_difference_is_that_of_statsmodels() -> None:
    from statsmodels.stats.power import NormalIndPower

    values = [Fraction(k % 5 - 2, 4) for k in range(200)]
    found = detectable(Counter(values), samples=4)
    spread = pstdev(map(float, values)) * math.sqrt(200 / 199)
    effect = NormalIndPower(ddof=0).solve_power(nobs1=200, alpha=0.05, power=0.8, ratio=0)
    assert found.method == "normal approximation"
    assert found.spread == pytest.approx(spread)
    assert found.difference == pytest.approx(effect * spread, rel=1e-4)
    assert (detectable({Fraction(0): 200}, samples=4).difference or 0) > 0.01
