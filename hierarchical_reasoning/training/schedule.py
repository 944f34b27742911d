"""Which problems an update takes, and what its draws are seeded by."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.config import TrainingConfig


def replacements(
    problems: Sequence[Problem],
    seed: int,
    update: int,
    everyones: Sequence[Problem],
    share: tuple[int, int],
) -> list[Problem]:
    """Problems to take in place of others, in the order to take them; of one process alone.

    Args:
        everyones: what all processes take in the update anyway.
        share: which of how many processes it is.
    """
    taken = {problem.id for problem in everyones}
    others = [problem for problem in problems if problem.id not in taken]
    random.Random(f"{seed}/replacements/{update}").shuffle(others)
    index, count = share
    return others[index::count]


def draw_seed(seed: int, update: int) -> int:
    """Of the draws of one update."""
    return random.Random(f"{seed}/update/{update}").getrandbits(32)


def problem_order(n_problems: int, problems_per_update: int, epoch: int, seed: int) -> list[list[int]]:
    """Which problems each update of an epoch takes, by their index; the last one takes what is left."""
    order = list(range(n_problems))
    random.Random(f"{seed}/epoch/{epoch}").shuffle(order)
    return [order[start : start + problems_per_update] for start in range(0, n_problems, problems_per_update)]


def count_updates(config: TrainingConfig, n_problems: int) -> int:
    """Of a whole run."""
    return config.epochs * math.ceil(n_problems / config.problems_per_update)
