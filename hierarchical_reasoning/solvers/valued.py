"""A solver whose answers are valued by a value head: one of several samples can be chosen by that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from hierarchical_reasoning.fatal import FATAL
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.search.budget import Budget
from hierarchical_reasoning.search.paid_values import paid_by
from hierarchical_reasoning.solvers.base import Solution, Solver
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.values.base import Place
from llm_backends import BackendError, TransientError

if TYPE_CHECKING:
    from hierarchical_reasoning.values.learned import LearnedValue


class ValuedSolver(Solver):
    """Solves as another solver does, and says what a value head expects of the answer. The head learns nothing, so that
    a value depends on the problem and the trace alone."""

    def __init__(self, solver: Solver, load: Callable[[], Awaitable[LearnedValue]]) -> None:
        """
        Args:
            load: the head, when the first attempt is about to begin.
        """
        self._solver = solver
        self._load = load
        self._head: LearnedValue | None = None

    async def begin(
        self,
        attempts: Sequence[tuple[Problem, int]],
        owed: Collection[tuple[str, int]],
        finished: Iterable[ReasoningTree],
    ) -> None:
        """Load the head; arguments as of `Solver.begin`.

        Raises:
            ValueHeadError: there is none that can be read, or it learned from the vectors of another encoder or model.
        """
        self._head = await self._load()
        await self._solver.begin(attempts, owed, finished)

    async def solve(self, problem: Problem, solution: Solution, *, sample: int = 0) -> None:
        """Fill `solution`, its value too.

        Raises:
            BackendError: a model gives no usable reply, or the server of embeddings does not answer. Where the answer
                is one that cannot be valued, a note says so.
        """
        assert self._head is not None, "`begin` comes first"
        await self._solver.solve(problem, solution, sample=sample)
        place = Place.of_answer(problem.without_truth(), solution.steps, solution.final_response)
        estimator = paid_by(self._head, Budget(), solution) or self._head
        try:
            [estimate] = await estimator.estimate([place])
        except (*FATAL, TransientError):
            raise
        except BackendError as error:  # the answer is there, and counts without a value
            solution.notes.append(f"not valued: {type(error).__name__}: {error} (--value_head)")
        else:
            solution.value = estimate.value
