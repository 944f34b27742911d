"""The seam of verifiers: a problem and a text in, a grade out.

A verifier is for one answer format and holds nothing that changes between problems. `check` is called for
every problem before a run starts, so that an answer that cannot be graded stops it before it costs anything.
Grading is asynchronous, since some verifiers wait for a process or a model; the others just compute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.extract import NO_MARKER, Candidate, best_candidate
from hierarchical_reasoning.verifiers.wording import normalized
from llm_backends import Backend, Spent
from llm_backends.closing import AsyncClosing

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Grade:
    """What a verifier says of one text."""

    outcome: Outcome
    extracted: str | None
    """The answer as the text has it; None when none was found."""
    reason: str
    """Why it was graded so: fixed words, then after a colon whatever differs from problem to problem."""
    how: str
    """How the answer was found, such as "the answer is"; empty when none was found."""
    spent: Spent | None = None
    """What a judge took; None where no model was asked."""


class Verifier(AsyncClosing, ABC):
    """Grades texts in one answer format.

    Some hold processes: close those when they are no longer needed (`async with`, or `aclose`).
    """

    format: ClassVar[str]
    """The name that `--ground_truth_format` takes."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names for it."""
    computes_truth: ClassVar[bool] = False
    """Whether each problem itself says what is right, answer or not."""
    answer_form: ClassVar[str] = ""
    """What prompts ask the final answer to be, as in "a number"; empty for no hint."""

    @abstractmethod
    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        """Grade what was written for `problem`; `truncated` says that the text ended at the token limit.

        Raises ProblemFileError when the problem's own answer cannot be used (see `check`), and VerifierError or
        BackendError when what grades fails.
        """

    @abstractmethod
    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if this problem's answer cannot be graded in this format."""

    def ground_truth(self, problem: Problem) -> str | tuple[str, ...] | None:
        """What answers are compared with; None where there is nothing, so that they stay ungraded."""
        return problem.answer

    def ballot(self, answer: str) -> str:
        """An extracted answer in a form that equal answers share, to count votes by: as far as that is found without
        the problem, a process or a model. Answers that differ never share one."""
        return normalized(answer)

    def was_meant(self, problem: Problem) -> bool:
        """Whether a problem that can be graded in this format shows that it is the one meant."""
        return True

    def note(self, problems: Sequence[Problem]) -> str:
        """What the user should know of how these problems' answers are read; empty for nothing."""
        return ""

    def judged_by(self, judge: Backend | None) -> Verifier:
        """This verifier with the model that it asks, where it asks one."""
        return self

    async def aclose(self) -> None:
        """Release what the verifier holds; it may be used again, and closing it twice is fine."""
        return


class AnswerVerifier(Verifier):
    """A verifier that finds the answer in the text by its marker and grades that alone."""

    takes_last_number: ClassVar[bool] = False
    """Whether the last number of a text without any marker is its answer."""
    not_found: ClassVar[str] = NO_MARKER
    """Why a text has no answer, where it has none."""

    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        """Find the answer and grade it; of a truncated text, only one that was written to its end."""
        candidate = self.find(problem, text, truncated=truncated)
        if self.ground_truth(problem) is None:
            return ungraded(candidate, "the problem has no ground truth")
        if candidate is not None:
            return await self.grade_candidate(problem, candidate)
        if truncated:
            return Grade(Outcome.TRUNCATED, None, "the text ended at the token limit before an answer", "")
        return Grade(Outcome.NO_ANSWER, None, self.not_found, "")

    def find(self, problem: Problem, text: str, *, truncated: bool) -> Candidate | None:
        """The answer in the text; None where there is none."""
        return best_candidate(
            text,
            accepts=lambda candidate: self.accepts(problem, candidate),
            with_last_number=self.takes_last_number,
            truncated=truncated,
            problem_text=problem.text,
        )

    @abstractmethod
    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Grade the answer that was found; the problem has a ground truth."""

    @abstractmethod
    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """Whether what an open marker ("the answer is ...") leads to can be an answer at all."""


def ungraded(candidate: Candidate | None, reason: str) -> Grade:
    """The grade of a text that is compared with nothing."""
    if candidate is None:
        return Grade(Outcome.UNGRADED, None, reason, "")
    return Grade(Outcome.UNGRADED, candidate.text, reason, candidate.marker.value)
