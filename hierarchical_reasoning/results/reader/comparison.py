"""How far several runs agree, problem by problem; no entry is held."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry

Key = tuple[str, int]
"""A problem's id, and the sample."""


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
