"""Draws without replacement, and how leaves are shared out."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.planners.option_draws import draw_with_replacement
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.explorers.option_draws import draw_options, leaf_shares

OPTIONS = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), max_size=6)


@given(OPTIONS, st.integers(1, 8), st.sampled_from([0.0, 0.3, 1.0, 5.0]), st.integers())
def test_options_differ_and_the_impossible_is_not_drawn(
    probabilities: Mapping[str, float], n: int, temperature: float, seed: int
) -> None:
    numbers = {name: random.Random(f"{seed}{name}").random() for name in probabilities}
    drawn = draw_options(probabilities, n, temperature, numbers.__getitem__)
    possible = [name for name, probability in probabilities.items() if probability > 0]
    assert len(drawn) == len(set(drawn)) == min(n, len(possible))
    assert set(drawn) <= set(possible)
    turned = dict(reversed(probabilities.items()))
    assert draw_options(turned, n, temperature, numbers.__getitem__) == drawn
    assert draw_options(probabilities, n + 1, temperature, numbers.__getitem__)[: len(drawn)] == drawn


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_orders_are_as_likely_as_draws_one_after_the_other(temperature: float) -> None:
    probabilities = {"a": 0.6, "b": 0.3, "c": 0.1}
    weights = {name: p ** (1 / temperature) for name, p in probabilities.items()}
    n, rng = 20_000, random.Random(0)
    counts = Counter(draw_options(probabilities, 2, temperature, lambda _: rng.random()) for _ in range(n))
    for first, second in permutations(probabilities, 2):
        total = sum(weights.values())
        expected = weights[first] / total * weights[second] / (total - weights[first])
        assert abs(counts[first, second] / n - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_at_temperature_0_the_likeliest_come_first_and_ties_by_name() -> None:
    probabilities = {"d": 0.2, "b": 0.2, "a": 0.1, "c": 0.5}
    assert draw_options(probabilities, 3, 0, lambda _: pytest.fail("a number was drawn")) == ("c", "b", "d")


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_the_ends_of_the_range_of_numbers_can_be_drawn(number: float) -> None:
    assert draw_options({"a": 5e-324, "b": 1.0}, 2, 0.01, lambda _: number) == ("b", "a")


@given(st.integers(1, 6), st.booleans(), st.integers(0, 60))
def test_leaves_are_shared_evenly_and_finishing_takes_one(n: int, finishes: bool, more: int) -> None:
    names = ([FINISH] if finishes else []) + [str(number) for number in range(n)]
    shares = leaf_shares(names, len(names) + more)
    rest = shares[1:] if finishes else shares
    assert not finishes or shares[0] == 1
    assert sum(shares) == len(names) + more
    assert 1 <= min(rest) <= max(rest) <= min(rest) + 1
    assert list(rest) == sorted(rest, reverse=True)


def test_finishing_alone_takes_one() -> None:
    assert leaf_shares([FINISH], 5) == (1,)


@given(OPTIONS, st.integers(1, 6), st.integers())
def test_with_replacement_fewer_draws_are_the_first_of_more(
    probabilities: dict[str, float], n: int, seed: int
) -> None:
    def uniform(draw: int) -> Callable[[str], float]:
        return lambda name: random.Random(f"{seed}{draw}{name}").random()

    more = draw_with_replacement(probabilities, n + 1, 1.0, uniform)
    assert draw_with_replacement(probabilities, n, 1.0, uniform) == more[:n]
    assert len(more) == (n + 1 if any(probabilities.values()) else 0)


def test_with_replacement_options_come_as_often_as_they_are_likely() -> None:
    rng = random.Random(0)
    probabilities = {"a": 0.8, "b": 0.2, "never": 0.0}
    drawn = Counter(draw_with_replacement(probabilities, 20_000, 1.0, lambda draw: lambda name: rng.random()))
    assert drawn["a"] / 20_000 == pytest.approx(0.8, abs=0.015)
    assert "never" not in drawn
    assert set(draw_with_replacement(probabilities, 5, 0.0, lambda draw: lambda name: 0.5)) == {"a"}
