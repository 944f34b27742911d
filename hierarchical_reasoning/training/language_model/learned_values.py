"""What thoughts are worth to the searches of a training run: learned from the trees of its updates, kept with its
checkpoints.

What is estimated during an update depends on the updates before it alone, of all processes; so a run that goes on from
a checkpoint searches as it would have. Places are seen as hashed words: hidden states would change their meaning with
every update.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.search.values import pairs_in
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.values.base import Estimate, Place
from hierarchical_reasoning.values.encoders import HashedWords
from hierarchical_reasoning.values.learned import LearnedValue
from hierarchical_reasoning.values.settings import HeadSettings

FOLDER = "value_head"
"""In a checkpoint."""
Pair = tuple[Place, float]


class LearnedValues:
    """A `ValueEstimator` that a run keeps."""

    def __init__(self, settings: HeadSettings, *, seed: int, problems: Sequence[Problem]) -> None:
        """
        Args:
            problems: all that the run has, to read places again by.
        """
        self._learned = LearnedValue(HashedWords(), replace(settings, seed=seed))
        self._problems = {problem.id: problem for problem in problems}
        self._waiting: list[Pair] = []
        """Before the head has learned for the first time, and so is written: all pairs."""
        self._kept_in: Path | None = None
        self.notes: list[str] = []

    @property
    def is_trained(self) -> bool:
        return self._learned.is_trained

    async def ready(self) -> None:
        """Take up what an earlier session kept. To be called before estimates.

        Raises:
            ValueHeadError: it cannot be read.
        """
        if self._kept_in is not None:
            self._learned = await LearnedValue.load(self._kept_in, self._learned.encoder)
            self._kept_in = None
        elif self._waiting and not self._learned.n_pairs:
            await self._learn(self._waiting)

    async def estimate(self, places: Sequence[Place]) -> list[Estimate]:
        return await self._learned.estimate(places)

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        pairs = list(zip(places, rewards, strict=True))
        await self._learn(pairs)
        self._waiting = [] if self.is_trained else [*self._waiting, *pairs]

    def memory(self) -> Mapping[str, Any]:
        """As JSON has it."""
        waiting = [[place.problem.id, list(place.thoughts), reward] for place, reward in self._waiting]
        return {"is_kept": self.is_trained, "waiting": waiting}

    def remember(self, memory: Mapping[str, Any], checkpoint: Path) -> None:
        """Take up what `memory` gave, and what `save` wrote."""
        self._kept_in = checkpoint / FOLDER if memory["is_kept"] else None
        self._waiting = [
            (Place(self._problems[problem].without_truth(), tuple(thoughts)), reward)
            for problem, thoughts, reward in memory["waiting"]
        ]

    def save(self, checkpoint: Path) -> None:
        """Write the head, if it has learned."""
        if self.is_trained:
            folder = checkpoint / FOLDER
            folder.mkdir()
            with ThreadPoolExecutor(1) as thread:  # the caller's may have an event loop
                thread.submit(asyncio.run, self._learned.save(folder)).result()

    async def _learn(self, pairs: Sequence[Pair]) -> None:
        await self._learned.learn([place for place, _ in pairs], [reward for _, reward in pairs])


def places_of(trees: Sequence[ReasoningTree], problems: Mapping[str, Problem]) -> tuple[Pair, ...]:
    """What graded search trees teach."""
    return tuple(pair for tree in trees for pair in pairs_in(tree, problems[tree.problem_id].without_truth()))
