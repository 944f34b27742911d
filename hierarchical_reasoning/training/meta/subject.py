"""What is meta-learned: which parameters, with which loss, and how good they are on the unseen family.

A batch is a few problems, by their ids: what there is to learn from a problem, right answers or places with rewards,
stays together, so that no problem is in both the support and the query of a task.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.meta.learner import Parameters, Task


@dataclass(frozen=True)
class Score:
    """On the test problems of the unseen family."""

    correct: int
    n: int
    """Answers of a language model; places of a value head."""
    loss: float | None
    """That of training; None where nothing is known to take it on."""
    auc: float | None = None
    """Of a value head: how often a place of a right answer is valued above one of a wrong answer, ties counted half.
    0.5 is chance, whatever share of answers is right. None where all places have the same reward."""


class Subject(ABC):
    """One of them, made ready with what there is to learn from."""

    loss_parts: int = 1
    """Networks that a loss is summed over: figures are divided by it."""

    @abstractmethod
    def start(self) -> Parameters:
        """The plain start."""

    @abstractmethod
    def problem_ids(self, family: str) -> Sequence[str]:
        """The problems of a family that there is something to learn from; of the unseen one, those to adapt with."""

    @abstractmethod
    def loss(self, parameters: Parameters, problem_ids: Sequence[str]) -> torch.Tensor:
        """Mean over a batch; a scalar that can be differentiated twice."""

    @abstractmethod
    async def score(self, parameters: Parameters) -> Score:
        """How good they are."""

    @abstractmethod
    async def save(self, folder: Path, parameters: Parameters) -> None:
        """Write what a user takes up: a model folder, or a value head's."""


def draw_task(
    subject: Subject, family: str, batch_size: int, n_steps: int, place: str
) -> Task[Sequence[str]]:
    """
    Args:
        place: where in the run, seeds the draw.
    """
    rng = random.Random(place)
    query, *support = batches(subject.problem_ids(family), batch_size, None, rng)
    return Task([rng.choice(support) for _ in range(n_steps)], query)


def adaptation_batches(
    subject: Subject, family: str, batch_size: int, n_steps: int, place: str
) -> list[Sequence[str]]:
    """A batch for each step; every problem is met before any is met again."""
    return batches(subject.problem_ids(family), batch_size, n_steps, random.Random(place))


def batches(problem_ids: Sequence[str], size: int, n: int | None, rng: random.Random) -> list[Sequence[str]]:
    """Whole batches in an order that is drawn: `n` of them, over and over the problems; None: once over them."""
    a_pass = len(problem_ids) // size
    found: list[Sequence[str]] = []
    while len(found) < (a_pass if n is None else n):
        order = rng.sample(problem_ids, len(problem_ids))
        found += [order[start * size : (start + 1) * size] for start in range(a_pass)]
    return found if n is None else found[:n]


def check_enough(
    family: str, n_found: int, n_problems: int, batch_size: int, *, unseen: bool, what: str
) -> None:
    """Raises ConfigError where a family has not enough to learn from: two batches, or one of the unseen family."""
    least = batch_size if unseen else 2 * batch_size
    if n_found < least:
        raise ConfigError(
            f"family {family!r}: {n_found} of {n_problems} problems have {what}, and {least} are needed for batches of "
            f"{batch_size}; raise --{'n_support' if unseen else 'n_train'} or --num_rollouts_per_prompt, lower "
            "--batch_size, or give worked answers with --solution_field"
        )
