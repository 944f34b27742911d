"""A CSV file with one chunk a row, such as a level's table of a taxonomy directory."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from taxonomy.directory import LABELS_FILE
from taxonomy.errors import RolloutFileError
from taxonomy.reading import Reading
from taxonomy.reading.descriptions import with_descriptions
from taxonomy.rollouts import Chunk, Rollout

TEXT_COLUMNS = ("text", "chunk", "chunks")
ROLLOUT_COLUMNS = ("rollout_id", "trace_id", "id", "index")
"""`index` comes last: tables that pandas wrote may have it for the number of the row."""
PLACE_COLUMNS = ("chunk_idx", "idx")
LABEL_COLUMNS = ("label", "labels")
DESCRIPTION_COLUMNS = ("label_description", "description")
MAX_CELL_CHARACTERS = 16 * 2**20
MAX_PLACE_DIGITS = 18
MAX_LINE_CHARACTERS = 64 * 2**20
_LEVEL_TABLE = re.compile(r"labeled_chunks__level-(?P<level>\d{1,4})\.csv")
_TRUTHS = {"true": True, "false": False, "": None}


def read_chunk_table(path: Path) -> Reading:
    """Rows of one rollout belong together wherever they stand; they are put into the order of their places.

    Raises:
        RolloutFileError: the file is missing or broken, or lacks a column that is needed.
    """
    limit_before = csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        with _opened(path) as handle:
            return _reading(path, csv.DictReader(_bounded_lines(path, handle)))
    except FileNotFoundError as error:
        raise RolloutFileError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise RolloutFileError(f"{path}: cannot be read: {error}") from error
    finally:
        csv.field_size_limit(limit_before)


def _opened(path: Path) -> io.TextIOWrapper:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _bounded_lines(path: Path, handle: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := handle.readline(MAX_LINE_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise RolloutFileError(
                f"{path}, line {number}: longer than {MAX_LINE_CHARACTERS // 2**20} Mi characters"
            )
        yield line


def _reading(path: Path, rows: "csv.DictReader[str]") -> Reading:
    present = rows.fieldnames or ()
    if not present:
        raise RolloutFileError(f"{path}: is empty")
    text = _column(present, TEXT_COLUMNS)
    rollout_id = _column(present, ROLLOUT_COLUMNS)
    if text is None or rollout_id is None:
        raise RolloutFileError(
            f"{path}: its columns are {', '.join(map(repr, present))}; needed are the chunk's text "
            f"({' or '.join(TEXT_COLUMNS)}) and the rollout it is of ({' or '.join(ROLLOUT_COLUMNS)})"
        )
    columns = {
        "text": text,
        "rollout_id": rollout_id,
        "place": _column(present, PLACE_COLUMNS),
        "label": _column(present, LABEL_COLUMNS),
        "description": _column(present, DESCRIPTION_COLUMNS),
        "problem": _column(present, ("problem",)),
        "is_correct": _column(present, ("is_correct",)),
    }
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if None in row or any(row[column] is None for column in columns.values() if column is not None):
            raise RolloutFileError(f"{path}, line {rows.line_num}: has more or fewer cells than columns")
        cells = {name: "" if column is None else row[column] for name, column in columns.items()}
        if not cells["rollout_id"]:
            raise RolloutFileError(f"{path}, line {rows.line_num}: {rollout_id!r} is empty")
        found.setdefault(cells["rollout_id"], []).append({**cells, "line": str(rows.line_num)})
    rollouts = tuple(_rollout(name, cells, path) for name, cells in found.items())
    notes: tuple[str, ...] = ()
    level = _LEVEL_TABLE.match(path.name)
    if level is not None and columns["description"] is None and (path.parent / LABELS_FILE).is_file():
        rollouts, notes = with_descriptions(rollouts, path.parent, int(level["level"]), path.name)
    if columns["problem"] is None:
        notes += (
            f"{path.name}: has no column 'problem'; --embedder discourse does without the problems' texts",
        )
    return Reading(rollouts, notes)


def _column(present: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in present), None)


def _rollout(identifier: str, rows: Sequence[Mapping[str, str]], path: Path) -> Rollout:
    chunks = [_chunk(row, position, path) for position, row in enumerate(rows)]
    places = [chunk.idx for chunk in chunks]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise RolloutFileError(f"{path}: rollout {identifier!r} has more than one chunk in place {twice}")
    truth = rows[0]["is_correct"].strip().lower()
    if truth not in _TRUTHS:
        raise RolloutFileError(
            f"{path}, line {rows[0]['line']}: 'is_correct' is {truth!r}, expected true, false or nothing"
        )
    return Rollout(
        id=identifier,
        problem=rows[0]["problem"],
        chunks=tuple(sorted(chunks, key=lambda chunk: chunk.idx)),
        is_correct=_TRUTHS[truth],
    )


def _chunk(row: Mapping[str, str], position: int, path: Path) -> Chunk:
    place = row["place"].strip() or str(position)
    if not place.isdecimal() or len(place) > MAX_PLACE_DIGITS:
        shown = place if len(place) <= MAX_PLACE_DIGITS else f"{place[:MAX_PLACE_DIGITS]}..."
        raise RolloutFileError(f"{path}, line {row['line']}: the place is {shown!r}, expected a number")
    return Chunk(
        idx=int(place),
        text=row["text"],
        label=row["label"] if row["label"].strip() else None,
        description=row["description"] if row["description"].strip() else None,
    )
