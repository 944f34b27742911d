"""Rollouts of any shape that is met: what `taxonomy build` takes.

- `.json`, `.jsonl`, also gzipped: rows with chunks (as `taxonomy.rollouts` has them), or with the whole trace as one
  text, in the fields that are usual for it.
- `results_*.json` of the main job: thought types become labels, thoughts become chunks.
- `.csv`, also gzipped: one chunk a row, such as `labeled_chunks__level-{L}.csv`.

The last two take what thought types mean from the taxonomy that they are of, where it is there. What is read otherwise
than it stands, or left out, is said in notes; what cannot be read is an error that names the file and the line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxonomy.errors import RolloutFileError
from taxonomy.reading.ids import with_distinct_ids
from taxonomy.reading.labels import with_one_spelling
from taxonomy.rollouts import Rollout


@dataclass(frozen=True)
class Reading:
    """The rollouts of one file, or of several."""

    rollouts: tuple[Rollout, ...]
    """In the files' order; one that is not yet divided has no chunks, and a text."""
    notes: tuple[str, ...] = ()
    """What was left out or read otherwise than it stands, in sentences."""


def read_inputs(paths: Sequence[Path | str], *, flag: str = "ROLLOUTS") -> Reading:
    """Every rollout of the files.

    Args:
        paths: the files.
        flag: what the command calls them, for messages.

    Raises:
        RolloutFileError: a file is missing, broken, empty, given twice, or of no known shape, or two of its rollouts
            share an id.
    """
    files = [Path(path) for path in paths]
    try:
        readings = [_read(path) for path in files]
        rollouts, notes_on_ids = with_distinct_ids(files, [reading.rollouts for reading in readings])
    except RolloutFileError as error:
        raise RolloutFileError(f"{error} ({flag})") from error
    rollouts, notes_on_labels = with_one_spelling(rollouts)
    notes = tuple(note for reading in readings for note in reading.notes)
    return Reading(rollouts, (*notes, *notes_on_ids, *notes_on_labels))


def read_rollouts(path: Path | str, *, flag: str = "--rollouts_file") -> tuple[Rollout, ...]:
    """Every rollout of one file, in the file's order; the notes of `read_inputs` are left away."""
    return read_inputs([path], flag=flag).rollouts


def _read(path: Path) -> Reading:
    from taxonomy.reading.chunk_tables import read_chunk_table
    from taxonomy.reading.json_files import read_json_file

    kind = path.with_suffix("") if path.suffix == ".gz" else path
    if kind.suffix == ".csv":
        reading = read_chunk_table(path)
    elif kind.suffix in (".json", ".jsonl"):
        reading = read_json_file(path)
    else:
        raise RolloutFileError(f"{path}: rollouts are read from .json, .jsonl or .csv files, also with .gz")
    if not reading.rollouts:
        raise RolloutFileError(f"{path}: holds no rollouts{_because(reading.notes)}")
    return reading


def _because(notes: Iterable[str]) -> str:
    said = "; ".join(notes)
    return f": {said}" if said else ""
