"""Reading a journal: where everything is in it, so that no more than one record need be held at a time."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hierarchical_reasoning.errors import JournalError
from hierarchical_reasoning.journal.lines import (
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    SESSION_LINE,
    JournalHeader,
    JournalRecord,
    name_in,
    parsed,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record is."""

    problem_id: str
    sample: int
    offset: int
    length: int

    @property
    def key(self) -> tuple[str, int]:
        """What the record is found by."""
        return self.problem_id, self.sample


@dataclass(frozen=True)
class JournalContents:
    """A journal as it was found: its header, and where its records are."""

    path: Path
    header: JournalHeader
    places: tuple[Place, ...]
    """In the order in which they were finished; a problem that was tried again is there once per try."""
    torn: str | None
    """What the user should know of a torn last line; None where there is none."""
    intact_bytes: int
    """How much of the file is whole lines."""
    sessions: Mapping[int, float] = field(default_factory=dict)
    """Seconds that each session took, or had taken when it last wrote."""
    unfinished: tuple[Mapping[str, Any], ...] = ()
    """What sessions had spent on problems that they did not finish."""

    @property
    def latest(self) -> dict[tuple[str, int], Place]:
        """The last record of each problem and sample."""
        return {place.key: place for place in self.places}

    def read(self, places: Iterable[Place] | None = None) -> Iterator[JournalRecord]:
        """The records one by one: all in the order in which they were finished, or those in `places`."""
        with self.path.open("rb") as file:
            for place in self.places if places is None else places:
                file.seek(place.offset)
                yield record_in(self.path, file.read(place.length))

    @property
    def records(self) -> tuple[JournalRecord, ...]:
        """All records at once."""
        return tuple(self.read())


def read_journal(path: str | Path) -> JournalContents:
    """Read a journal, whether or not it is being written.

    Raises JournalError when there is none, when its header is unreadable, or when a line before the last one
    is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return contents_of(path, file)
    except OSError as error:
        raise _cannot_read(path, error) from error


def read_header(path: str | Path) -> JournalHeader:
    """Read the first line of a journal alone, whatever the state of the others.

    Raises JournalError when there is no journal or its header is unreadable.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _header(path, file.readline())
    except OSError as error:
        raise _cannot_read(path, error) from error


def contents_of(path: Path, file: BinaryIO) -> JournalContents:
    """Read an open journal line by line. Raises as `read_journal`."""
    first = file.readline()
    header = _header(path, first)
    places: list[Place] = []
    sessions: dict[int, float] = {}
    unfinished: list[Mapping[str, Any]] = []
    torn = None
    end = len(first)
    for number, line in enumerate(file, start=2):
        content = parsed(line[:-1]) if line.endswith(b"\n") else None
        if content is None or not _is_known(content):
            if file.readline():
                raise JournalError(_damage(path, number, line))
            torn = _torn_note(number, line)
            break
        if content["kind"] == "problem":
            places.append(Place(content["problem_id"], content["sample"], end, len(line)))
        else:
            unfinished.append(content["unfinished"])
        if "session" in content:  # not in version 1
            sessions[content["session"]] = content["elapsed_s"]
        end += len(line)
    return JournalContents(path, header, tuple(places), torn, end, sessions, tuple(unfinished))


def _is_known(content: Mapping[str, Any]) -> bool:
    """Whether a whole line is one of those that this version reads."""
    timed = "session" not in content or (
        isinstance(content["session"], int) and isinstance(content.get("elapsed_s"), (int, float))
    )
    if content.get("kind") == "session":
        return timed and "session" in content and isinstance(content.get("unfinished"), dict)
    types = {"problem_id": str, "sample": int, "entry": dict}
    named = all(isinstance(content.get(name), kind) for name, kind in types.items())
    return timed and content.get("kind") == "problem" and named


def record_in(path: Path, line: bytes) -> JournalRecord:
    """The record that a whole line was when the journal was read. Raises JournalError if it no longer is."""
    content = parsed(line.rstrip(b"\n"))
    if content is None or content.get("kind") != "problem":
        raise JournalError(
            f"{path} was changed by something else since it was read; all that was finished before is in it "
            "as far as it is whole: go on with --resume"
        )
    return JournalRecord(content["problem_id"], content["sample"], content["entry"])


def _header(path: Path, line: bytes) -> JournalHeader:
    content = parsed(line[:-1]) if line.endswith(b"\n") else None
    if content is None or content.pop("kind", None) != "header":
        raise JournalError(
            f"{path}, line 1: this is no journal of a run, or its header is damaged; which run it belongs to cannot "
            "be known"
        )
    if content.get("schema_version") not in READABLE_VERSIONS:
        raise JournalError(
            f"{path} is a journal of schema {content.get('schema_version')}, this version reads "
            f"{SCHEMA_VERSION}; the version that began it does"
        )
    try:
        header = JournalHeader(**content)
        _check_types(header)
    except TypeError as error:
        raise JournalError(f"{path}, line 1: no header that this version reads ({error})") from error
    return header


def _check_types(header: JournalHeader) -> None:
    texts, objects = ("fingerprint", "created"), ("settings", "config", "versions")
    kinds: dict[str, type] = {**dict.fromkeys(texts, str), **dict.fromkeys(objects, dict), "order": int}
    for name, kind in kinds.items():
        if not isinstance(getattr(header, name), kind):
            raise TypeError(f"{name!r} is of another type")


def _torn_note(number: int, line: bytes) -> str:
    is_session = line.startswith(SESSION_LINE)
    owed = "no problem is lost" if is_session else f"{name_in(line)} is owed and will be asked again"
    return f"line {number} of the journal is torn, as a kill in the middle of writing leaves it; {owed}"


def _damage(path: Path, number: int, line: bytes) -> str:
    with path.open("rb") as file:
        file.readline()
        contents = (parsed(other.rstrip(b"\n")) or {} for other in file)
        whole = sum(content.get("kind") == "problem" and _is_known(content) for content in contents)
    lost = "the time of a session" if line.startswith(SESSION_LINE) else name_in(line)
    return (
        f"{path}, line {number} is damaged: {lost} is lost, the {whole} other readable records are intact; delete "
        f"that line (sed -i {number}d {shlex.quote(str(path))}) and go on with --resume, which asks again for what "
        "is lost alone"
    )


def _cannot_read(path: Path, error: OSError) -> JournalError:
    return JournalError(f"the journal {path} cannot be read ({error.strerror}); see --cache_dir")
