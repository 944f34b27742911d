"""The verifier for mathematical answers: numbers, expressions, equations, sets, intervals, tuples, matrices.

What can be decided exactly is decided here: two numbers as fractions, numerals of another base by their digits, words
("even", "\\text{Friday}") as words. All else is compared by Math-Verify in a process that can be killed, symbolically,
and where one side is a decimal to six places. An answer that takes it too long is wrong, and the reason says so; a
process that is killed from outside is an error, since the answer may be right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import AnswerVerifier, Grade
from hierarchical_reasoning.verifiers.extract import Candidate, Marker
from hierarchical_reasoning.verifiers.math_pool import TookTooLongError, WorkerPool
from hierarchical_reasoning.verifiers.numerals import Number, read_number, same_number
from hierarchical_reasoning.verifiers.sentences import number_in
from hierarchical_reasoning.verifiers.units import in_two_units, same_units
from hierarchical_reasoning.verifiers.wording import (
    FUNCTION,
    first_sentence,
    is_words,
    normalized,
    same_words,
    unwrapped,
)

MAX_LENGTH = 2000
"""Longer answers are not compared: no problem needs them, and a hostile text must not cost time."""

_FORMULA = re.compile(
    r"(?<![\\\d])\$\$?((?:\\.|[^$\\])+)\$\$?|\\\(((?:(?!\\[()]).)+)\\\)|\\\[((?:(?!\\[\[\]]).)+)\\\]"
)
_BETWEEN = re.compile(r"[\s,]*(?:and|or)?[\s,]*")
_BASED = re.compile(r"(\d[\da-z,]*)_\{?(\d+)\}?")
_DENIED = re.compile(
    r"(?<!\\)\b(?:not|neither|nor|half|twice|thrice|double|triple|times|plus|minus|divided|squared|cubed|factorial"
    r"|(?:square|cube) root|sqrt(?! ?[({])|(?:less|more|fewer|greater) than|at (?:least|most)|wrong|incorrect)\b",
    re.IGNORECASE,
)
"""Words that make another answer of mathematics; Math-Verify would leave them out."""
_NAMED = re.compile(r"\$? ?([A-Za-z](?:_\{?\w+\}?)?) ?=(?!.*=)")
_BRACKETED = re.compile(r"(?P<set>\\\{)?(?:(?<=\{)|[(\[])[^()\[\]{}]*,[^()\[\]{}]*(?:\\\}|[)\]])")
"""Two or more things in one pair of brackets, a set where those are braces."""
_PROSE = re.compile(r"(?<!\\)(?<![A-Za-z])[A-Za-z]{3,}")
_NOT_COMPACT = re.compile(r"(?<!\w)\s+|\s+(?!\w)|\\[,;:! ]|\\left|\\right|\\displaystyle|\$|\.$")


class MathVerifier(AnswerVerifier):
    """Grades by what an answer means; close it to stop its processes."""

    format: ClassVar[str] = "math"
    aliases: ClassVar[tuple[str, ...]] = ("latex", "math_verify")

    def __init__(self, pool: WorkerPool | None = None) -> None:
        self._pool = pool or WorkerPool()

    async def aclose(self) -> None:
        """Stop the processes; later answers start new ones."""
        self._pool.close()

    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if an accepted answer can be read neither as mathematics nor as words."""
        for answer in problem.answers:
            if is_words(answer) or _number(answer) or _based(answer):
                continue
            try:
                readable = len(answer) <= MAX_LENGTH and self._pool.ask([answer], None).readable
            except TookTooLongError:
                readable = False
            if not readable:
                raise ProblemFileError(
                    f"problem {problem.id!r}: the answer {_shown(answer)} cannot be read as mathematics; choose "
                    "another --ground_truth_format, or name the field of the answer with --answer_field"
                )

    def note(self, problems: Sequence[Problem]) -> str:
        """How many answers are words."""
        n = sum(any(map(is_words, problem.answers)) for problem in problems)
        return f"{n} of {len(problems)} answers are words, and are compared as words" if n else ""

    def ballot(self, answer: str) -> str:
        """The number itself, however it is written; of other mathematics, what is left without spacing."""
        if is_words(answer):
            return super().ballot(answer)
        number = _number(answer)
        return _NOT_COMPACT.sub("", unwrapped(answer)) if number is None else str(number)

    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """A phrase leads to an answer if its sentence holds mathematics; or words, where words are the answer."""
        if any(map(is_words, problem.answers)):
            return bool(normalized(candidate.text))
        sentence = first_sentence(candidate)
        if any(character.isdecimal() or character in "\\$" for character in sentence):
            return True
        return bool(sentence) and not _PROSE.search(FUNCTION.sub("", sentence))

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Compare the answer found with each accepted one."""
        how = candidate.marker.value
        written = _formula(candidate)
        expected = " or ".join(problem.answers)
        left = []
        for truth in problem.answers:
            same = _decided(candidate, written, truth)
            if same:
                return Grade(Outcome.CORRECT, written, f"the same answer: {expected}", how)
            if same is None:
                left.append(truth)
        another = Grade(Outcome.WRONG, written, f"another answer: {_shown(written)}, not {expected}", how)
        return await self._compared(left, written, another) if left else another

    async def _compared(self, truths: Sequence[str], written: str, another: Grade) -> Grade:
        """What Math-Verify says; `another` is the grade of an answer that differs."""
        how = another.how
        if len(written) > MAX_LENGTH:
            reason = f"the answer is too long to be compared: {len(written):,} characters, not {MAX_LENGTH:,}"
            return Grade(Outcome.WRONG, written, reason, how)
        try:
            comparison = await self._pool.compare(truths, written)
        except TookTooLongError:
            reason = f"comparing the answer took too long: more than {self._pool.cpu_seconds:g} s for {_shown(written)}"
            return Grade(Outcome.WRONG, written, reason, how)
        if not comparison.readable:
            reason = f"the answer cannot be read as mathematics: {_shown(written)}"
            return Grade(Outcome.WRONG, written, reason, how)
        if comparison.same:
            return Grade(Outcome.CORRECT, written, f"an equal answer: {' or '.join(truths)}", how)
        return another


def _decided(candidate: Candidate, written: str, truth: str) -> bool | None:
    """Whether the answer is `truth`, where that can be told exactly; None where it has to be compared."""
    if _compact(written) == _compact(truth):
        return True
    number = _number(truth)
    if number is None and is_words(truth):
        return same_words(candidate, truth) or _letters(written) == _letters(truth)
    if _DENIED.search(unwrapped(written)) and not _DENIED.search(unwrapped(truth)):
        return False
    if not _alike(written, truth) or (number is not None and in_two_units(written)):
        return False
    based, truth_based = _based(written), _based(truth)
    if based and not truth_based:
        return False
    if truth_based:
        return _same_based(based or _digits(written), truth_based or _digits(truth))
    if number is None:
        return None
    answer = _number(written)
    if answer is None and candidate.marker in (Marker.FINAL_ANSWER, Marker.HASHES, Marker.PHRASE):
        answer = number_in(written)
    return None if answer is None else same_number(answer, number)


def _alike(written: str, truth: str) -> bool:
    """Whether unit, name and kind of brackets of the two can be the same, each as far as both have one."""
    names = [_NAMED.match(text) for text in (written, truth)]
    sets = [_BRACKETED.fullmatch(_compact(text)) for text in (written, truth)]
    if names[0] and names[1] and names[0][1] != names[1][1]:
        return False
    if sets[0] and sets[1] and bool(sets[0]["set"]) is not bool(sets[1]["set"]):
        return False
    return same_units(written, truth)


def _number(text: str) -> Number | None:
    """The number that the text is; a factorial is an expression here."""
    return None if "!" in text.replace("\\!", "") else read_number(text)


def _formula(candidate: Candidate) -> str:
    """What is compared: of an open line the formulas of its first sentence, if they are set off as such."""
    written = first_sentence(candidate)
    if candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG):
        return written
    formulas = list(_FORMULA.finditer(candidate.text))
    if not formulas or formulas[0].start() > len(written):
        return written.strip(" *`")
    found = [formulas[0]]
    for formula in formulas[1:]:
        if not _BETWEEN.fullmatch(candidate.text, found[-1].end(), formula.start()):
            break
        found.append(formula)
    return ", ".join(next(filter(None, formula.groups())).strip() for formula in found)


def _compact(text: str) -> str:
    return _NOT_COMPACT.sub("", text.strip()).replace("dfrac", "frac").replace("tfrac", "frac")


def _letters(text: str) -> str:
    return normalized(text).strip("() ")


def _based(text: str) -> tuple[str, str] | None:
    """The digits and the base of a numeral such as `1024_{5}`."""
    match = _BASED.fullmatch(_compact(unwrapped(text)).lower())
    return (match[1].replace(",", ""), match[2]) if match else None


def _digits(text: str) -> tuple[str, None]:
    return _compact(unwrapped(text)).lower().replace(",", ""), None


def _same_based(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    """The base may be left out on one side: the problem asks for it."""
    return one[0] == other[0] and (None in (one[1], other[1]) or one[1] == other[1])


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 100 else f"{text[:100]!r}... ({len(text):,} characters)"
