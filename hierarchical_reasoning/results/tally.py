"""Outcomes counted, and the accuracy they make: of a run as it ends, of a run read back, and of answers graded.

One tally for all three, so that the same entries give the same numbers wherever they are counted. No entry is held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.results.records import NOTHING_SPENT, ResultEntry, RoleUsage


@dataclass(slots=True)
class _Problem:
    """The samples of one problem, counted."""

    right: int = 0
    completed: int = 0
    with_truth: int = 0


@dataclass
class Tally:
    """What `add` was given, in numbers."""

    seed: int
    """Of the intervals where problems have several samples."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    seconds: float = 0.0
    peak_bytes: int | None = None
    """Of the process that held most; None where no entry says."""
    peak_gpu_bytes: int | None = None
    usage: dict[str, RoleUsage] = field(default_factory=dict)
    """By role."""
    samples: int = 0
    """The highest sample, counted from 1."""
    _problems: dict[str, _Problem] = field(default_factory=dict)

    def add(self, entry: ResultEntry) -> None:
        """Count an entry of a run."""
        has_truth = entry.ground_truth is not None
        self.add_outcome(entry.problem_id, entry.outcome, has_truth=has_truth, sample=entry.sample)
        self.seconds += entry.seconds
        if entry.memory is not None:
            self.peak_bytes = _highest(self.peak_bytes, entry.memory.peak_bytes)
            self.peak_gpu_bytes = _highest(self.peak_gpu_bytes, entry.memory.peak_gpu_bytes)
        add_usage(self.usage, entry.usage)

    def add_outcome(self, problem_id: str, outcome: Outcome, *, has_truth: bool, sample: int = 0) -> None:
        """Count an outcome by itself."""
        self.outcomes[outcome] += 1
        self.samples = max(self.samples, sample + 1)
        completed = outcome.is_correct is not None
        problem = self._problems.setdefault(problem_id, _Problem())
        problem.right += outcome is Outcome.CORRECT
        problem.completed += completed
        problem.with_truth += completed or (outcome is Outcome.ERROR and has_truth)

    @property
    def n(self) -> int:
        """Entries."""
        return self.outcomes.total()

    @property
    def n_problems(self) -> int:
        """Problems, however many samples each has."""
        return len(self._problems)

    @property
    def accuracy(self) -> Accuracy:
        """Over all with a ground truth; one that ended in an error counts as not solved."""
        return self._accuracy(lambda problem: problem.with_truth)

    @property
    def accuracy_completed(self) -> Accuracy:
        """Over those that were finished: errors left out."""
        return self._accuracy(lambda problem: problem.completed)

    @property
    def total_usage(self) -> RoleUsage:
        """Of all roles together."""
        return reduce(add, self.usage.values(), NOTHING_SPENT)

    @property
    def tokens_per_problem(self) -> float | None:
        """Of prompts and replies, over all samples of a problem; None without one."""
        used = self.total_usage
        tokens = used.prompt_tokens + used.completion_tokens
        return tokens / self.n_problems if self.n_problems else None

    @property
    def seconds_per_problem(self) -> float | None:
        """Over all samples of a problem; None without one."""
        return self.seconds / self.n_problems if self.n_problems else None

    def _accuracy(self, graded: Callable[[_Problem], int]) -> Accuracy:
        if self.samples <= 1:
            return Accuracy.of(self.outcomes[Outcome.CORRECT], sum(map(graded, self._problems.values())))
        pairs = Counter((float(problem.right), float(graded(problem))) for problem in self._problems.values())
        return Accuracy.of_samples(pairs, self.seed)


def _highest(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def add_usage(usage: dict[str, RoleUsage], more: Mapping[str, RoleUsage]) -> None:
    """Add what roles took to what they took before."""
    for role, used in more.items():
        usage[role] = usage[role] + used if role in usage else used
