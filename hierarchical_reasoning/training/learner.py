"""What is trained, as a run and its host know it: a planner, or a language model that reasons.

A learner acts with the weights in training, makes of what it did the lessons of an update, and takes the loss on them;
the run (:mod:`hierarchical_reasoning.training.trainer`) orders, records and keeps, its host steps the optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.log import EvaluationRecord, Mode
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.training.update_record import Gathered

Look = Literal["acting", "start"]
"""A pass without gradient before the steps of an update, by the model as it acted or as it was before training."""
Gather = Callable[[Sequence[Any]], list[Any]]
"""The items of all processes, in their order. Collective."""
_Lesson = TypeVar("_Lesson")
_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class Experience:
    """What a process rolled out for one update."""

    episodes: tuple[Episode, ...]
    """All, those of replaced groups included."""
    advantages: tuple[float | None, ...]
    """Of each of them; None where it teaches nothing."""
    lessons: tuple[Any, ...]
    """What the learner takes the loss on."""
    gathered: Gathered
    """Its figures, for the record of the update."""


class Learner(Protocol[_Lesson, _Part]):
    """In one process of several. `model` in what follows is what wraps `module` to train it; its passes are collective
    where it is sharded, so every process makes as many, some of them idle."""

    @property
    def module(self) -> Any:
        """The whole model, in training."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How it is measured, the mode that chooses the best checkpoint first."""

    @property
    def looks(self) -> tuple[Look, ...]:
        """The passes that lessons need before the first step."""

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Act with these weights from now on."""

    async def gather(
        self, update: int, problems: Sequence[Problem], everyones: Sequence[Problem]
    ) -> Experience:
        """Roll out the problems of an update that are this process's, of `everyones`.

        Raises:
            TrainingError, UsageError, BackendError: the run cannot go on.
        """

    async def attempt(self, problems: Sequence[Problem], mode: Mode) -> tuple[Episode, ...]:
        """One attempt at each problem, with the same draws at every evaluation. Raises as `gather`."""

    async def reflect(self, gathered: Sequence[Gathered]) -> None:
        """Learn what no gradient teaches, from what all processes gathered for an update, in their order."""

    def evaluated(
        self, update: int, mode: Mode, episodes: Sequence[Episode], seconds: float
    ) -> EvaluationRecord:
        """The record of attempts at held-out problems, those of all processes."""

    def passes(self, lessons: Sequence[_Lesson], tokens_per_pass: int) -> list[_Part]:
        """The lessons in forward passes that fit the memory."""

    def look(
        self,
        look: Look,
        lessons: Sequence[_Lesson],
        passes: int,
        tokens_per_pass: int,
        model: Any | None,
    ) -> tuple[_Lesson, ...]:
        """The lessons with what a pass without gradient says of them.

        Args:
            passes: as many as are made, idle ones included.
            model: None with ``start``: `load_start`'s.
        """

    def load_start(self) -> None:
        """Load the model as it was before training, frozen, beside the one in training."""

    def settled(self, experience: Experience, gather: Gather) -> Experience:
        """What was rolled out, its lessons looked at, with what depends on that or on all processes. Collective."""

    def count(self, lessons: Sequence[_Lesson]) -> float:
        """What the loss of these lessons is divided by, with that of all other processes."""

    def pass_loss(self, part: _Part, model: Any) -> tuple[torch.Tensor, Sums]:
        """The loss of one forward pass, summed and differentiable, and what belongs beside it in a log."""

    def idle_loss(self, model: Any) -> torch.Tensor:
        """0, by a forward pass: for a process that has nothing to learn in a pass of all processes."""

    def take_notes(self) -> tuple[str, ...]:
        """What was done otherwise than asked, each thing once."""

    def memory(self) -> Mapping[str, Any]:
        """What a later update depends on besides weights, as JSON has it."""

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave."""

    def save(self, folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
        """Write a model folder."""

    async def aclose(self) -> None: ...
