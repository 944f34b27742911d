"""The verifier for multiple choice: the letter of an option, or its text.

Options are the field `choices` or `options`, or stand in the prompt as "A) ... B) ...". A ground truth is a letter, an
option's text, or, as in MMLU, a place in the list counted from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import AnswerVerifier, Grade
from hierarchical_reasoning.verifiers.extract import Candidate, Marker
from hierarchical_reasoning.verifiers.option_named import NO_OPTION, named
from hierarchical_reasoning.verifiers.options import Options, is_place, label_of_truth, options_of


class ChoiceVerifier(AnswerVerifier):
    """Grades which option an answer names; two options, or a letter with another option's text, are wrong."""

    format: ClassVar[str] = "choice"
    aliases: ClassVar[tuple[str, ...]] = ("multiple choice", "multiple_choice", "mcq")
    answer_form: ClassVar[str] = "the letter of one option"

    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if there are no options, or an accepted answer is none of them."""
        self._truths(problem, self._options(problem))

    def note(self, problems: Sequence[Problem]) -> str:
        """Whether answers are places."""
        n = sum(
            any(is_place(answer, self._options(problem)) for answer in problem.answers)
            for problem in problems
            if problem.answers
        )
        return (
            f"{n} of {len(problems)} answers are places in the list of options, counted from 0" if n else ""
        )

    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """A phrase leads to an answer if an option follows; where there are none, nothing is graded."""
        try:
            options = options_of(problem.text, problem.fields)
        except ValueError:
            return True
        return self._named(candidate, options)[1] != NO_OPTION

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Compare the option named with the accepted ones."""
        options = self._options(problem)
        truths = self._truths(problem, options)
        how = candidate.marker.value
        label, why = self._named(candidate, options)
        if label is None:
            reason = f"{why}: {candidate.text!r} among {', '.join(options)}"
            return Grade(Outcome.WRONG, candidate.text, reason, how)
        expected = " or ".join(truths)
        if label in truths:
            return Grade(Outcome.CORRECT, label, f"the same option: {expected}", how)
        return Grade(Outcome.WRONG, label, f"another option: {label}, not {expected}", how)

    @staticmethod
    def _named(candidate: Candidate, options: Options) -> tuple[str | None, str]:
        whole = candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG)
        return named(candidate.text, options, whole=whole)

    @staticmethod
    def _options(problem: Problem) -> Options:
        try:
            return options_of(problem.text, problem.fields)
        except ValueError as error:
            raise ProblemFileError(
                f"problem {problem.id!r}: {error} (--ground_truth_format choice)"
            ) from error

    @staticmethod
    def _truths(problem: Problem, options: Options) -> list[str]:
        truths = []
        for answer in problem.answers:
            label = label_of_truth(answer, options)
            if label is None:
                raise ProblemFileError(
                    f"problem {problem.id!r}: the answer {answer!r} is neither the letter nor the text of an option "
                    f"({', '.join(options)}); choose another --ground_truth_format or --answer_field"
                )
            truths.append(label)
        return truths
