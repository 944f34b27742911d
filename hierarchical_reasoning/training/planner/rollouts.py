"""Episodes: the loop that inference uses, with the policy as the planner and every choice recorded."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hierarchical_reasoning.attempt import Attempted, attempt, entry_of
from hierarchical_reasoning.errors import VerifierError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.planners.base import Choice, Planner
from hierarchical_reasoning.planners.model import ModelPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.results.records import RoleUsage
from hierarchical_reasoning.results.tally import add_usage
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution
from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.trace import Trace
from hierarchical_reasoning.training.episode import ChoiceRecord, Episode
from hierarchical_reasoning.training.objectives import brevity_reward
from hierarchical_reasoning.training.planner.patience import Patience, Waiting
from hierarchical_reasoning.training.planner.policy import Decision
from hierarchical_reasoning.verifiers import Verifier
from llm_backends import (
    Backend,
    BackendError,
    Price,
    Sampling,
    TransientError,
)
from taxonomy import ThoughtType

__all__ = ["Collected", "Rollouts", "Waiting"]


@dataclass(frozen=True)
class Collected:
    """Episodes that were rolled out together."""

    episodes: tuple[Episode, ...]
    """Problem by problem, sample by sample."""
    usage: Mapping[str, RoleUsage]
    """What all attempts took, by role, those included that were made again."""
    attempts_again: int
    """Attempts that were made again, after a failure of what answers for a model."""
    waited_seconds: float
    """That nothing was asked, because of such failures."""


@dataclass(frozen=True)
class Rollouts:
    """Rolls out episodes, many at a time."""

    planner: Backend
    """Runs the policy's weights; it must give choice probabilities."""
    reasoner: Reasoner
    verifier: Verifier
    options: tuple[ThoughtType, ...]
    label_level: int
    max_steps: int
    length_reward_weight: float
    max_concurrency: int
    seed: int
    """Of the order in which options are shown, as in inference."""
    prices: Mapping[str, Price | None] = field(default_factory=dict)
    """By role; None where a model has no known price."""
    patience_s: float = 0.0
    """Seconds for which calls that fail are waited out; 0: a failure ends its episode."""
    waiting: Callable[[Waiting], None] = lambda waiting: None
    """Told of each wait when it begins."""

    async def collect(
        self, problems: Sequence[Problem], n_samples: int, sampling: Sampling, *, first_sample: int = 0
    ) -> Collected:
        """`n_samples` episodes of each problem.

        An episode in which the server of a model fails for a while is begun anew when it answers again; whatever else
        goes wrong with a call ends its episode as an error.

        Args:
            sampling: of the planner; the reasoner draws with the same seed, at its own temperature.
            first_sample: number of the first episode of each problem. Others with the same seed draw other numbers.

        Raises:
            TrainingError: a server fails for longer than patience allows.
            UsageError, BackendError: what no episode could survive (`fatal.FATAL`).
        """
        collecting = _Collecting(self, sampling)
        slots = asyncio.Semaphore(self.max_concurrency)

        async def one(problem: Problem, sample: int) -> Episode:
            async with slots:
                return await collecting.episode(problem, sample)

        samples = range(first_sample, first_sample + n_samples)
        episodes = await all_or_none([one(problem, sample) for problem in problems for sample in samples])
        return collecting.collected(episodes)


class _Collecting:
    """What belongs to one call of `Rollouts.collect`."""

    def __init__(self, rollouts: Rollouts, sampling: Sampling) -> None:
        self._rollouts = rollouts
        self._sampling = sampling
        drawn = replace(rollouts.reasoner.sampling, seed=sampling.seed)
        self._reasoner = replace(rollouts.reasoner, sampling=drawn)
        self._patience = Patience(rollouts.patience_s, rollouts.waiting) if rollouts.patience_s > 0 else None
        self._usage: dict[str, RoleUsage] = {}
        self._again = 0

    async def episode(self, problem: Problem, sample: int) -> Episode:
        """One episode, begun anew as long as the server fails and patience lasts."""
        if self._patience is None:
            return self._as_episode(*await self._attempt(problem, sample))
        while True:
            began = await self._patience.ready()
            attempted, choices = await self._attempt(problem, sample)
            if not isinstance(attempted.error, TransientError):
                if _was_answered(attempted):
                    self._patience.got_through()
                return self._as_episode(attempted, choices)
            self._patience.failed(attempted.error, began)
            self._again += 1

    def collected(self, episodes: Sequence[Episode]) -> Collected:
        waited = 0.0 if self._patience is None else self._patience.waited_s
        return Collected(tuple(episodes), self._usage, self._again, waited)

    async def _attempt(self, problem: Problem, sample: int) -> tuple[Attempted, tuple[ChoiceRecord, ...]]:
        rollouts, prompts = self._rollouts, self._reasoner.prompts
        planner = _Recorder(ModelPlanner(rollouts.planner, prompts, self._sampling), prompts)
        solver = HierarchicalSolver(
            planner,
            self._reasoner,
            rollouts.options,
            max_reasoning_steps=rollouts.max_steps,
            seed=rollouts.seed,
            steps_flag="--max_steps_per_episode",
        )
        attempted = await attempt(solver, rollouts.verifier, problem, Solution(), sample=sample)
        add_usage(self._usage, attempted.usage(rollouts.prices))
        if attempted.error is not None and not isinstance(attempted.error, BackendError | VerifierError):
            raise attempted.error  # no failure of a call: the program is at fault
        return attempted, tuple(planner.records)

    def _as_episode(self, attempted: Attempted, choices: tuple[ChoiceRecord, ...]) -> Episode:
        rollouts, solution = self._rollouts, attempted.solution
        entry = entry_of(attempted, rollouts.verifier, rollouts.prices, label_level=rollouts.label_level)
        characters = len(solution.final_response) + sum(len(step.thought) for step in solution.steps)
        brevity = brevity_reward(characters, rollouts.length_reward_weight)
        failed = entry.error is not None
        return Episode(
            problem_id=entry.problem_id,
            sample=entry.sample,
            choices=choices,
            outcome=entry.outcome,
            characters=characters,
            reward=None if failed else float(entry.outcome is Outcome.CORRECT) + brevity,
            brevity=brevity,
            error=entry.reason if failed else None,
            entry=entry,
        )


def _was_answered(attempted: Attempted) -> bool:
    """Whether a model besides the planner replied; what was received before says nothing of a server."""
    return any(spent.replies for role, spent in attempted.solution.spent.items() if role != "planner")


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
