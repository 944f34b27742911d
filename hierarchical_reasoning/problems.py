"""Problems, and the files they are read from.

Read: `.json` (a list of objects, or an object with such a list under `results`, `problems` or `data`) and
`.jsonl` (one object a line), each also gzipped (`.gz`). A row is checked when it is read, the whole file at a
time, so that nothing is found wrong after a run has cost something.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierarchical_reasoning.errors import CategoryError, ProblemFileError, UsageError

TEXT_FIELDS = ("prompt", "problem", "question")
ANSWER_FIELDS = (
    "answer",
    "correct_answer",
    "ground_truth",
    "ground_truth_json",
    "gold_answer",
    "final_answer",
)
"""In this order."""
MODEL_ANSWER_FIELD = "final_answer"
"""In rollouts, a model's own answer: the truth only in a file whose rows have no other answer field."""
CHESS_ANSWER_FIELDS = ("best_move_san", "best_move_uci")
ID_FIELDS = ("id", "problem_id", "unique_id", "sample_id")
LIST_FIELDS = ("results", "problems", "data")

_GSM8K_ANSWER = re.compile(r"^####[ \t]*(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Problem:
    """What is asked."""

    id: str
    text: str
    answer: str | tuple[str, ...] | None
    """The ground truth: one answer, several accepted ones, or None where the file gives none."""
    category: str | None
    fields: Mapping[str, Any]
    """The row as read."""
    answer_field: str | None = None
    """The field that `answer` was taken from."""

    @property
    def answers(self) -> tuple[str, ...]:
        """The accepted answers; empty where no ground truth was given."""
        if self.answer is None:
            return ()
        return (self.answer,) if isinstance(self.answer, str) else self.answer


@dataclass(frozen=True)
class ProblemSet:
    """The problems of one file, as selected."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What the user should know of how the file was read."""
    path: Path
    sha256: str
    """Of the file's bytes as they lie on disk."""


@dataclass(frozen=True)
class _File:
    path: Path
    flag: str
    """The one that named the file."""

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class _Row:
    where: str
    number: int
    fields: Mapping[str, Any]


def read_problems(
    path: str | Path,
    *,
    category: str | None = None,
    n_rows: int | None = None,
    problem_field: str | None = None,
    answer_field: str | None = None,
    flag: str = "--input_file",
    rows_flag: str = "--n_rows",
) -> ProblemSet:
    """Read the problems of a file, then keep those of `category`, then the first `n_rows`.

    Where no row has a category, `category` labels all of them, and a note says so; another names the fields
    that the ground truth was taken from. With `answer_field` that field alone counts. `flag` and `rows_flag` are
    what the command calls `path` and `n_rows`, for messages. Raises ProblemFileError (what is wrong, in which line
    or row), CategoryError (the categories that exist) and UsageError (`n_rows` below 1).
    """
    file = _File(Path(path), flag)
    if n_rows is not None and n_rows < 1:
        raise UsageError(f"{rows_flag} must be at least 1, not {n_rows}")
    raw = _read_bytes(file)
    rows = list(_rows(file, _decoded(file, raw)))
    if not rows:
        raise ProblemFileError(f"{file} holds no problems; {flag} needs at least one row")
    _check_field(file, rows, problem_field, "--problem_field")
    _check_field(file, rows, answer_field, "--answer_field")
    answer_names = (answer_field,) if answer_field else _answer_names(rows)
    problems = [_problem(file, row, problem_field, answer_names) for row in rows]
    _check_ids(file, rows, problems)
    selected, notes = _of_category(file, problems, category)
    if n_rows is not None and n_rows > len(selected):
        notes.append(f"{rows_flag} {n_rows}: there are only {len(selected)} problems, all of them are used")
    selected = selected[:n_rows]
    notes.extend(_notes_on_answers(selected, answer_field))
    return ProblemSet(tuple(selected), tuple(notes), file.path, hashlib.sha256(raw).hexdigest())


def _read_bytes(file: _File) -> bytes:
    try:
        return file.path.read_bytes()
    except FileNotFoundError:
        raise ProblemFileError(f"{file} does not exist; give a file of problems with {file.flag}") from None
    except OSError as error:
        raise ProblemFileError(
            f"{file} cannot be read ({error.strerror}); give a file of problems with {file.flag}"
        ) from error


def _decoded(file: _File, raw: bytes) -> str:
    if file.path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ProblemFileError(f"{file} is not a whole gzip file ({error}); see {file.flag}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemFileError(
            f"{file} is not UTF-8 text (byte {error.start} is {raw[error.start]:#04x}); see {file.flag}"
        ) from error


def _rows(file: _File, text: str) -> Iterator[_Row]:
    path = file.path
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _row(file, f"line {number}", number, _parse(file, line, first_line=number))
    elif suffix == ".json":
        content = _parse(file, text, first_line=1) if text.strip() else []
        for number, value in enumerate(_list_in(file, content), start=1):
            yield _row(file, f"row {number}", number, value)
    else:
        raise ProblemFileError(
            f"{file} has the ending {suffix!r}; {file.flag} takes .json and .jsonl, each also with .gz"
        )


def _parse(file: _File, text: str, *, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{file}, line {first_line + error.lineno - 1}, column {error.colno}"
        hint = "a file with one object a line is named .jsonl; " if error.msg.startswith("Extra data") else ""
        raise ProblemFileError(f"{where}: broken JSON, {error.msg}; {hint}see {file.flag}") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ProblemFileError(
            f"{file}, from line {first_line}: unreadable JSON, {reason}; see {file.flag}"
        ) from error


def _list_in(file: _File, content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        for name in LIST_FIELDS:
            if isinstance(content.get(name), list):
                found: list[Any] = content[name]
                return found
    raise ProblemFileError(
        f"{file} holds {_kind(content)}; {file.flag} needs a list of objects, or an object with such a "
        f"list under one of {_quoted(LIST_FIELDS)}"
    )


def _row(file: _File, where: str, number: int, value: Any) -> _Row:
    if not isinstance(value, dict):
        raise ProblemFileError(
            f"{file}, {where}: a problem must be an object, not {_kind(value)}; see {file.flag}"
        )
    return _Row(where, number, value)


def _check_field(file: _File, rows: list[_Row], name: str | None, flag: str) -> None:
    if name is not None and not any(name in row.fields for row in rows):
        present = _quoted(rows[0].fields)
        raise ProblemFileError(f"{file}: {flag} {name!r} is in no row; the first row has {present}")


def _answer_names(rows: list[_Row]) -> tuple[str, ...]:
    """The fields that may hold the ground truth of these rows."""
    names = (*ANSWER_FIELDS, *CHESS_ANSWER_FIELDS)
    others = tuple(name for name in names if name != MODEL_ANSWER_FIELD)
    return others if any(row.fields.get(name) is not None for row in rows for name in others) else names


def _problem(file: _File, row: _Row, problem_field: str | None, answer_names: tuple[str, ...]) -> Problem:
    where = f"{file}, {row.where}"
    text = _text(where, row.fields, (problem_field,) if problem_field else TEXT_FIELDS)
    source, answer = _answer(where, text, row.fields, answer_names)
    category = row.fields.get("category")
    if category is not None and not isinstance(category, str | int):
        raise ProblemFileError(f"{where}: `category` must be text, not {_kind(category)}")
    return Problem(
        _id(where, row), text, answer, None if category in (None, "") else str(category), row.fields, source
    )


def _id(where: str, row: _Row) -> str:
    for name in ID_FIELDS:
        value = row.fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value)
        if value not in (None, ""):
            raise ProblemFileError(f"{where}: `{name}` must be text or a whole number, not {_kind(value)}")
    return f"row-{row.number}"


def _text(where: str, fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    present = [name for name in names if fields.get(name) is not None]
    if not present:
        raise ProblemFileError(
            f"{where}: none of {_quoted(names)} is there, only {_quoted(fields)}; name the field with "
            "--problem_field"
        )
    value = fields[present[0]]
    if not isinstance(value, str):
        raise ProblemFileError(
            f"{where}: `{present[0]}` must be text, not {_kind(value)}; name another field with "
            "--problem_field"
        )
    if not value.strip():
        raise ProblemFileError(
            f"{where}: `{present[0]}` is empty; every problem needs a text, see --problem_field"
        )
    if not _is_unicode(value):
        raise ProblemFileError(f"{where}: `{present[0]}` holds half of a surrogate pair, which is no text")
    return value


def _answer(
    where: str, text: str, fields: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[str, str | tuple[str, ...]] | tuple[None, None]:
    """The field and the answer in it."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and (name == "ground_truth_json" or value.lstrip().startswith('{"')):
            value = _parsed_answer(where, name, value)
        if value is None or value in ("", []):
            continue
        if isinstance(value, dict):
            return name, _chess_answer(where, name, text, value)
        if isinstance(value, list):
            return name, tuple(_one_answer(where, name, one) for one in value)
        return name, _one_answer(where, name, value)
    return None, None


def _parsed_answer(where: str, name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ProblemFileError(
            f"{where}: `{name}` holds broken JSON; name another field with --answer_field"
        ) from error


def _one_answer(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise ProblemFileError(
            f"{where}: `{name}` must be text, a number, or a list of these, not {_kind(value)}; name "
            "another field with --answer_field"
        )
    answer = str(value).strip()
    gsm8k = _GSM8K_ANSWER.findall(answer)
    answer = gsm8k[-1].strip() if gsm8k else answer
    if not answer or not _is_unicode(answer):
        raise ProblemFileError(
            f"{where}: `{name}` is blank or no text; name another field with --answer_field"
        )
    return answer


def _chess_answer(where: str, name: str, text: str, truth: dict[str, Any]) -> str | tuple[str, ...]:
    if not {"fen", "move_list"} <= truth.keys():
        raise ProblemFileError(
            f"{where}: `{name}` is an object with {_quoted(truth)}; an object needs `fen` and `move_list`; "
            "name another field with --answer_field"
        )
    from hierarchical_reasoning.verifiers.chess_position import ChessPuzzleError, ground_truth_moves

    try:
        moves = ground_truth_moves(text, truth)
    except ChessPuzzleError as error:
        raise ProblemFileError(f"{where}: `{name}`: {error}; see --answer_field") from error
    return moves[0] if len(moves) == 1 else moves


def _check_ids(file: _File, rows: list[_Row], problems: list[Problem]) -> None:
    first: dict[str, str] = {}
    for row, problem in zip(rows, problems, strict=True):
        if problem.id in first:
            raise ProblemFileError(
                f"{file}, {row.where}: the id {problem.id!r} is also that of {first[problem.id]}; ids must "
                f"differ, since results are kept by them; see {file.flag}"
            )
        first[problem.id] = row.where


def _of_category(
    file: _File, problems: list[Problem], category: str | None
) -> tuple[list[Problem], list[str]]:
    if category is None:
        return problems, []
    if not any("category" in problem.fields for problem in problems):
        labeled = [replace(problem, category=category) for problem in problems]
        return labeled, [
            f"--category {category}: no row has a `category`, so all {len(problems)} are taken as it"
        ]
    selected = [problem for problem in problems if problem.category == category]
    if not selected:
        counts = Counter(problem.category for problem in problems if problem.category is not None)
        existing = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "none with a name"
        raise CategoryError(f"--category {category!r} is not in {file}; its categories are: {existing}")
    return selected, []


def _notes_on_answers(problems: list[Problem], answer_field: str | None) -> list[str]:
    notes = []
    sources = Counter(problem.answer_field for problem in problems if problem.answer_field is not None)
    if len(sources) == 1:
        notes.append(f"the ground truth is taken from {_quoted(sources)}")
    elif sources:
        counted = ", ".join(f"`{name}` ({n})" for name, n in sources.items())
        notes.append(f"the ground truth is taken from several fields: {counted}")
    missing = [problem for problem in problems if problem.answer is None]
    if missing:
        notes.append(
            f"{len(missing)} of {len(problems)} problems have no answer (the first is {missing[0].id})"
        )
    unused = sum(problem.fields.get(MODEL_ANSWER_FIELD) not in (None, "", []) for problem in missing)
    if unused and answer_field is None:
        notes.append(
            f"{unused} of these have a `{MODEL_ANSWER_FIELD}`, taken for a model's own, since the file has another "
            f"answer field; if it is the truth, give --answer_field {MODEL_ANSWER_FIELD}"
        )
    return notes


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _quoted(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
