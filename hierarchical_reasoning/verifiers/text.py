"""The verifier for answers in words: the same words, but for Unicode composition, case, spaces, quotes and markup."""

from __future__ import annotations

from typing import ClassVar

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import AnswerVerifier, Grade
from hierarchical_reasoning.verifiers.extract import Candidate
from hierarchical_reasoning.verifiers.wording import is_words, normalized, same_words


class TextVerifier(AnswerVerifier):
    """Grades exact words; one who knows better synonyms is the judge."""

    format: ClassVar[str] = "text"
    aliases: ClassVar[tuple[str, ...]] = ("exact",)

    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if an accepted answer is nothing but punctuation."""
        for answer in problem.answers:
            if not normalized(answer):
                raise ProblemFileError(
                    f"problem {problem.id!r}: nothing is left of the answer {answer!r} without spaces, quotes and "
                    "markup; choose another --ground_truth_format or --answer_field"
                )

    def was_meant(self, problem: Problem) -> bool:
        """Only where no answer could be mathematics."""
        return all(map(is_words, problem.answers))

    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """A phrase leads to an answer if words follow."""
        return bool(normalized(candidate.text))

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Compare the words with each accepted answer."""
        how = candidate.marker.value
        for truth in problem.answers:
            if same_words(candidate, truth):
                return Grade(Outcome.CORRECT, candidate.text, f"the same words: {truth}", how)
        reason = f"other words: {candidate.text!r}, not {' or '.join(map(repr, problem.answers))}"
        return Grade(Outcome.WRONG, candidate.text, reason, how)
