"""Calibration against the definition written out, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.values import Calibration

unit = st.floats(0, 1)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=60), st.integers(1, 12))
def test_calibration_is_the_definition_bin_by_bin(pairs: list[tuple[float, float]], n_bins: int) -> None:
    predicted, rewards = zip(*pairs, strict=True)
    found = Calibration.of(predicted, rewards, n_bins)
    ece = 0.0
    for number in range(n_bins):
        last = number == n_bins - 1
        inside = [(p, r) for p, r in pairs if number <= p * n_bins and (p * n_bins < number + 1 or last)]
        assert found.bins[number].n == len(inside)
        if inside:
            mean_p = sum(p for p, _ in inside) / len(inside)
            mean_r = sum(r for _, r in inside) / len(inside)
            assert found.bins[number].predicted == pytest.approx(mean_p)
            assert found.bins[number].observed == pytest.approx(mean_r)
            ece += len(inside) / len(pairs) * abs(mean_p - mean_r)
        else:
            assert found.bins[number].predicted is None
    assert found.n == len(pairs) == sum(b.n for b in found.bins)
    assert found.ece == pytest.approx(ece, abs=1e-12)
    assert found.brier == pytest.approx(math.fsum((p - r) ** 2 for p, r in pairs) / len(pairs))


def test_what_is_perfectly_calibrated_has_no_error_and_what_is_sure_and_wrong_has_all() -> None:
    assert Calibration.of([0.25] * 4, [1.0, 0.0, 0.0, 0.0]).ece == 0.0
    wrong = Calibration.of([1.0, 0.0], [0.0, 1.0])
    assert (wrong.ece, wrong.brier) == (1.0, 1.0)


def test_a_calibration_survives_json_and_is_told_in_a_table() -> None:
    found = Calibration.of([0.05, 0.95, 0.97], [0.0, 1.0, 0.0])
    assert Calibration.model_validate_json(found.model_dump_json()) == found
    table = found.table().splitlines()
    assert len(table) == 1 + 2
    assert "0.90 - 1.00" in table[-1]
    assert "n = 3" in found.in_words()


@pytest.mark.parametrize(
    ("predicted", "rewards"), [([], []), ([0.5], []), ([1.5], [1.0]), ([0.5], [-0.1]), ([math.nan], [1.0])]
)
def test_what_cannot_be_calibrated_is_refused(predicted: list[float], rewards: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Calibration.of(predicted, rewards)
