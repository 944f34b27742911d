"""One attempt at a problem: solved, graded, recorded. A failure of it becomes data here, unless it is fatal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from hierarchical_reasoning.fatal import FATAL
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoning_config import JUDGE
from hierarchical_reasoning.results.records import ErrorRecord, MemoryRecord, ResultEntry, RoleUsage
from hierarchical_reasoning.search.recording import graded
from hierarchical_reasoning.solvers import Solution, Solver
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.verifiers import Grade, Verifier
from llm_backends import BackendError, Price


@dataclass(frozen=True)
class Attempted:
    """How an attempt ended: with a grade or with an error."""

    problem: Problem
    sample: int
    solution: Solution
    grade: Grade | None
    error: Exception | None
    seconds: float

    @property
    def outcome(self) -> Outcome:
        return self.grade.outcome if self.grade else Outcome.ERROR

    def usage(self, prices: Mapping[str, Price | None]) -> dict[str, RoleUsage]:
        """What it took, by role."""
        spent = self.solution.spent.items()
        return {role: RoleUsage.priced(used, prices.get(role)) for role, used in spent}


async def attempt(
    solver: Solver, verifier: Verifier, problem: Problem, solution: Solution, *, sample: int
) -> Attempted:
    """Solve a problem and grade the answer.

    Args:
        solution: an empty one; it has what was spent, whatever happens.

    Raises:
        UsageError, BackendError: what ends a run (see :data:`hierarchical_reasoning.fatal.FATAL`).
    """
    started = time.perf_counter()
    error: Exception | None = None
    grade: Grade | None = None
    try:
        await solver.solve(problem, solution, sample=sample)
        grade = await verifier.grade(problem, solution.final_response, truncated=solution.truncated)
        solution.spend("judge", grade.spent)
        if (
            solution.tree is not None and verifier.format != JUDGE
        ):  # what a judge takes is not spent on pictures
            solution.tree = await graded(solution.tree, problem, verifier)
    except Exception as caught:  # the boundary where a failure becomes data
        if isinstance(caught, BackendError) and caught.role is not None:
            solution.spend(caught.role, caught.spent)
        if isinstance(caught, FATAL):
            raise
        error = caught
    return Attempted(problem, sample, solution, grade, error, time.perf_counter() - started)


def entry_of(
    attempted: Attempted,
    verifier: Verifier,
    prices: Mapping[str, Price | None],
    *,
    label_level: int,
    use_hierarchical: bool = True,
    memory: MemoryRecord | None = None,
) -> ResultEntry:
    """An attempt as it is recorded.

    Args:
        memory: that the process held; None: that was not measured.
    """
    problem, solution, grade, error = (
        attempted.problem,
        attempted.solution,
        attempted.grade,
        attempted.error,
    )
    return ResultEntry(
        problem_id=problem.id,
        problem=problem.text,
        use_hierarchical=use_hierarchical,
        label_level=label_level,
        thought_types=tuple(step.thought_type or FINISH for step in solution.steps),
        thoughts=tuple(
            step.thought for step in solution.steps if step.thought or step.thought_type != FINISH
        ),
        final_response=solution.final_response,
        extracted_answer=grade.extracted if grade else None,
        extracted_by=grade.how if grade else "",
        is_correct=attempted.outcome.is_correct,
        ground_truth=verifier.ground_truth(problem),
        outcome=attempted.outcome,
        reason=grade.reason if grade else f"{type(error).__name__}: {error}",
        category=problem.category,
        sample=attempted.sample,
        steps=tuple(solution.steps),
        usage=attempted.usage(prices),
        seconds=attempted.seconds,
        memory=memory,
        error=ErrorRecord(type=type(error).__name__, message=str(error)) if error else None,
        notes=tuple(solution.notes),
        search=solution.search,
        value=solution.value,
    )
