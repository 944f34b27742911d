"""Rollouts from JSON: a list of rows, a row on every line, or the results file of a run."""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from taxonomy.errors import RolloutFileError
from taxonomy.reading import Reading
from taxonomy.reading.results_files import is_results_file, rollouts_of_results
from taxonomy.reading.rows import json_type, read_row
from taxonomy.rollouts import Rollout

MAX_LINE_BYTES = 64 * 2**20
MAX_JSON_BYTES = 512 * 2**20


def read_json_file(path: Path) -> Reading:
    """Raises RolloutFileError where the file is missing, broken, or of another shape."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
            if ".jsonl" in path.suffixes[-2:]:
                return _reading(path, _lines(path, handle))
            return _document(path, handle.read(MAX_JSON_BYTES + 1))
    except FileNotFoundError as error:
        raise RolloutFileError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise RolloutFileError(f"{path}: cannot be read: {error}") from error


def _document(path: Path, data: bytes) -> Reading:
    if len(data) > MAX_JSON_BYTES:
        raise RolloutFileError(
            f"{path}: larger than {MAX_JSON_BYTES // 2**20} MiB; files of that size are read as .jsonl"
        )
    if not data.strip():
        raise RolloutFileError(f"{path}: is empty")
    parsed = _parsed(data, str(path))
    if is_results_file(parsed):
        return rollouts_of_results(parsed, path)
    if not isinstance(parsed, list):
        raise RolloutFileError(
            f"{path}: holds {json_type(parsed)}, expected a list of rollouts, or the results of a run"
        )
    return _reading(path, ((f"record {number}", row) for number, row in enumerate(parsed, start=1)))


def _lines(path: Path, handle: IO[bytes] | gzip.GzipFile) -> Iterator[tuple[str, object]]:
    number = 0
    while line := handle.readline(MAX_LINE_BYTES + 1):
        number += 1
        place = f"line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise RolloutFileError(f"{path}, {place}: longer than {MAX_LINE_BYTES // 2**20} MiB")
        if line.strip():
            row = _parsed(line, f"{path}, {place}")
            if number == 1 and _is_journal_header(row):
                raise RolloutFileError(
                    f"{path}: is the journal of a run; its results, results_*.json, are read instead"
                )
            yield place, row


def _is_journal_header(row: object) -> bool:
    return isinstance(row, dict) and row.get("kind") == "header" and "fingerprint" in row


def _reading(path: Path, rows: Iterator[tuple[str, object]]) -> Reading:
    rollouts: list[Rollout] = []
    place_of: dict[str, str] = {}
    departures: Counter[str] = Counter()
    for place, row in rows:
        rollout = read_row(row, f"{path}, {place}", place, departures)
        if rollout.id in place_of:
            raise RolloutFileError(
                f"{path}, {place}: id {rollout.id!r} was used at {place_of[rollout.id]}; ids must differ"
            )
        place_of[rollout.id] = place
        rollouts.append(rollout)
    notes = (f"{path.name}: {count} of {len(rollouts)} rollouts {what}" for what, count in departures.items())
    return Reading(tuple(rollouts), tuple(notes))


def _parsed(data: bytes, where: str) -> object:
    """Raises RolloutFileError, which begins with `where`, where the bytes are no JSON in UTF-8."""
    try:
        parsed: object = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RolloutFileError(f"{where}: not valid JSON: {error}") from error
    return parsed
