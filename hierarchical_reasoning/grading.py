"""Grading what was predicted before: rows with a prediction each, or the entries of a run.

Predictions are read, graded and handed on one after the other, in the order of their file, so that a file may be larger
than memory. A prediction whose grading failed has the outcome `error`, as in a run; a row that cannot be read, or whose
ground truth cannot be used, ends it all, with the place in the file.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hierarchical_reasoning.errors import JournalError, ProblemFileError, ResultsFileError, VerifierError
from hierarchical_reasoning.fatal import FATAL
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.problems.answers import flaw_of
from hierarchical_reasoning.problems.columns import is_missing
from hierarchical_reasoning.problems.plain import TEXT_FIELDS
from hierarchical_reasoning.problems.reading import ProblemFile, open_problems
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.results.reader import RunFile, open_run
from hierarchical_reasoning.results.reader.json_stream import TruncatedJsonError
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.results.summary import ALARM_FROM
from hierarchical_reasoning.results.tally import Tally
from hierarchical_reasoning.verifiers import Grade, Verifier
from llm_backends import BackendError, Spent

PREDICTION_FIELD = "prediction"
TRUNCATED_FIELD = "truncated"
NO_TEXT = "(the problem's text is not given)"
IN_FLIGHT = 16


@dataclass(frozen=True)
class Prediction:
    """What was answered to a problem."""

    problem: Problem
    text: str
    place: str
    """Where it stands, such as "answers.jsonl, line 7"."""
    truncated: bool = False
    sample: int | None = None
    """Which of several attempts; None where the file does not say."""
    error: str | None = None
    """Why there is none: the call failed."""


@dataclass(frozen=True)
class RowFormat:
    """How rows with predictions are laid out; None and "auto": as problems are in any file."""

    prediction_field: str = PREDICTION_FIELD
    problem_field: str | None = None
    answer_field: str | None = None
    problem_shape: str = "auto"


@dataclass(frozen=True)
class PredictionFile(Iterable[Prediction]):
    """A file of predictions, opened."""

    read: Callable[[], Iterator[Prediction]]
    """Goes through the file anew. Raises ProblemFileError, ResultsFileError or JournalError on the way."""
    notes: tuple[str, ...]
    """What the user should know of how it is read."""
    run: RunFile | None = None
    """None for rows, which no run has recorded."""

    def __iter__(self) -> Iterator[Prediction]:
        return self.read()


@dataclass
class GradeTally:
    """The grades in numbers."""

    counts: Tally
    spent: Spent = field(default_factory=Spent)
    """By the judge."""
    causes: Counter[tuple[Outcome, str]] = field(default_factory=Counter)
    """Of what was not correct: the outcome and the fixed part of the reason."""
    _ids: Counter[str] = field(default_factory=Counter)
    """Of rows, which do not say which sample they are."""

    def add(self, prediction: Prediction, grade: Grade, *, has_truth: bool) -> None:
        """Count a grade."""
        problem_id = prediction.problem.id
        self.counts.add_outcome(problem_id, grade.outcome, has_truth=has_truth, sample=prediction.sample or 0)
        if prediction.sample is None:
            self._ids[problem_id] += 1
        if grade.spent is not None:
            self.spent += grade.spent
        if grade.outcome is not Outcome.CORRECT:
            self.causes[grade.outcome, grade.reason.partition(":")[0]] += 1

    @property
    def repeated_ids(self) -> tuple[str, ...]:
        """Those of more than one row, in their order."""
        return tuple(problem_id for problem_id, n in self._ids.items() if n > 1)

    @property
    def alarm(self) -> str | None:
        """What must not be overlooked."""
        n = self.counts.n
        if n < ALARM_FROM or len(self.causes) != 1 or self.causes.total() < n:
            return None
        ((outcome, cause),) = self.causes
        return (
            None
            if outcome is Outcome.UNGRADED
            else f"ALL {n} failed for the same reason ({outcome}: {cause})"
        )


def open_predictions(
    path: Path, rows: RowFormat, problems: Mapping[str, Problem] | None = None
) -> PredictionFile:
    """Open a results file or a journal of a run, or else rows of any format that problems are read from.

    `problems` gives back by id what a results file leaves out of a problem, such as `fen` and `choices`. Raises
    ProblemFileError, ResultsFileError or JournalError.
    """
    run, why_none = _run_of(path)
    if run is not None:
        return PredictionFile(partial(_of_run, run, problems), run.notes, run)
    try:
        file = open_problems(
            path,
            shape=rows.problem_shape,
            problem_field=rows.problem_field,
            answer_field=rows.answer_field,
            flag="FILE",
        )
    except ProblemFileError:
        if why_none is not None and isinstance(why_none.__cause__, TruncatedJsonError):
            raise why_none from None  # no rows either, and this one says that the file ends too early
        raise
    return PredictionFile(partial(_of_rows, file, rows), file.notes)


async def graded(
    verifier: Verifier, predictions: Iterable[Prediction], *, in_flight: int = IN_FLIGHT
) -> AsyncIterator[tuple[Prediction, Grade]]:
    """Each prediction with its grade, in the order given.

    Raises:
        UsageError, BackendError: a ground truth that cannot be used, or what no further grade could survive.
    """
    window: deque[tuple[Prediction, asyncio.Task[Grade]]] = deque()
    try:
        for prediction in predictions:
            window.append((prediction, asyncio.create_task(_grade(verifier, prediction))))
            if len(window) == in_flight:
                first, task = window.popleft()
                yield first, await task
        while window:
            first, task = window.popleft()
            yield first, await task
    finally:
        for _, task in window:
            task.cancel()
        await asyncio.gather(*(task for _, task in window), return_exceptions=True)


async def _grade(verifier: Verifier, prediction: Prediction) -> Grade:
    if prediction.error is not None:
        return Grade(Outcome.ERROR, None, prediction.error, "")
    problem = prediction.problem
    try:
        if verifier.ground_truth(problem) is not None:
            verifier.check(problem)
        return await verifier.grade(problem, prediction.text, truncated=prediction.truncated)
    except ProblemFileError as error:
        raise ProblemFileError(f"{prediction.place}: {error}") from error
    except FATAL:
        raise
    except (BackendError, VerifierError) as error:
        spent = error.spent if isinstance(error, BackendError) else None
        return Grade(Outcome.ERROR, None, f"{type(error).__name__}: {error}", "", spent)


def _run_of(path: Path) -> tuple[RunFile | None, ResultsFileError | JournalError | None]:
    """The run that a file records; None where it is none, and why not."""
    if path.suffix not in (".json", ".jsonl"):
        return None, None
    try:
        return open_run(path), None
    except (JournalError, ResultsFileError) as error:
        return None, error


def _of_run(run: RunFile, problems: Mapping[str, Problem] | None) -> Iterator[Prediction]:
    for entry in run.entries():
        place = f"{run.path}, problem {entry.problem_id!r}"
        yield Prediction(
            _problem_of(entry, problems, place),
            entry.final_response,
            place,
            entry.outcome is Outcome.TRUNCATED,
            entry.sample,
            entry.reason if entry.outcome is Outcome.ERROR else None,
        )


def _problem_of(entry: ResultEntry, problems: Mapping[str, Problem] | None, place: str) -> Problem:
    if problems is None:
        return Problem(entry.problem_id, entry.problem, entry.ground_truth, entry.category, {})
    problem = problems.get(entry.problem_id)
    if problem is None or problem.text != entry.problem:
        what = "is not there" if problem is None else "has another text there"
        raise ProblemFileError(
            f"{place}: the problem {what}; give the file of the run's problems with --input_file"
        )
    return problem


def _of_rows(file: ProblemFile, rows: RowFormat) -> Iterator[Prediction]:
    texts = (rows.problem_field,) if rows.problem_field else TEXT_FIELDS
    for row in file.rows:
        place = f"{file.source}, {row.place}"
        if file.shape.name == "plain" and all(is_missing(row.fields.get(name)) for name in texts):
            row = replace(row, fields={**row.fields, texts[0]: NO_TEXT})
        text = _text_in(row, rows.prediction_field, place)
        truncated = row.fields.get(TRUNCATED_FIELD, False)
        if not isinstance(truncated, bool):
            raise ProblemFileError(f"{place}: `{TRUNCATED_FIELD}` must be true or false, not {truncated!r}")
        yield Prediction(file.shape.problem(row), text, place, truncated)


def _text_in(row: Row, name: str, place: str) -> str:
    """A prediction; a field that is there and says nothing, as null or an empty cell, is an empty text."""
    value = row.fields.get(name)
    if name in row.fields and is_missing(value) and not isinstance(value, list):
        return ""
    flaw: str | None
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        flaw = "is missing" if value is None else f"must be text, not {type(value).__name__}"
    else:
        flaw = flaw_of(str(value))
    if flaw is not None:
        raise ProblemFileError(f"{place}: `{name}` {flaw}; name the field with --prediction_field")
    return str(value)
