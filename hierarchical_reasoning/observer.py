"""What someone who watches a run may see. The command line prints it; by default nobody looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import ResultEntry
from llm_backends import Message


class Observer:
    """Called as things happen; every method may be left as it is."""

    def kept(self, entries: Iterator[ResultEntry]) -> None:
        """The run goes on with these problems, which an earlier session finished; perhaps there are none."""

    def asked(self, problem: Problem, messages: Sequence[Message]) -> None:
        """A prompt is about to be sent."""

    def chose(self, problem: Problem, name: str) -> None:
        """The planner chose a thought type, or "Finish thinking"."""

    def thought(self, problem: Problem, text: str) -> None:
        """The reasoner wrote a thought, or the final response."""

    def finished(self, entry: ResultEntry) -> None:
        """A problem ended, and is in the journal."""
