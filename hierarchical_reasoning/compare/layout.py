"""Where things lie in a study's directory, and the locks that its processes take."""

from __future__ import annotations

import fcntl
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hierarchical_reasoning.errors import ConfigError, JournalLockedError, OutputError
from hierarchical_reasoning.journal.trees import SUFFIX as TREES_SUFFIX

_SHARD = re.compile(r"(\d+)/(\d+)")
MOST_SHARDS = 10_000
_TRIES, _BETWEEN_TRIES_S = 10, 0.1
"""Of taking a shard's lock, which who asks for the status has for a moment."""


@dataclass(frozen=True)
class Shard:
    """The part of a study that one process does: every `of`-th problem, beginning with the `index`-th."""

    index: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "2/8". Raises ConfigError for what is no such thing."""
        match = _SHARD.fullmatch(text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST_SHARDS:
            raise ConfigError(
                f"--shard {text!r} must be I/N with I from 1 to N and N at most {MOST_SHARDS:,}, as in 2/8"
            )
        return cls(int(match[1]), int(match[2]))

    def has(self, position: int) -> bool:
        """Whether what stands at this position, from 0, is of this part."""
        return position % self.of == self.index - 1

    @property
    def stem(self) -> str:
        """In names of files."""
        return f"{self.index}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


@dataclass(frozen=True)
class StudyFiles:
    """The files of the study in `directory`."""

    directory: Path

    @property
    def plan(self) -> Path:
        return self.directory / "study.json"

    @property
    def problems(self) -> Path:
        return self.directory / "problems.json"

    @property
    def matched(self) -> Path:
        return self.directory / "matched.json"

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    @property
    def comparison(self) -> Path:
        return self.directory / "comparison.json"

    @property
    def summary(self) -> Path:
        return self.directory / "summary.md"

    @property
    def report(self) -> Path:
        return self.directory / "report"

    @property
    def shards(self) -> Path:
        return self.directory / "shards"

    def arm(self, name: str) -> Path:
        """The directory of an arm."""
        return self.directory / "arms" / name

    def results(self, name: str) -> Path:
        """The results file of an arm."""
        return self.arm(name) / "results.json"

    def journal(self, name: str, shard: Shard) -> Path:
        """Of an arm, written by whoever does this shard."""
        return self.arm(name) / f"journal-{shard.stem}.jsonl"

    def journals(self, name: str) -> list[Path]:
        """Of an arm: those that are there."""
        found = sorted(self.arm(name).glob("journal-*.jsonl"))
        return [path for path in found if not path.stem.endswith(TREES_SUFFIX)]

    def shard_record(self, shard: Shard) -> Path:
        """What is known of a shard."""
        return self.shards / f"{shard.stem}.json"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """While the block runs, this process alone changes the plan, the twins, or what a merge writes; others wait."""
        with _opened(self.directory / "study.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def doing(self, shard: Shard) -> Iterator[None]:
        """While the block runs, this process alone does the shard.

        Raises:
            JournalLockedError: another one does.
        """
        path = self._lock_of(shard)
        for _ in range(_TRIES):
            with _opened(path) as file:
                if _is_ours(file) and self._overlapping(shard) is None:
                    yield
                    return
            time.sleep(_BETWEEN_TRIES_S)
        other = self._overlapping(shard) or shard
        raise JournalLockedError(
            f"another process does shard {other} of {self.directory}; wait until it ends"
        )

    def _overlapping(self, shard: Shard) -> Shard | None:
        """A shard of another division that a process does now and that has problems of this one."""
        for path in self.shards.glob("*-of-*.lock"):
            index, of = path.stem.split("-of-")
            other = Shard(int(index), int(of))
            common = (other.index - shard.index) % math.gcd(other.of, shard.of) == 0
            if other != shard and common and self.is_being_done(other):
                return other
        return None

    def is_being_done(self, shard: Shard) -> bool:
        """Whether a process does the shard now."""
        path = self._lock_of(shard)
        if not path.exists():
            return False
        with _opened(path) as file:
            return not _is_ours(file)

    def _lock_of(self, shard: Shard) -> Path:
        return self.shards / f"{shard.stem}.lock"


def _opened(path: Path) -> BinaryIO:
    """A file to be locked. Locks end with the process, however that ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another --output") from error


def _is_ours(file: BinaryIO) -> bool:
    """Take the lock of a file, if no other process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
