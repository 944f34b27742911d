"""Disagreement of sampled answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_places import place_at

from hierarchical_reasoning.values import UNKNOWN, Disagreement, Estimate, Place, disagreement


@pytest.mark.parametrize(
    ("answers", "value", "uncertainty"),
    [
        (["7", "7", "7", "7"], 1.0, 0.0),
        (["1", "2", "3", "4"], 0.25, 1.0),
        (["1", "1", "2", "2"], 0.5, 0.5),
        (["1", "1", None, None], 0.5, 0.75),
        ([None, None], 0.0, 1.0),
        (["7"], 1.0, UNKNOWN.uncertainty),
    ],
)
def test_known_cases(answers: list[str | None], value: float, uncertainty: float) -> None:
    found = disagreement(answers)
    assert found.value == value
    assert found.uncertainty == pytest.approx(uncertainty)


@given(st.lists(st.sampled_from(["1", "2", "3"]), min_size=2, max_size=12), st.randoms())
def test_order_plays_no_part_and_one_more_of_the_first_never_lowers_its_share(answers, random) -> None:  # type: ignore[no-untyped-def]
    mixed = list(answers)
    random.shuffle(mixed)
    assert disagreement(mixed) == disagreement(answers)
    most = max(set(answers), key=answers.count)
    assert disagreement([*answers, most]).value >= disagreement(answers).value
    k = len(answers)
    shares = [answers.count(answer) / k for answer in set(answers)]
    entropy = -sum(p * math.log(p) for p in shares) / math.log(k)
    assert disagreement(answers).uncertainty == pytest.approx(entropy, abs=1e-9)


def test_no_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="no answers"):
        disagreement([])


async def test_the_estimator_asks_for_each_place_and_learns_nothing() -> None:
    async def sample(place: Place) -> list[str | None]:
        return ["1", "1", "1"] if place.problem.id == "p1" else ["1", "2", "3"]

    estimator = Disagreement(sample)
    await estimator.learn([place_at([1])], [1.0])
    assert estimator.is_trained
    sure, unsure = await estimator.estimate([place_at([1], 1), place_at([1], 2)])
    assert sure == Estimate(1.0, 0.0)
    assert (unsure.value, unsure.uncertainty) == (pytest.approx(1 / 3), pytest.approx(1.0))
