"""The verifier for countdown and the game of 24: any expression that makes the target of the numbers is right.

Each number is to be used exactly once, with `+ - * /` and parentheses, computed in exact fractions. Numbers and target
are the fields `numbers` (or `nums`) and `target`; where there are none they are read from the prompt, and a target that
it does not name is the problem's answer.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from typing import ClassVar

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.arithmetic import Expression, ExpressionError, read_expression
from hierarchical_reasoning.verifiers.base import AnswerVerifier, Grade
from hierarchical_reasoning.verifiers.countdown_task import (
    LIST,
    TARGET_FIELD,
    Countdown,
    countdown_of,
    has_fields,
    listed,
)
from hierarchical_reasoning.verifiers.extract import Candidate, Marker
from hierarchical_reasoning.verifiers.wording import takes_back, unwrapped

_RULES = re.compile(
    r"\bexactly once\b|\bonly once\b|\beach (?:number|once)\b|\bgame of 24\b|\b24 game\b|\bcountdown\b",
    re.IGNORECASE,
)
_EQUALS = re.compile(
    r"(?<!\s)\s*(?<![<>!])=+\s*"
)  # the first part keeps long runs of blanks from being tried anew
_OPERATOR = re.compile(r"\d[\s)]*(?:[-+*/×÷·−=x]|\\(?:times|div|cdot|frac))")
_EQUALS_IN_WORDS = re.compile(
    r"(?<!\s)(?:\s*,)?\s*\b(?:(?:which|that|and|it)\s+)?(?:equals|is\s+equal\s+to|evaluates\s+to|gives|makes|is)\s+(?=\$?-?\d)"
)
_LEADING_WORDS = re.compile(r"^[A-Za-z' ]+:\s*")
_END = re.compile(r"\.(?:\s.*)?$", re.DOTALL)


class CountdownVerifier(AnswerVerifier):
    """Grades expressions; the problem needs no solution to compare with."""

    format: ClassVar[str] = "countdown"
    aliases: ClassVar[tuple[str, ...]] = ("24", "game24", "game of 24")
    computes_truth: ClassVar[bool] = True
    answer_form: ClassVar[str] = "one expression that uses each number exactly once"

    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if the numbers or the target are not to be found, or the answer makes another."""
        countdown = self._countdown(problem)
        for answer in problem.answers:
            flaw = None if _is_number(answer, countdown.target) else _flaw(answer, countdown)
            if flaw is not None:
                raise ProblemFileError(
                    f"problem {problem.id!r}: the answer {answer!r} is neither the target {countdown.target} nor an "
                    f"expression that makes it of {listed(countdown.numbers)} ({flaw}); choose another "
                    "--ground_truth_format or --answer_field"
                )

    def was_meant(self, problem: Problem) -> bool:
        """Where there are the fields, answers are solutions, or the prompt tells the rules or is numbers alone."""
        if (
            has_fields(problem.fields)
            or _RULES.search(problem.text)
            or re.fullmatch(LIST, problem.text.strip())
        ):
            return True
        return bool(problem.answers) and not any(answer.isdecimal() for answer in problem.answers)

    def ground_truth(self, problem: Problem) -> str | tuple[str, ...] | None:
        """The answer given, or else the target, where the fields or the prompt say what is to be made of what."""
        if problem.answer is not None:
            return problem.answer
        if has_fields(problem.fields):
            return str(problem.fields[TARGET_FIELD])
        try:
            return str(countdown_of(problem.text, problem.fields, ()).target)
        except ValueError:
            return None

    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """A phrase leads to an answer if it computes something."""
        return bool(_OPERATOR.search(candidate.text))

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Compute the expression found."""
        countdown = self._countdown(problem)
        written, rest = candidate.text, ""
        if candidate.marker not in (Marker.BOXED, Marker.ANSWER_TAG):
            line = _EQUALS_IN_WORDS.sub(" = ", _LEADING_WORDS.sub("", written))
            written = _END.sub("", line)
            rest = line[len(written) :]
        flaw = "the expression is taken back" if takes_back(rest) else _flaw(written, countdown)
        outcome = Outcome.CORRECT if flaw is None else Outcome.WRONG
        reason = f"it makes the target: {countdown.target}" if flaw is None else flaw
        return Grade(outcome, written, reason, candidate.marker.value)

    def _countdown(self, problem: Problem) -> Countdown:
        try:
            return countdown_of(problem.text, problem.fields, problem.answers)
        except ValueError as error:
            raise ProblemFileError(
                f"problem {problem.id!r}: {error}; --ground_truth_format countdown needs the fields `numbers` and "
                "`target`, or a prompt that names both"
            ) from error


def _flaw(written: str, countdown: Countdown) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    try:
        expression, others = _sides(written)
    except ExpressionError as error:
        return str(error)
    if Counter(expression.numbers) != Counter(countdown.numbers):
        used = listed(sorted(expression.numbers))
        return f"other numbers than those given: {used}, not {listed(sorted(countdown.numbers))}"
    if expression.value != countdown.target:
        return f"it makes another number: {expression.value}, not {countdown.target}"
    if any(other.value != expression.value for other in others):
        return f"the two sides are not equal: {written}"
    return None


def _sides(written: str) -> tuple[Expression, list[Expression]]:
    """The expression, and whatever it is said to be equal to: "(1 + 2) * 8 = 24", "24 = ..."."""
    first, *others = [read_expression(side) for side in _EQUALS.split(unwrapped(written).strip(" .\n"))]
    if len(first.numbers) == 1 and others:
        return others[-1], [first, *others[:-1]]
    return first, others


def _is_number(answer: str, target: Fraction) -> bool:
    try:
        return Fraction(answer) == target
    except (ValueError, ZeroDivisionError):
        return False
