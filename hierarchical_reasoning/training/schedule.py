"""Which problems an update takes, and what its draws are seeded by and drawn at."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.config import TrainingConfig


class Batches:
    """The problems that one process rolls out for an update, batch by batch: with ``filter_groups``, those that gave
    nothing to learn are replaced by others, for at most ``max_num_gen_batches`` batches in all."""

    def __init__(
        self,
        config: TrainingConfig,
        problems: Sequence[Problem],
        update: int,
        own: Sequence[Problem],
        everyones: Sequence[Problem],
        share: tuple[int, int],
    ) -> None:
        """
        Args:
            problems: all that are trained on; replacements are drawn from them.
            own: this process's.
            everyones: those of the update in all processes.
            share: which of how many processes this is.
        """
        self._config = config
        self.due = list(own)
        """The next batch; empty where there is none."""
        self.made = 0
        self.wanted = min(len(own), math.ceil(config.problems_per_update / share[1]))
        """Groups to learn from, at most."""
        self._spare: list[Problem] = []
        if config.filter_groups:
            taken = {problem.id for problem in everyones}
            others = [problem for problem in problems if problem.id not in taken]
            random.Random(f"{config.seed}/replacements/{update}").shuffle(others)
            index, count = share
            self._spare = others[index::count]

    def made_one(self, missing: int) -> None:
        """The batch was rolled out, and so many of its problems gave nothing to learn."""
        self.made += 1
        wanted = missing if self.made < self._config.max_num_gen_batches else 0
        self.due, self._spare = self._spare[:wanted], self._spare[wanted:]


def draw_seed(seed: int, update: int) -> int:
    """Of the draws of one update."""
    return random.Random(f"{seed}/update/{update}").getrandbits(32)


def problem_order(n_problems: int, problems_rolled_out: int, epoch: int, seed: int) -> list[list[int]]:
    """Which problems each update of an epoch takes, by their index; the last one takes what is left."""
    order = list(range(n_problems))
    random.Random(f"{seed}/epoch/{epoch}").shuffle(order)
    return [order[start : start + problems_rolled_out] for start in range(0, n_problems, problems_rolled_out)]


def count_updates(config: TrainingConfig, n_problems: int) -> int:
    """Of a whole run."""
    return config.epochs * math.ceil(n_problems / config.problems_rolled_out)


def exploration_temperature(initial: float, decay: float, update: int, updates: int) -> float:
    """HATO's schedule (spec/000): initial * exp(-decay * progress), progress the share of updates that were made.

    It depends on nothing else, so a resumed run goes on with the same temperatures.

    Args:
        update: the one that is due, from 1.
        updates: of the whole run.
    """
    return initial * math.exp(-decay * (update - 1) / updates)
