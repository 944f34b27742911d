"""Trees grown and graded, and the answers in them as episodes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.attempt import Attempted, entry_of
from hierarchical_reasoning.errors import VerifierError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.explorers import Grown, Growth, Origin
from hierarchical_reasoning.trees import Leaf, ReasoningTree
from hierarchical_reasoning.verifiers import Grade, Verifier
from llm_backends import BackendError

Grow = Callable[[Origin, Problem], Awaitable[Grown]]
SolutionOf = Callable[[ReasoningTree, int], Solution]


@dataclass(frozen=True, eq=False)
class GradedTree:
    """A tree whose leaves are graded."""

    tree: ReasoningTree
    growth: Growth
    episodes: tuple[Episode, ...]
    """The answers, in the order of the leaves."""


@dataclass(frozen=True)
class TreeRollouts:
    """Grows trees and grades their leaves, many at a time."""

    grow: Grow
    solution_of: SolutionOf
    verifier: Verifier
    label_level: int
    use_hierarchical: bool
    notes: Sequence[str] = ()
    """What was done otherwise than asked; grows with the trees."""

    async def collect(self, problems: Sequence[Problem], *, seed: int, update: int) -> list[GradedTree]:
        """A tree of each problem.

        Raises:
            UsageError, BackendError: a tree cannot be grown, or no leaf could be graded as things are.
        """
        return await all_or_none(
            [self._one(problem, Origin(seed, update, problem.id)) for problem in problems]
        )

    async def _one(self, problem: Problem, origin: Origin) -> GradedTree:
        started = time.perf_counter()
        grown = await self.grow(origin, problem)
        leaves = grown.tree.leaves()
        solutions = [self.solution_of(grown.tree, leaf) for leaf in leaves]
        seconds = (time.perf_counter() - started) / len(leaves)
        graded = await all_or_none([self._graded(problem, solution) for solution in solutions])
        episodes = []
        for sample, (leaf, solution, (grade, error)) in enumerate(
            zip(leaves, solutions, graded, strict=True)
        ):
            attempted = Attempted(problem, sample, solution, grade, error, seconds)
            episode = self._episode(attempted)
            grown.tree.grade(
                leaf, Leaf(episode.outcome, episode.reward, grade.extracted if grade is not None else None)
            )
            episodes.append(episode)
        return GradedTree(grown.tree, grown.growth, tuple(episodes))

    async def _graded(self, problem: Problem, solution: Solution) -> tuple[Grade | None, Exception | None]:
        try:
            grade = await self.verifier.grade(problem, solution.final_response, truncated=solution.truncated)
        except (VerifierError, BackendError) as error:
            return None, error
        return grade, None

    def _episode(self, attempted: Attempted) -> Episode:
        entry = entry_of(
            attempted,
            self.verifier,
            {},
            label_level=self.label_level,
            use_hierarchical=self.use_hierarchical,
        )
        solution = attempted.solution
        failed = attempted.error is not None
        return Episode(
            problem_id=entry.problem_id,
            sample=entry.sample,
            choices=(),
            outcome=entry.outcome,
            characters=len(solution.final_response) + sum(len(step.thought) for step in solution.steps),
            reward=None if failed else float(entry.outcome is Outcome.CORRECT),
            error=entry.reason if failed else None,
            entry=entry,
        )
