"""The figures of a run counted entry by entry, and how far several runs agree; no entry is held."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hierarchical_reasoning.intervals import Accuracy
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results import ResultEntry, RoleUsage
from hierarchical_reasoning.results_reader.rows import NOTHING_SPENT, total_usage

Key = tuple[str, int]
"""A problem's id, and the sample."""
BOOTSTRAP_SEED = 0
"""Of the intervals where problems have several samples."""


@dataclass
class _Problem:
    """The samples of one problem, counted."""

    right: int = 0
    completed: int = 0
    with_truth: int = 0


@dataclass
class Tally:
    """What `add` was given, in numbers."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    seconds: float = 0.0
    usage: RoleUsage = NOTHING_SPENT
    """Of all roles together."""
    samples: int = 0
    """The highest sample, counted from 1."""
    _problems: dict[str, _Problem] = field(default_factory=dict)

    def add(self, entry: ResultEntry) -> None:
        """Count an entry."""
        self.outcomes[entry.outcome] += 1
        self.seconds += entry.seconds
        self.usage += total_usage(entry)
        self.samples = max(self.samples, entry.sample + 1)
        completed = entry.outcome.is_correct is not None
        problem = self._problems.setdefault(entry.problem_id, _Problem())
        problem.right += entry.outcome is Outcome.CORRECT
        problem.completed += completed
        problem.with_truth += completed or (entry.outcome is Outcome.ERROR and entry.ground_truth is not None)

    @property
    def n(self) -> int:
        """Entries."""
        return self.outcomes.total()

    @property
    def accuracy(self) -> Accuracy:
        """Over all with a ground truth; one that ended in an error counts as not solved."""
        return self._accuracy(lambda problem: problem.with_truth)

    @property
    def accuracy_completed(self) -> Accuracy:
        """Over those that were finished: errors left out."""
        return self._accuracy(lambda problem: problem.completed)

    def _accuracy(self, graded: Callable[[_Problem], int]) -> Accuracy:
        if self.samples <= 1:
            return Accuracy.of(self.outcomes[Outcome.CORRECT], sum(map(graded, self._problems.values())))
        pairs = Counter((float(problem.right), float(graded(problem))) for problem in self._problems.values())
        return Accuracy.of_samples(pairs, BOOTSTRAP_SEED)


@dataclass(frozen=True)
class Agreement:
    """One run beside another, over the problems that both have."""

    shared: int
    same_outcome: int
    gained: int
    """Solved by this run, not by the other."""
    lost: int
    """Solved by the other, not by this run."""


class Comparison:
    """The outcomes of several runs, problem by problem."""

    def __init__(self, n_runs: int) -> None:
        self._outcomes: dict[Key, list[Outcome | None]] = {}
        self._texts: dict[Key, int] = {}
        self._other_texts: set[Key] = set()
        self._n_runs = n_runs

    def add(self, run: int, entry: ResultEntry) -> None:
        """Note an entry of a run, the runs being counted from 0."""
        key = entry.problem_id, entry.sample
        text = zlib.crc32(entry.problem.encode())
        if self._texts.setdefault(key, text) != text:
            self._other_texts.add(key)
        self._outcomes.setdefault(key, [None] * self._n_runs)[run] = entry.outcome

    @property
    def mistaken(self) -> int:
        """How many ids stand for another problem in another run; these are compared nowhere."""
        return len(self._other_texts)

    def agreement(self, run: int, other: int) -> Agreement:
        """One run beside another."""
        pairs = [
            (outcomes[run], outcomes[other])
            for key, outcomes in self._outcomes.items()
            if key not in self._other_texts
        ]
        both = [(here, there) for here, there in pairs if here is not None and there is not None]
        solved = Counter((here is Outcome.CORRECT, there is Outcome.CORRECT) for here, there in both)
        return Agreement(
            shared=len(both),
            same_outcome=sum(here is there for here, there in both),
            gained=solved[True, False],
            lost=solved[False, True],
        )

    def differing(self) -> Iterator[tuple[Key, tuple[Outcome, ...]]]:
        """The problems that every run has, and not all with one outcome; in the order in which they were noted."""
        for key, outcomes in self._outcomes.items():
            known = tuple(outcome for outcome in outcomes if outcome is not None)
            if len(known) == self._n_runs and len(set(known)) > 1 and key not in self._other_texts:
                yield key, known
