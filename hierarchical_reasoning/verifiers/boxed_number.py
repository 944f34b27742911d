"""The verifier for numbers in boxes: what is not in `\\boxed{}` is no answer, as in published numbers on GSM8K."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.extract import Candidate, boxed_candidate
from hierarchical_reasoning.verifiers.number import NumberVerifier
from hierarchical_reasoning.verifiers.numerals import read_number


class BoxedNumberVerifier(NumberVerifier):
    """Grades the number in the last box; a text without one is wrong, whatever numbers it has."""

    format: ClassVar[str] = "boxed"
    not_found: ClassVar[str] = r"no \boxed{} in the text"

    def find(self, problem: Problem, text: str, *, truncated: bool) -> Candidate | None:
        """The last box that was closed, also of a text that was cut off after it."""
        return boxed_candidate(text, problem_text=problem.text)

    def ballot(self, answer: str) -> str:
        """The number itself, without its unit: a problem asks for one quantity, so that "$18" and "18" are one vote."""
        number = read_number(answer)
        return super().ballot(answer) if number is None else str(replace(number, unit=""))
