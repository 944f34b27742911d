"""Writing the results file: whole, or not at all, and an entry at a time.

It goes to a temporary file, is fsynced, and only then given its name, which is never one that another file has. A
kill leaves the whole file or none of that name. Results of a run that is not complete have a name that says so, and
later ones of the same run take their place. Every entry is one line, so that neither writing nor reading the file
needs more than one of them in memory.
"""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, zip_longest
from pathlib import Path

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.journal.file import sync_directory
from hierarchical_reasoning.results.records import ResultEntry, ResultsHead

MAX_MODEL_NAME = 100
_OPENING = '  "results": [\n'
_CLOSING = ("  ]\n", "}\n")


def results_stem(model_name: str, *, level: int, hierarchical: bool, now: datetime) -> str:
    """The name of a run's files without their ending: `results_{mode}_level{L}_{model}_{YYYYmmdd_HHMMSS}`."""
    mode = "hierarchical" if hierarchical else "vanilla"
    model = re.sub(r"[^A-Za-z0-9._-]+", "-", model_name).strip("-.")[:MAX_MODEL_NAME] or "model"
    return f"results_{mode}_level{level}_{model}_{now:%Y%m%d_%H%M%S}"


def check_writable(directory: str | Path, flag: str = "--cache_dir") -> Path:
    """Make `directory` if need be and prove, by writing there, that it can hold results; raises
    OutputError, which names the flag."""
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".writable-") as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise OutputError(
            f"results cannot be written to {directory} ({error.strerror}); choose another {flag}"
        ) from error
    return directory


def write_results(
    directory: str | Path, stem: str, head: ResultsHead, entries: Iterable[ResultEntry]
) -> Path:
    """Write the file as `{stem}.json`, or with a counter where that exists; returns its path. Raises
    OutputError.

    Where `head` says that the run is not complete, the name is `{stem}.partial.json`. Either way, what was under that
    name, of the same run, is replaced.
    """
    directory = Path(directory)
    temporary = directory / f".{stem}.{uuid.uuid4().hex}.tmp"
    partial = directory / f"{stem}.partial.json"
    try:
        try:
            with temporary.open("x", encoding="utf-8") as file:
                file.writelines(results_lines(head, entries))
                file.flush()
                os.fsync(file.fileno())
            if head.summary.missing:
                path = temporary.replace(partial)
            else:
                path = _link(temporary, directory, stem)
                partial.unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(directory)
    except OSError as error:
        raise OutputError(
            f"the results cannot be written to {directory} ({error.strerror}); the journal has every "
            "finished problem: make room, then go on with --resume"
        ) from error
    return path


def find_results(
    directory: str | Path, stem: str, entries: Callable[[], Iterable[ResultEntry]]
) -> tuple[Path, ResultsHead] | None:
    """The file that `write_results` made of these very entries; None where there is none that this version reads."""
    for path in sorted(Path(directory).glob(f"{glob.escape(stem)}*.json")):
        try:
            with path.open(encoding="utf-8") as file:
                head = _head(file)
                pairs = zip_longest(file, chain(_entry_lines(entries()), _CLOSING))
                if not head.summary.missing and all(found == wanted for found, wanted in pairs):
                    return path, head
        except (OSError, ValueError):
            continue
    return None


def results_lines(head: ResultsHead, entries: Iterable[ResultEntry]) -> Iterator[str]:
    """The lines of a results file, an entry at a time."""
    text = json.dumps(head.model_dump(mode="json", exclude={"results"}), indent=2, allow_nan=False)
    yield text.removesuffix("\n}") + ",\n"
    yield _OPENING
    yield from _entry_lines(entries)
    yield from _CLOSING


def _entry_lines(entries: Iterable[ResultEntry]) -> Iterator[str]:
    """A line for each, with a comma after all but the last."""
    before = None
    for entry in entries:
        if before is not None:
            yield f"{before},\n"
        before = json.dumps(entry.model_dump(mode="json"), allow_nan=False)
    if before is not None:
        yield f"{before}\n"


def _head(file: Iterator[str]) -> ResultsHead:
    """What stands before the entries; the file is left at the first of them. Raises ValueError."""
    lines: list[str] = []
    for line in file:
        if line == _OPENING:
            return ResultsHead.model_validate_json("".join(lines).removesuffix(",\n") + "}")
        lines.append(line)
    raise ValueError("no results")


def _link(temporary: Path, directory: Path, stem: str) -> Path:
    """Give the file the first free name. A link, unlike a rename, fails where the name is taken."""
    counter = 0
    while True:
        path = directory / (f"{stem}_{counter}.json" if counter else f"{stem}.json")
        try:
            os.link(temporary, path)
        except FileExistsError:
            counter += 1
        else:
            return path
