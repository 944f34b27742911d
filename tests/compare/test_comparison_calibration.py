"""Simulated studies: where arms are truly equal hardly any study says otherwise, and power is as computed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from comparison_calibration import Simulation, rejections, within

STUDIES = 1_000


@pytest.mark.parametrize(("samples", "least"), [(1, 0.005), (4, 0.015)])
def test_equal_arms_are_told_apart_at_most_at_the_nominal_rate(samples: int, least: float) -> None:
    found = rejections(Simulation(problems=100, samples=samples, studies=STUDIES), seed=1)
    assert found.any_adjusted <= within(0.05, STUDIES)[1]
    assert found.any_adjusted >= least, "a test that never rejects is calibrated too"
    assert found.any_raw > 0.1, "without correction it would not be"


def test_power_is_as_computed() -> None:
    from hierarchical_reasoning.compare.statistics import mcnemar_power

    simulation = Simulation(problems=200, studies=STUDIES, gained=0.15, lost=0.05)
    found = rejections(simulation, seed=2)
    low, high = within(mcnemar_power(200, 0.1, 0.2), STUDIES)
    assert low <= found.first_raw <= high
    least = mcnemar_power(200, 0.1, 0.2, alpha=0.05 / 7)
    assert within(least, STUDIES)[0] <= found.first_adjusted <= high
    assert found.others_adjusted <= within(0.05, STUDIES)[1]
