"""Episodes: the loop that inference uses, with the policy as the planner and every choice recorded."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from hierarchical_reasoning.errors import VerifierError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.planners.base import Choice, Planner
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.runner import FATAL
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution
from hierarchical_reasoning.trace import Trace
from hierarchical_reasoning.training.objectives import episode_reward
from hierarchical_reasoning.training.policy import Decision
from hierarchical_reasoning.verifiers import Verifier
from llm_backends import Backend, BackendError, Sampling
from taxonomy import ThoughtType


@dataclass(frozen=True)
class ChoiceRecord:
    """One choice of the planner."""

    decision: Decision
    chosen: int
    """Index among the decision's choices."""
    old_log_probs: tuple[float, ...]
    """Of each of them when it was made, at temperature 1."""

    @property
    def name(self) -> str:
        return self.decision.choices[self.chosen]


@dataclass(frozen=True)
class Episode:
    """One attempt at one problem."""

    problem_id: str
    sample: int
    choices: tuple[ChoiceRecord, ...]
    """Those the planner made; an end forced by the limit on steps is none."""
    outcome: Outcome
    characters: int
    """Written by the reasoner."""
    reward: float | None
    """None where a call failed: such an episode is counted, and teaches nothing."""
    error: str | None = None


@dataclass(frozen=True)
class Rollouts:
    """Rolls out episodes, many at a time."""

    planner: Backend
    """Runs the policy's weights; it must give choice probabilities."""
    reasoner: Reasoner
    verifier: Verifier
    options: tuple[ThoughtType, ...]
    max_steps: int
    length_reward_weight: float
    max_concurrency: int
    seed: int
    """Of the order in which options are shown, as in inference."""

    async def collect(self, problems: Sequence[Problem], n_samples: int, sampling: Sampling) -> list[Episode]:
        """`n_samples` episodes of each problem, problem by problem.

        Args:
            sampling: of the planner.

        Raises:
            UsageError, BackendError: what no episode could survive (`runner.FATAL`); other failures of a backend
                end their episode alone.
        """
        slots = asyncio.Semaphore(self.max_concurrency)

        async def one(problem: Problem, sample: int) -> Episode:
            async with slots:
                return await self._episode(problem, sample, sampling)

        tasks = [
            asyncio.create_task(one(problem, sample)) for problem in problems for sample in range(n_samples)
        ]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _episode(self, problem: Problem, sample: int, sampling: Sampling) -> Episode:
        prompts = self.reasoner.prompts
        planner = _Recorder(ModelPlanner(self.planner, prompts, sampling), prompts)
        solver = HierarchicalSolver(
            planner, self.reasoner, self.options, max_reasoning_steps=self.max_steps, seed=self.seed
        )
        solution = Solution()
        try:
            await solver.solve(problem, solution, sample=sample)
            grade = await self.verifier.grade(problem, solution.final_response, truncated=solution.truncated)
        except FATAL:
            raise
        except (BackendError, VerifierError) as error:
            return self._ended(
                problem, sample, planner, solution, Outcome.ERROR, f"{type(error).__name__}: {error}"
            )
        return self._ended(problem, sample, planner, solution, grade.outcome)

    def _ended(
        self,
        problem: Problem,
        sample: int,
        planner: _Recorder,
        solution: Solution,
        outcome: Outcome,
        error: str | None = None,
    ) -> Episode:
        characters = len(solution.final_response) + sum(len(step.thought) for step in solution.steps)
        reward = episode_reward(
            correct=outcome is Outcome.CORRECT,
            characters=characters,
            length_reward_weight=self.length_reward_weight,
        )
        return Episode(
            problem.id,
            sample,
            tuple(planner.records),
            outcome,
            characters,
            reward if error is None else None,
            error,
        )


@dataclass
class _Recorder(Planner):
    """Another planner, and what it chose; for one episode."""

    planner: Planner
    prompts: Prompts
    records: list[ChoiceRecord] = field(default_factory=list)

    async def choose(self, trace: Trace, *, sample: int = 0) -> Choice:
        choice = await self.planner.choose(trace, sample=sample)
        assert choice.probabilities is not None, "the planner's backend gives choice probabilities"
        # A probability that underflowed to 0 is taken as the smallest there is, so that its logarithm is finite.
        log_probs = tuple(
            math.log(max(choice.probabilities[name], sys.float_info.min)) for name in trace.choices
        )
        decision = Decision(self.prompts.choose(trace), trace.choices)
        self.records.append(ChoiceRecord(decision, trace.choices.index(choice.name), log_probs))
        return choice
