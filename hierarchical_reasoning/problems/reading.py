"""Reading a file of problems, from its bytes to the problems that are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.columns import is_missing, look_through
from hierarchical_reasoning.problems.plain import MODEL_ANSWER_FIELD, Plain
from hierarchical_reasoning.problems.problem import Problem, ProblemSet
from hierarchical_reasoning.problems.rows import Row, read_rows
from hierarchical_reasoning.problems.selection import Wanted, select
from hierarchical_reasoning.problems.shapes import shape_of
from hierarchical_reasoning.problems.source import Source, sha256_of, state_of
from hierarchical_reasoning.wording import first_of, quoted


def read_problems(
    path: str | Path,
    *,
    category: str | None = None,
    n_rows: int | None = None,
    sample_ids: tuple[str, ...] = (),
    shuffle_seed: int | None = None,
    shape: str = "auto",
    problem_field: str | None = None,
    answer_field: str | None = None,
    flag: str = "--input_file",
    rows_flag: str = "--n_rows",
) -> ProblemSet:
    """Read the problems of a file: those of `category`, or with `sample_ids`; then the first `n_rows`.

    With `shuffle_seed` they come in an order that is drawn. `shape` names how rows are laid out; "auto" finds it from
    the columns, and a note says so where it is not plain. Where no row has a category, `category` labels all of them,
    and a note says so; another names the fields that the ground truth was taken from. With `answer_field` that field
    alone counts. `flag` and `rows_flag` are what the command calls `path` and `n_rows`, for messages.

    Raises:
        ProblemFileError: what is wrong, in which line or row.
        CategoryError: the categories that exist.
        UsageError: `n_rows` below 1, or an id that is not there.
    """
    wanted = Wanted(category, sample_ids, shuffle_seed, n_rows, rows_flag)
    file = open_problems(path, shape=shape, problem_field=problem_field, answer_field=answer_field, flag=flag)
    problems = (problem for _, problem in file)
    selected, notes = select(file.source, problems, wanted, has_categories=file.shape.has_categories)
    notes = [*file.notes, *notes]
    if file.shape.has_answers:
        notes += _notes_on_answers(selected, answer_field)
    return ProblemSet(
        tuple(selected), tuple(notes), file.source.path, file.sha256, _OfCategory(file, category)
    )


@dataclass(frozen=True)
class _OfCategory(Iterable[Problem]):
    """The problems of a category, or all of them; where no row has a category, every one is of it."""

    file: ProblemFile
    category: str | None

    def __iter__(self) -> Iterator[Problem]:
        takes_all = self.category is None or not self.file.shape.has_categories
        return (problem for _, problem in self.file if takes_all or problem.category == self.category)


@dataclass(frozen=True)
class ProblemFile:
    """A file whose rows have been looked through, and which can be gone through as problems, one after the other."""

    source: Source
    rows: Iterable[Row]
    shape: Plain
    notes: tuple[str, ...]
    sha256: str
    state: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[Row, Problem]]:
        """Every row, and the problem that it is. Raises ProblemFileError, also where two share an id."""
        places: dict[str, str] = {}
        for row in self.rows:
            problem = self.shape.problem(row)
            if problem.id in places:
                raise ProblemFileError(
                    f"{self.source}, {row.place}: the id {problem.id!r} is also that of {places[problem.id]}; ids must "
                    f"differ, since results are kept by them; see {self.source.flag}"
                )
            places[problem.id] = row.place
            yield row, problem
        if state_of(self.source) != self.state:
            raise ProblemFileError(f"{self.source} was changed while it was read; see {self.source.flag}")


def open_problems(
    path: str | Path,
    *,
    shape: str = "auto",
    problem_field: str | None = None,
    answer_field: str | None = None,
    flag: str = "--input_file",
) -> ProblemFile:
    """Look through a file's rows, and find out how they are to be read. Raises ProblemFileError."""
    source = Source(Path(path), flag)
    state = state_of(source)
    rows = read_rows(source)
    digest = sha256_of(source)
    found, notes = shape_of(shape, source, look_through(source, rows), problem_field, answer_field)
    return ProblemFile(source, rows, found, tuple(notes), digest, state)


def _notes_on_answers(problems: list[Problem], answer_field: str | None) -> list[str]:
    notes = []
    sources = Counter(problem.answer_field for problem in problems if problem.answer_field is not None)
    if len(sources) == 1:
        notes.append(f"the ground truth is taken from {quoted(sources)}")
    elif sources:
        counted = ", ".join(f"`{name}` ({n})" for name, n in sources.items())
        notes.append(f"the ground truth is taken from several fields: {counted}")
    missing = [problem for problem in problems if problem.answer is None]
    if missing:
        places = first_of([problem.place for problem in missing])
        notes.append(f"{len(missing)} of {len(problems)} problems have no answer: {places}")
    if missing and len(missing) == len(problems) and answer_field is None:
        notes.append(
            f"the fields of the first are {quoted(problems[0].fields)}; if one of them is the truth, name it with "
            "--answer_field"
        )
    unused = sum(not is_missing(problem.fields.get(MODEL_ANSWER_FIELD)) for problem in missing)
    if unused and answer_field is None:
        notes.append(
            f"{unused} of these have a `{MODEL_ANSWER_FIELD}`, taken for a model's own, since the file has another "
            f"answer field; if it is the truth, give --answer_field {MODEL_ANSWER_FIELD}"
        )
    return notes
