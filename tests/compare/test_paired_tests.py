"""p-values against statsmodels and against the enumeration of everything that could have been."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hierarchical_reasoning.compare.statistics import Adjusted, PValue
from hierarchical_reasoning.compare.statistics import records as records_module
from hierarchical_reasoning.compare.statistics.significance import (
    DRAWS,
    exact_mcnemar,
    holm,
    paired_test,
    sign_flip,
)

SHARES = st.fractions(-1, 1, max_denominator=6)
FEW = st.lists(SHARES, min_size=1, max_size=9)
PS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(better=st.integers(0, 60), worse=st.integers(0, 60), alike=st.integers(0, 200))
def test_mcnemar_is_that_of_statsmodels(better: int, worse: int, alike: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    found = exact_mcnemar(better, worse, n=better + worse + alike + 1)
    expected = mcnemar([[alike, better], [worse, 1]], exact=True).pvalue
    assert found.p == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert found == exact_mcnemar(worse, better, n=found.n)


def every_sign(values: list[Fraction]) -> float:
    """The definition: of all 2^n choices of signs, how many have a sum as far from 0."""
    observed = abs(sum(values))
    sums = [
        abs(sum(map(math.prod, zip(values, signs, strict=True))))
        for signs in product((1, -1), repeat=len(values))
    ]
    return sum(one >= observed for one in sums) / len(sums)


@given(values=FEW)
def test_the_sign_flip_test_is_what_enumeration_finds(values: list[Fraction]) -> None:
    found = sign_flip(Counter(values), seed=0)
    assert (found.test, found.n, found.draws) == ("exact sign-flip", len(values), None)
    assert found.p == pytest.approx(every_sign(values), rel=1e-9)


@settings(max_examples=15)
@given(values=st.lists(SHARES.filter(bool), min_size=1, max_size=9))
def test_signs_that_are_drawn_come_near_to_enumeration(values: list[Fraction]) -> None:
    found = sign_flip(Counter(values), seed=1, most_work=0)
    assert (found.test, found.draws) == ("Monte-Carlo sign-flip", DRAWS)
    expected = every_sign(values)
    assert abs(found.p - expected) < 6 * math.sqrt(expected * (1 - expected) / DRAWS) + 2 / DRAWS
    assert found.p >= 1 / (DRAWS + 1)


@given(better=st.integers(0, 40), worse=st.integers(0, 40), alike=st.integers(0, 40))
def test_with_one_sample_both_tests_are_the_same(better: int, worse: int, alike: int) -> None:
    counts = Counter({Fraction(1): better, Fraction(-1): worse, Fraction(0): alike + 1})
    counts = Counter({one: count for one, count in counts.items() if count})
    mcnemar = paired_test(counts, samples=1, seed=0)
    assert mcnemar.test == "exact McNemar"
    assert sign_flip(counts, seed=0).p == pytest.approx(mcnemar.p, rel=1e-9)


def test_a_lattice_too_fine_for_all_ways_has_its_signs_drawn() -> None:
    primes = (53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109)
    found = sign_flip(Counter(Fraction(1, prime) for prime in primes), seed=0)
    assert found.test == "Monte-Carlo sign-flip"
    assert found.p == pytest.approx(2 / 2 ** len(primes), abs=5e-5)
    two = sign_flip(Counter((Fraction(9972, 9973), Fraction(9966, 9967))), seed=0)
    assert (two.test, two.p) == ("Monte-Carlo sign-flip", pytest.approx(0.5, abs=0.01))


@given(values=FEW)
def test_swapping_the_arms_changes_no_p(values: list[Fraction]) -> None:
    assert sign_flip(Counter(values), seed=0) == sign_flip(Counter(-one for one in values), seed=0)


@settings(max_examples=20)  # it takes statsmodels 50 ms
@given(ps=PS)
def test_holm_is_that_of_statsmodels(ps: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]), rel=1e-12, abs=1e-300)


@given(ps=PS, data=st.data())
def test_holm_is_monotone_at_least_raw_and_blind_to_order(ps: list[float], data: st.DataObject) -> None:
    adjusted = dict(zip(ps, holm(ps), strict=True))
    assert all(raw <= adjusted[raw] <= 1 for raw in ps)
    assert [adjusted[raw] for raw in sorted(ps)] == sorted(adjusted[raw] for raw in ps)
    other = data.draw(st.permutations(ps))
    assert dict(zip(other, holm(other), strict=True)) == adjusted
    smaller = [raw / 2 for raw in ps]
    assert all(one <= two for one, two in zip(holm(smaller), holm(ps), strict=True))


def test_no_p_value_stands_without_its_test_and_its_n() -> None:
    with pytest.raises(ValidationError):
        PValue(p=0.01)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        PValue(p=0.01, n=0, test="exact McNemar")
    with pytest.raises(ValidationError):
        Adjusted(p=0.01, family="levels", family_size=7)  # type: ignore[call-arg]
    for record in vars(records_module).values():
        if isinstance(record, type) and issubclass(record, records_module._Record):
            assert "p" not in record.model_fields or record in (PValue, Adjusted)
            assert not any(name.startswith(("p_", "pvalue")) for name in record.model_fields)
