"""The journal of a run: what is finished is on disk, and stays there.

A JSONL file that only grows. The first line is the header; every further line is one finished problem, or the
end of a session, written in one piece and fsynced before the call returns. Every line carries a checksum of the
rest of it. A process that is killed leaves at most a torn last line behind; that one problem is owed, and nothing
else. A line damaged further up is an error that names the line and what is lost. While a process writes a journal
it holds `flock` on it, which ends with the process however that ends. Records stay in the file, and only their
places in memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import weakref
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from hierarchical_reasoning.errors import JournalError, JournalLockedError, OutputError, ResumeError
from hierarchical_reasoning.journal.contents import (
    JournalContents,
    Place,
    contents_of,
    read_header,
    read_journal,
    record_in,
)
from hierarchical_reasoning.journal.lines import (
    JournalHeader,
    JournalRecord,
    as_json,
    differences,
    fingerprint,
    line_of,
)

__all__ = [
    "Journal",
    "JournalContents",
    "JournalHeader",
    "JournalRecord",
    "Place",
    "differences",
    "fingerprint",
    "read_header",
    "read_journal",
    "sync_directory",
]

_open: weakref.WeakSet[Journal] = weakref.WeakSet()


class Journal:
    """A journal being written, by this process alone.

    Use it as a context manager; `append` may be called by any thread.
    """

    def __init__(self, path: Path, descriptor: int, contents: JournalContents) -> None:
        """Not for callers: see `create` and `resume`."""
        self.path = path
        self.contents = contents
        """What was there when the journal was opened."""
        self.session = max(contents.sessions, default=0) + 1
        """Number of this session, from 1."""
        self._descriptor = descriptor
        self._end = contents.intact_bytes
        self._opened = time.perf_counter()
        self._write_lock = threading.Lock()
        _open.add(self)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        settings: Mapping[str, Any],
        config: Mapping[str, Any],
        versions: Mapping[str, str],
        order: int = 0,
    ) -> Journal:
        """Start a journal where there is no file yet.

        Raises FileExistsError if there is one, OutputError if it cannot be written, TypeError or ValueError
        if `settings` or `config` are no JSON.
        """
        path = Path(path)
        created = datetime.now(timezone.utc).isoformat()
        header = JournalHeader(fingerprint(settings), settings, config, versions, created, order)
        line = line_of({"kind": "header", **vars(header)})
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise
            raise _cannot_write(path, error) from error
        journal = cls(path, descriptor, JournalContents(path, header, (), None, 0))
        try:
            _lock(descriptor, path)
            journal._write(line, "nothing was finished yet")
            sync_directory(path.parent)
        except BaseException:
            journal.close()
            path.unlink(missing_ok=True)
            raise
        return journal

    @classmethod
    def resume(cls, path: str | Path, *, settings: Mapping[str, Any]) -> Journal:
        """Go on with a journal; a torn last line is cut off, and `contents.torn` says so.

        Raises JournalLockedError while another process writes it, JournalError if it cannot be read, and
        ResumeError, with the differences, if `settings` are not those it was started with.
        """
        path = Path(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise JournalError(
                f"the journal {path} cannot be opened ({error.strerror}); see --cache_dir"
            ) from error
        try:
            _lock(descriptor, path)
            with open(descriptor, "rb", closefd=False) as file:
                _check_header(path)
                contents = contents_of(path, file)
            _check_settings(path, contents.header, settings)
            if contents.torn is not None:
                os.ftruncate(descriptor, contents.intact_bytes)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, contents)

    @property
    def seconds(self) -> float:
        """That all sessions took together, this one up to now."""
        return sum(self.contents.sessions.values()) + self._elapsed()

    def append(self, problem_id: str, entry: Mapping[str, Any], *, sample: int = 0) -> Place:
        """Record a finished problem; when this returns, it is on disk.

        A later record of the same problem and sample takes the place of an earlier one. Raises OutputError if
        the disk is full or the file is gone, after which the journal is closed and the run must stop;
        TypeError or ValueError if `entry` is no JSON.
        """
        content = {"kind": "problem", "problem_id": problem_id, "sample": sample}
        line = line_of(content | self._now() | {"entry": entry})
        with self._write_lock:
            if self._descriptor < 0:
                raise OutputError(
                    f"{self.path} is closed, problem {problem_id!r} cannot be recorded; see --resume"
                )
            place = Place(problem_id, sample, self._end, len(line))
            self._write(line, f"problem {problem_id!r} is lost; all that was finished before is kept")
            return place

    def end_session(self, unfinished: Mapping[str, Any]) -> None:
        """Record how long this session took, and what it spent on problems that it leaves unfinished.

        Raises OutputError as `append`; where the journal is closed already, nothing is recorded.
        """
        with self._write_lock:
            if self._descriptor >= 0:
                line = line_of({"kind": "session", **self._now(), "unfinished": unfinished})
                self._write(line, "all that was finished is kept")

    def read(self, place: Place) -> JournalRecord:
        """One record. Raises JournalError if something else changed the file."""
        return record_in(self.path, os.pread(self._descriptor, place.length, place.offset))

    def close(self) -> None:
        """Close the file and give up the lock. Closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _now(self) -> dict[str, Any]:
        return {"session": self.session, "elapsed_s": round(self._elapsed(), 3)}

    def _elapsed(self) -> float:
        return time.perf_counter() - self._opened

    def _write(self, line: bytes, lost: str) -> None:
        if os.fstat(self._descriptor).st_nlink == 0:
            self.close()
            raise OutputError(
                f"{self.path} was deleted during the run, and what was finished with it; start the run again: "
                "with the cache of replies, no reply that was received is asked for twice"
            )
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            self.close()  # nothing may follow a line that is perhaps torn
            raise _cannot_write(self.path, error, f"; {lost}; mend that, then go on with --resume") from error
        self._end += len(line)


def sync_directory(directory: Path) -> None:
    """Make a new or renamed file in `directory` survive a crash of the machine."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _close_in_child() -> None:
    """A forked worker that outlives this process must not keep its lock."""
    for journal in list(_open):
        journal.close()


os.register_at_fork(after_in_child=_close_in_child)


def _check_header(path: Path) -> None:
    try:
        read_header(path)
    except JournalError as error:
        raise JournalError(f"{error}; start a new run without --resume") from error


def _check_settings(path: Path, header: JournalHeader, settings: Mapping[str, Any]) -> None:
    if header.fingerprint != fingerprint(settings):
        changed = "; ".join(differences(header.settings, json.loads(as_json(settings))))
        raise ResumeError(
            f"{path} was started with other settings: {changed}; give the settings it was started with, or "
            "start a new run without --resume"
        )


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise JournalLockedError(
            f"another process is writing {path}; wait until it ends, or choose another --cache_dir"
        ) from None
    except OSError as error:
        raise OutputError(
            f"the file system of {path} cannot lock files ({error.strerror}); choose another --cache_dir"
        ) from error


def _cannot_write(
    path: Path, error: OSError, consequence: str = "; choose another --cache_dir"
) -> OutputError:
    return OutputError(f"{path} cannot be written ({error.strerror}){consequence}")
