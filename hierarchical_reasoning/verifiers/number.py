"""The verifier for numbers, exact by default.

Numbers are compared as fractions, never as floats. A percent sign on one side alone is taken either way:
"50%" is 1/2, and it is also what is meant by a ground truth of 50 to a question that asks for a percentage.
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hierarchical_reasoning.errors import ProblemFileError, UsageError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import AnswerVerifier, Grade
from hierarchical_reasoning.verifiers.extract import Candidate, Marker
from hierarchical_reasoning.verifiers.numerals import Number, read_number, same_number, why_unread
from hierarchical_reasoning.verifiers.sentences import number_in, spelled_number
from hierarchical_reasoning.verifiers.wording import first_sentence


class NumberVerifier(AnswerVerifier):
    """Grades numbers: equal as exact fractions, or within a relative tolerance."""

    format: ClassVar[str] = "number"
    answer_form: ClassVar[str] = "a number"
    takes_last_number: ClassVar[bool] = True

    def __init__(self, relative_tolerance: Fraction | float = 0) -> None:
        """`relative_tolerance` is the allowed |answer - truth| / |truth|; 0 asks for equality."""
        if not 0 <= relative_tolerance < 1:
            raise UsageError(
                f"the relative tolerance must lie in [0, 1), not {relative_tolerance} (--number_tolerance)"
            )
        self._tolerance = Fraction(str(relative_tolerance))

    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if one of the accepted answers is not one number."""
        self._truths(problem)

    def ballot(self, answer: str) -> str:
        """The number itself, however it is written."""
        number = read_number(answer) or spelled_number(answer)
        return super().ballot(answer) if number is None else str(number)

    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """A phrase leads to an answer if its sentence holds a digit, or is a number in words."""
        sentence = first_sentence(candidate)
        return any(character.isdecimal() for character in sentence) or spelled_number(sentence) is not None

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Compare the number found with each accepted one."""
        truths = self._truths(problem)
        how = candidate.marker.value
        written = first_sentence(candidate)
        answer = spelled_number(written)
        if answer is None and candidate.marker in (Marker.FINAL_ANSWER, Marker.HASHES, Marker.PHRASE):
            answer = number_in(written, candidate.text[len(written) :])
        elif answer is None:
            answer = read_number(written)
        if answer is None:
            return Grade(Outcome.WRONG, written, why_unread(written), how)
        expected = " or ".join(problem.answers)
        if any(same_number(answer, truth, self._tolerance) for truth in truths):
            within = " within the tolerance" if self._tolerance else ""
            return Grade(Outcome.CORRECT, written, f"the same number{within}: {expected}", how)
        return Grade(Outcome.WRONG, written, f"another number: {written}, not {expected}", how)

    def _truths(self, problem: Problem) -> list[Number]:
        truths = []
        for answer in problem.answers:
            number = read_number(answer)
            if number is None:
                raise ProblemFileError(
                    f"problem {problem.id!r}: the answer {answer!r} is not one number; choose another "
                    "--ground_truth_format, or name the field of the answer with --answer_field"
                )
            truths.append(number)
        return truths
