"""How often simulated studies of seven levels against vanilla reject, beside the rate that they promise.

Arms that are truly equal: the share of studies that find any difference after Holm, beside 5 %. One level that truly
differs: the share of studies that find it, beside the power that is computed. And how often the 95 % interval of a
difference holds the true one. Everything goes through the functions that a study uses.

    python benchmarks/comparison_calibration.py --output benchmarks/results/comparison_calibration.json
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from hierarchical_reasoning.compare.statistics import mcnemar_power
from hierarchical_reasoning.compare.statistics.differences import estimate_difference
from hierarchical_reasoning.compare.statistics.power import ALPHA
from hierarchical_reasoning.compare.statistics.significance import holm, paired_test

EASE = (1.0, 0.8)
"""Of problems: they are solved with a probability that is drawn from this beta distribution."""


@dataclass(frozen=True)
class Simulation:
    """Studies that are alike. Problems differ in difficulty, arms do not, but perhaps for the first level."""

    problems: int
    studies: int
    samples: int = 1
    levels: int = 7
    gained: float = 0.0
    """Share of problems that the first level alone solves; with `lost`, for one sample a problem."""
    lost: float = 0.0


@dataclass(frozen=True)
class Rejections:
    """Shares of studies."""

    any_raw: float
    any_adjusted: float
    first_raw: float
    first_adjusted: float
    others_adjusted: float
    """Any of the levels but the first."""


def draw(simulation: Simulation, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Right samples by study, arm (vanilla first) and problem."""
    shape = (simulation.studies, 1 + simulation.levels, simulation.problems)
    ease_S1N = rng.beta(*EASE, size=(shape[0], 1, shape[2]))
    right_SAN = rng.binomial(simulation.samples, np.broadcast_to(ease_S1N, shape))
    if simulation.gained or simulation.lost:
        solved = EASE[0] / sum(EASE)
        vanilla_SN = right_SAN[:, 0]
        changed = np.where(vanilla_SN, simulation.lost / solved, simulation.gained / (1 - solved))
        right_SAN[:, 1] = np.where(rng.random(vanilla_SN.shape) < changed, 1 - vanilla_SN, vanilla_SN)
    return right_SAN


def counts_of(difference_N: np.ndarray[Any, Any], samples: int) -> dict[Fraction, int]:
    """How many problems have each difference."""
    counts = np.bincount(difference_N + samples)
    return {Fraction(value - samples, samples): count for value, count in enumerate(counts.tolist()) if count}


@cache
def p_value(counts: tuple[tuple[Fraction, int], ...], samples: int) -> float:
    """Of the test that a study would use."""
    return paired_test(dict(counts), samples=samples, seed=0).p


def rejections(simulation: Simulation, seed: int) -> Rejections:
    """How often studies reject."""
    right_SAN = draw(simulation, np.random.default_rng(seed))
    raw = [
        [
            p_value(tuple(counts_of(level_N - arms_AN[0], simulation.samples).items()), simulation.samples)
            for level_N in arms_AN[1:]
        ]
        for arms_AN in right_SAN
    ]
    raw_SL = np.array(raw) <= ALPHA
    adjusted_SL = np.array([holm(ps) for ps in raw]) <= ALPHA
    return Rejections(
        any_raw=float(raw_SL.any(axis=1).mean()),
        any_adjusted=float(adjusted_SL.any(axis=1).mean()),
        first_raw=float(raw_SL[:, 0].mean()),
        first_adjusted=float(adjusted_SL[:, 0].mean()),
        others_adjusted=float(adjusted_SL[:, 1:].any(axis=1).mean()),
    )


def within(rate: float, studies: int) -> tuple[float, float]:
    """Where the share of so many studies lies, 999 times in 1,000, if the rate is true."""
    low, high = binom.interval(0.999, studies, rate)
    return float(low / studies), float(high / studies)


def coverage(problems: int, samples: int, studies: int, seed: int) -> float:
    """How often the interval holds the true difference, 0."""
    simulation = Simulation(problems=problems, samples=samples, studies=studies, levels=1)
    held = 0
    for number, arms_AN in enumerate(draw(simulation, np.random.default_rng(seed))):
        counts = counts_of(arms_AN[1] - arms_AN[0], samples)
        found = estimate_difference(counts, samples=samples, seed=number)
        held += found.low <= 0 <= found.high
    return held / studies


def measure(studies: int, seed: int) -> dict[str, Any]:
    """All of it."""
    rows: dict[str, Any] = {
        "alpha": ALPHA,
        "studies": studies,
        "levels": 7,
        "equal": [],
        "different": [],
        "coverage": [],
    }
    for problems, samples in ((50, 1), (200, 1), (1000, 1), (50, 4), (200, 4)):
        simulation = Simulation(problems=problems, samples=samples, studies=studies)
        found = rejections(simulation, seed)
        rows["equal"].append({"problems": problems, "samples": samples, **asdict(found)})
        print(
            f"equal arms, {problems} problems x {samples}: any rejected in {found.any_raw:.3f} of studies, "
            f"after Holm in {found.any_adjusted:.3f}, {found.any_adjusted / ALPHA:.2f} x the nominal rate"
        )
    for problems, gained, lost in ((200, 0.15, 0.05), (200, 0.12, 0.04), (500, 0.10, 0.05)):
        found = rejections(Simulation(problems=problems, studies=studies, gained=gained, lost=lost), seed)
        computed = mcnemar_power(problems, gained - lost, gained + lost)
        first_step = mcnemar_power(problems, gained - lost, gained + lost, ALPHA / 7)
        row = {
            "problems": problems,
            "gained": gained,
            "lost": lost,
            "power": computed,
            "power_of_first_step": first_step,
        }
        rows["different"].append({**row, **asdict(found)})
        print(
            f"{gained:.0%} gained, {lost:.0%} lost, {problems} problems: found in {found.first_raw:.3f} of studies, "
            f"{found.first_raw / computed:.3f} x the power computed; after Holm {found.first_adjusted:.3f} (at least "
            f"{first_step:.3f} computed); another level wrongly in {found.others_adjusted:.3f}"
        )
    for problems, samples in ((20, 1), (50, 1), (200, 1), (20, 4), (50, 4), (200, 4)):
        held = coverage(problems, samples, studies, seed)
        rows["coverage"].append({"problems": problems, "samples": samples, "held": held})
        print(f"95 % intervals, {problems} problems x {samples}: held the truth in {held:.3f} of studies")
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    start = time.process_time()
    rows = {**measure(arguments.studies, arguments.seed), "seed": arguments.seed}
    rows["cpu_seconds"] = round(time.process_time() - start, 1)
    if arguments.output:
        arguments.output.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
