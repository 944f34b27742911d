"""A training log as it is found: complete, still growing, or torn by a kill.

Every line is checked, since the numbers go into figures that others will trust. A last line that does not end is one
that is being written, or was when the run was killed: it is left out, and said.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from hierarchical_reasoning.errors import ResultsFileError
from hierarchical_reasoning.training.log import (
    LOG_NAME,
    SETTINGS_NAME,
    EvaluationRecord,
    Mode,
    Record,
    UpdateRecord,
    record_from,
)
from hierarchical_reasoning.training.report.words import LANGUAGE_MODEL, PLANNER, Words
from hierarchical_reasoning.wording import kind_of

_LARGEST = 1e100
"""Beyond it, what is computed from two numbers may not be one."""
_KINDS: dict[str, type[UpdateRecord] | type[EvaluationRecord]] = {
    "update": UpdateRecord,
    "evaluation": EvaluationRecord,
}


@dataclass(frozen=True)
class TrainingLog:
    """The records, in the order of their updates; one an update, and one an evaluation and mode."""

    updates: tuple[UpdateRecord, ...]
    evaluations: tuple[EvaluationRecord, ...]
    notes: tuple[str, ...]
    """What was left out, and why."""

    @property
    def records(self) -> tuple[Record, ...]:
        """All of them, by update; an update before the evaluations after it."""
        found: list[Record] = [*self.updates, *self.evaluations]
        return tuple(sorted(found, key=lambda record: record.update))

    @property
    def words(self) -> Words:
        """Those of a planner, unless rollouts were trees of tokens; before there are any, unless nothing was chosen."""
        if self.updates:
            of_model = any(update.trees for update in self.updates)
        else:
            of_model = not any(evaluation.transitions for evaluation in self.evaluations)
        return LANGUAGE_MODEL if of_model else PLANNER

    def evaluations_by_mode(self) -> dict[Mode, tuple[EvaluationRecord, ...]]:
        """Greedy first; modes that were evaluated alone."""
        modes: tuple[Mode, ...] = ("greedy", "sampled")
        found = {mode: tuple(e for e in self.evaluations if e.mode == mode) for mode in modes}
        return {mode: records for mode, records in found.items() if records}


def read_log(output_dir: Path) -> TrainingLog:
    """Raises ResultsFileError: there is no log, nothing in it, or a line that is no record."""
    path = output_dir / LOG_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ResultsFileError(
            f"{output_dir}: holds no {LOG_NAME}; OUTPUT_DIR is the directory that a training run was given as "
            "--output_dir"
        ) from error
    except OSError as error:
        raise ResultsFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    *lines, rest = content.split(b"\n")
    notes = []
    if rest and _is_json(rest):
        lines.append(rest)
    elif rest:
        notes.append(
            f"The last line of {LOG_NAME} does not end, and is left out: the run is writing it, or was killed then."
        )
    records = [_record(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if not records:
        raise ResultsFileError(
            f"{path}: holds no record yet; a run writes one at its first evaluation or update"
        )
    updates = {record.update: record for record in records if isinstance(record, UpdateRecord)}
    evaluations = {
        (record.update, record.mode): record for record in records if isinstance(record, EvaluationRecord)
    }
    if repeated := len(records) - len(updates) - len(evaluations):
        notes.append(f"Lines of {LOG_NAME} that a later one has again: {repeated:,}. The later ones count.")
    return TrainingLog(
        updates=tuple(updates[number] for number in sorted(updates)),
        evaluations=tuple(evaluations[key] for key in sorted(evaluations)),
        notes=tuple(notes),
    )


def read_settings(output_dir: Path) -> dict[str, str] | None:
    """The settings as they are shown; None where the run left no file of them.

    Raises ResultsFileError: the file is not a JSON object.
    """
    path = output_dir / SETTINGS_NAME
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsFileError(f"{path}: is not JSON ({error}); remove it, or mend it") from error
    if not isinstance(settings, dict):
        raise ResultsFileError(f"{path}: is {kind_of(settings)}, expected an object of settings")
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in settings.items()
    }


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _record(line: bytes, where: str) -> Record:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ResultsFileError(f"{where}: is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ResultsFileError(f"{where}: is {kind_of(found)}, expected an object")
    kind = found.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ResultsFileError(f"{where}: `kind` is {kind!r}, allowed are {', '.join(map(repr, _KINDS))}")
    try:
        _check(kind).model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        given = "" if first["type"] == "missing" else f" is {_shown(first['input'])}"
        raise ResultsFileError(f"{where}: `{name}`{given}: {first['msg']}") from error
    _check_numbers(found, {field.name for field in fields(_KINDS[kind]) if field.type == "float"}, where)
    record = record_from(found)
    if isinstance(record, EvaluationRecord) and not (record.n > 0 and record.correct <= record.n):
        raise ResultsFileError(
            f"{where}: {record.correct} of {record.n} problems are correct; expected no more than all of at least one"
        )
    return record


@cache
def _check(kind: str) -> type[BaseModel]:
    """What the fields of a record are checked with: those that must be there are, no others, of their types, finite."""
    types = get_type_hints(_KINDS[kind])
    expected: dict[str, Any] = {
        field.name: (types[field.name], ... if field.default is MISSING else field.default)
        for field in fields(_KINDS[kind])
    }
    return create_model(
        kind, __config__=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False), **expected
    )


def _check_numbers(found: Mapping[str, Any], measures: Container[str], where: str) -> None:
    """That every number can be drawn, and none that is a count is below 0."""
    for name, value in _numbers(found, ()):
        if abs(value) > _LARGEST:
            raise ResultsFileError(f"{where}: `{name}` is {_shown(value)}, at most {_LARGEST:g} is allowed")
        if name not in measures and value < 0:
            raise ResultsFileError(f"{where}: `{name}` is {value}, 0 or more is allowed")


def _numbers(found: Mapping[str, Any], above: Sequence[str]) -> Iterator[tuple[str, int | float]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _numbers(value, (*above, name))
        elif isinstance(value, int | float):
            yield ".".join((*above, name)), value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
