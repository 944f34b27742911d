"""The solver's seam."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import SearchRecord, StepRecord, TokenUsage
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import Spent


@dataclass
class Solution:
    """What a solver made of a problem. It grows while the problem is worked on, so that an error loses none of it."""

    steps: list[StepRecord] = field(default_factory=list)
    final_response: str = ""
    truncated: bool = False
    """The final response was cut off."""
    spent: dict[str, Spent] = field(default_factory=dict)
    """By role."""
    notes: list[str] = field(default_factory=list)
    value: float | None = None
    """What a value head expects of the answer, from 0 to 1; None where none was asked."""
    search: SearchRecord | None = None
    """What a search did; None where there was none, or it did not come to its end."""
    tree: ReasoningTree | None = None
    """Of a search, as far as it grew."""

    def spend(self, role: str, spent: Spent | None) -> TokenUsage | None:
        """Add what a call took to a role; returns it as a step records it."""
        if spent is None:
            return None
        self.spent[role] = self.spent.get(role, Spent()) + spent
        return TokenUsage.of(spent)


class Solver(ABC):
    """Solves problems, one attempt at a time; many attempts may be under way at once."""

    async def begin(  # noqa: B027 - most solvers have nothing to prepare
        self,
        attempts: Sequence[tuple[Problem, int]],
        owed: Collection[tuple[str, int]],
        finished: Iterable[ReasoningTree],
    ) -> None:
        """Called once, before a run's first attempt.

        Args:
            attempts: problem and sample of all of the run, in order.
            owed: problem id and sample of those that are still to be made; they are begun in that order.
            finished: the trees of the others, where solving leaves trees.
        """

    @abstractmethod
    async def solve(self, problem: Problem, solution: Solution, *, sample: int = 0) -> None:
        """Fill ``solution``.

        Args:
            problem: what is asked.
            solution: an empty one; what is in it when an error is raised is kept.
            sample: which of several independent attempts this is.

        Raises:
            BackendError: when a model gives no usable reply.
        """
