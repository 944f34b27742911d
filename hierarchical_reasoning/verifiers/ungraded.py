"""The verifier for problems without ground truth: it finds answers and grades none."""

from __future__ import annotations

from typing import ClassVar

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import Grade, Verifier, ungraded
from hierarchical_reasoning.verifiers.extract import best_candidate


class UngradedVerifier(Verifier):
    """Keeps what was answered, and leaves every problem ungraded, even one that has a ground truth."""

    format: ClassVar[str] = "ungraded"

    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        """Report the answer, ungraded."""
        candidate = best_candidate(text, accepts=lambda candidate: True, truncated=truncated)
        if problem.answer is None:
            return ungraded(candidate, "the problem has no ground truth")
        return ungraded(candidate, "the format is `ungraded`, so the ground truth was not used")

    def check(self, problem: Problem) -> None:
        """Nothing to check: no answer is used."""
