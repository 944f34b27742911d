"""What the entries of an arm come to: outcomes, and which thought types correct and incorrect traces were made of.

A trace is incorrect where it was graded and is not right: `wrong`, `no_answer` or `truncated`. Errors and what has no
ground truth are in the outcomes alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.trace import FINISH

START = "Start"
"""Stands before the first thought of a trace."""


@dataclass
class TraceCounts:
    """Over traces that ended alike."""

    traces: int = 0
    thoughts: Counter[str] = field(default_factory=Counter)
    """By thought type; "Finish thinking" is none."""
    containing: Counter[str] = field(default_factory=Counter)
    """Traces with a thought of that type or more."""
    at_step: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By step, counted from 0; "Finish thinking" where it was chosen."""
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """From `START` on."""

    def add(self, chosen: Sequence[str]) -> None:
        """A trace, by what its planner chose."""
        thoughts = [name for name in chosen if name != FINISH]
        self.traces += 1
        self.thoughts.update(thoughts)
        self.containing.update(set(thoughts))
        self.transitions.update(pairwise((START, *chosen)))
        for step, name in enumerate(chosen):
            self.at_step[step][name] += 1

    def visits(self, origin: str) -> int:
        """How often something followed `origin`."""
        return sum(count for (name, _), count in self.transitions.items() if name == origin)


@dataclass
class ArmCounts:
    """Over the entries of one arm."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    categories: defaultdict[str, Counter[Outcome]] = field(default_factory=lambda: defaultdict(Counter))
    """Of problems that have one."""
    correct: TraceCounts = field(default_factory=TraceCounts)
    incorrect: TraceCounts = field(default_factory=TraceCounts)
    node_of: dict[str, str] = field(default_factory=dict)
    """The taxonomy's node of each thought type that has one."""

    def add(self, entry: ResultEntry) -> None:
        """One entry."""
        self.outcomes[entry.outcome] += 1
        if entry.category is not None:
            self.categories[entry.category][entry.outcome] += 1
        if not entry.use_hierarchical:
            return
        for step in entry.steps:
            if step.node_id is not None:
                self.node_of.setdefault(step.thought_type, step.node_id)
        if entry.is_correct is not None:
            counts = self.correct if entry.is_correct else self.incorrect
            counts.add([step.thought_type for step in entry.steps])

    @property
    def thought_types(self) -> set[str]:
        """Those that were chosen, "Finish thinking" left out."""
        return {*self.correct.thoughts, *self.incorrect.thoughts}
