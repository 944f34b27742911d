"""Recorded traces whose steps may carry a label: read, written, nothing interpreted.

One shape, `{id, model, problem, gold_answer, final_answer, is_correct, category, chunks: [{idx, label,
label_description, text}]}`, as `.jsonl`, `.jsonl.gz` or `.json` (a list). `id`, `problem` and a non-empty
`chunks` with a `text` each are required; what else is absent or null stays None, and keys not named here are
ignored. A row that cannot be used is an error: rows are never skipped.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonomy.atomic import write_atomically
from taxonomy.errors import RolloutFileError

MAX_LINE_BYTES = 64 * 2**20
MAX_JSON_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Chunk:
    """One step of a recorded trace."""

    idx: int
    """Position in the trace as the file gives it; the place in the list where it gives none."""
    text: str
    label: str | None = None
    """The given label of this step."""
    description: str | None = None
    """What the given label means (`label_description` in files)."""


@dataclass(frozen=True)
class Rollout:
    """A recorded trace: problem, chunks, right or wrong."""

    id: str
    problem: str
    chunks: tuple[Chunk, ...]
    is_correct: bool | None = None
    final_answer: str | None = None
    gold_answer: str | None = None
    category: str | None = None
    model: str | None = None
    text: str | None = None
    """The whole trace, where it is known; all there is of one that is not yet divided into chunks."""


def read_rollouts(path: Path | str, *, flag: str = "--rollouts_file") -> tuple[Rollout, ...]:
    """Every rollout of a file, in the file's order.

    Args:
        path: the file.
        flag: what the command calls it, for messages.

    Raises:
        RolloutFileError: the file is missing, broken or empty, a row lacks what a rollout needs, or two rows
            share an id. The message names the file and the line (or record).
    """
    try:
        return _read(Path(path))
    except RolloutFileError as error:
        raise RolloutFileError(f"{error} ({flag})") from error


def _read(path: Path) -> tuple[Rollout, ...]:
    rollouts: list[Rollout] = []
    place_of: dict[str, str] = {}
    for place, row in _rows(path):
        rollout = _rollout(row, f"{path}, {place}")
        if rollout.id in place_of:
            raise RolloutFileError(
                f"{path}, {place}: id {rollout.id!r} was used at {place_of[rollout.id]}; ids must differ"
            )
        place_of[rollout.id] = place
        rollouts.append(rollout)
    if not rollouts:
        raise RolloutFileError(f"{path}: holds no rollouts")
    return tuple(rollouts)


def write_rollouts(rollouts: Iterable[Rollout], path: Path | str) -> None:
    """Write `.jsonl` or, by the name, `.jsonl.gz`; the same rollouts give the same bytes."""
    path = Path(path)
    data = rollout_lines(rollouts)
    if path.name.endswith(".jsonl.gz"):
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as handle:
            handle.write(data)
        data = buffer.getvalue()
    elif path.suffix != ".jsonl":
        raise RolloutFileError(f"{path}: rollouts are written as .jsonl or .jsonl.gz")
    write_atomically(path, data)


def rollout_lines(rollouts: Iterable[Rollout]) -> bytes:
    """The rollouts as UTF-8 JSON lines, absent fields left out."""
    lines = (json.dumps(_as_row(rollout), ensure_ascii=False) + "\n" for rollout in rollouts)
    return "".join(lines).encode()


def _as_row(rollout: Rollout) -> dict[str, object]:
    row: dict[str, object] = {
        "id": rollout.id,
        "model": rollout.model,
        "category": rollout.category,
        "problem": rollout.problem,
        "gold_answer": rollout.gold_answer,
        "final_answer": rollout.final_answer,
        "is_correct": rollout.is_correct,
        "text": rollout.text,
        "chunks": [
            _present(
                {
                    "idx": chunk.idx,
                    "label": chunk.label,
                    "label_description": chunk.description,
                    "text": chunk.text,
                }
            )
            for chunk in rollout.chunks
        ],
    }
    return _present(row)


def _present(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if value is not None}


def _rows(path: Path) -> Iterator[tuple[str, object]]:
    """(where it stands, the parsed row) for each row of the file."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        reader = _jsonl_rows
    elif path.suffix == ".json":
        reader = _json_rows
    else:
        raise RolloutFileError(f"{path}: rollouts are read from .jsonl, .jsonl.gz or .json files")
    try:
        yield from reader(path)
    except FileNotFoundError as error:
        raise RolloutFileError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise RolloutFileError(f"{path}: cannot be read: {error}") from error


def _jsonl_rows(path: Path) -> Iterator[tuple[str, object]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
        number = 0
        while line := handle.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise RolloutFileError(f"{path}, {place}: longer than {MAX_LINE_BYTES // 2**20} MiB")
            if line.strip():
                yield place, parse_json(line, f"{path}, {place}")


def _json_rows(path: Path) -> Iterator[tuple[str, object]]:
    with path.open("rb") as handle:
        data = handle.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise RolloutFileError(
            f"{path}: larger than {MAX_JSON_BYTES // 2**20} MiB; files of that size are read as .jsonl"
        )
    rows = parse_json(data, str(path))
    if not isinstance(rows, list):
        raise RolloutFileError(f"{path}: holds a {json_type(rows)}, expected a list of rollouts")
    for number, row in enumerate(rows, start=1):
        yield f"record {number}", row


def parse_json(data: bytes, where: str) -> object:
    """Raises RolloutFileError, which begins with `where`, where the bytes are no JSON in UTF-8."""
    try:
        parsed: object = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RolloutFileError(f"{where}: not valid JSON: {error}") from error
    return parsed


def _rollout(row: object, where: str) -> Rollout:
    if not isinstance(row, dict):
        raise RolloutFileError(f"{where}: holds a {json_type(row)}, expected an object")
    identifier = row.get("id")
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if not isinstance(identifier, str) or not identifier:
        raise RolloutFileError(f"{where}: 'id' is missing or empty")
    where = f"{where} (id {identifier!r})"
    problem = text_of(row, "problem", where)
    if problem is None:
        raise RolloutFileError(f"{where}: 'problem' is missing")
    is_correct = row.get("is_correct")
    if is_correct is not None and not isinstance(is_correct, bool):
        raise RolloutFileError(
            f"{where}: 'is_correct' is {is_correct!r}, expected true, false, null or nothing"
        )
    chunks = row.get("chunks")
    if not isinstance(chunks, list) or not chunks:
        raise RolloutFileError(
            f"{where}: 'chunks' is missing or empty, expected a list of {{idx, label, text}}"
        )
    return Rollout(
        id=identifier,
        problem=problem,
        chunks=tuple(read_chunk(chunk, position, where) for position, chunk in enumerate(chunks)),
        is_correct=is_correct,
        final_answer=text_of(row, "final_answer", where),
        gold_answer=text_of(row, "gold_answer", where),
        category=text_of(row, "category", where),
        model=text_of(row, "model", where),
    )


def read_chunk(chunk: object, position: int, where: str) -> Chunk:
    """Raises RolloutFileError, which begins with `where`, where the object is no chunk."""
    where = f"{where}, chunk {position}"
    if not isinstance(chunk, dict):
        raise RolloutFileError(f"{where}: holds a {json_type(chunk)}, expected an object")
    idx = chunk.get("idx", position)
    if not isinstance(idx, int) or isinstance(idx, bool):
        raise RolloutFileError(f"{where}: 'idx' is {idx!r}, expected an integer or nothing")
    text = text_of(chunk, "text", where)
    if text is None:
        raise RolloutFileError(f"{where}: 'text' is missing")
    label = text_of(chunk, "label", where)
    if label is not None and not label.strip():
        raise RolloutFileError(f"{where}: 'label' is empty; a step without a label has null or no 'label'")
    return Chunk(idx=idx, text=text, label=label, description=text_of(chunk, "label_description", where))


def text_of(row: Mapping[str, Any], key: str, where: str) -> str | None:
    """None where the key is absent or null; raises RolloutFileError where it holds anything but text."""
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise RolloutFileError(f"{where}: {key!r} is a {json_type(value)}, expected text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RolloutFileError(f"{where}: {key!r} is not valid Unicode: {error.reason}") from error
    return value


def json_type(value: object) -> str:
    """What a person who looks at the file calls it."""
    names = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
