"""A file of problems as bytes and as lines, with what is wrong with it named by its line."""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hierarchical_reasoning.errors import ProblemFileError

MAX_LINE_BYTES = 64 * 2**20
MAX_DOCUMENT_BYTES = 512 * 2**20
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Source:
    """A file, and the flag that named it."""

    path: Path
    flag: str

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_gzipped(self) -> bool:
        return self.path.suffix.lower() == ".gz"

    @property
    def ending(self) -> str:
        """Of its name, short of `.gz`, in small letters."""
        return Path(self.path.stem if self.is_gzipped else self.path).suffix.lower()


@contextmanager
def opened(source: Source, *, unpacked: bool = True) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The bytes of a file, unzipped unless they are wanted as they lie on disk; ProblemFileError where it cannot be
    read."""
    path = source.path
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ProblemFileError(f"{source} is no regular file; give a file of problems with {source.flag}")
        with gzip.open(path, "rb") if unpacked and source.is_gzipped else path.open("rb") as handle:
            yield handle
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ProblemFileError(f"{source} is not a whole gzip file ({error}); see {source.flag}") from error
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Source, error: OSError) -> ProblemFileError:
    missing = isinstance(error, FileNotFoundError)
    what = "does not exist" if missing else f"cannot be read ({error.strerror or error})"
    return ProblemFileError(f"{source} {what}; give a file of problems with {source.flag}")


def sha256_of(source: Source) -> str:
    """Of the bytes as they lie on disk."""
    digest = hashlib.sha256()
    with opened(source, unpacked=False) as handle:
        while block := handle.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def state_of(source: Source) -> tuple[int, ...]:
    """What changes when a file is written to."""
    try:
        status = source.path.stat()
    except OSError as error:
        raise _unreadable(source, error) from error
    return status.st_ino, status.st_size, status.st_mtime_ns


def text_lines(source: Source) -> Iterator[str]:
    """Line by line, with their ends; at most MAX_LINE_BYTES are held at a time."""
    with opened(source) as handle:
        number = 0
        while line := handle.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise ProblemFileError(
                    f"{source}, line {number}: longer than {MAX_LINE_BYTES // 2**20} MiB; see {source.flag}"
                )
            yield _decoded(source, number, line)


def whole_text(source: Source) -> str:
    """The whole file, which may not be larger than MAX_DOCUMENT_BYTES."""
    with opened(source) as handle:
        data = handle.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ProblemFileError(
            f"{source} is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB; files of that size are read as .jsonl, one "
            f"object a line; see {source.flag}"
        )
    return "".join(_decoded(source, number, line) for number, line in enumerate(io.BytesIO(data), start=1))


def _decoded(source: Source, number: int, line: bytes) -> str:
    where = f"{source}, line {number}"
    if number == 1:
        if line.startswith(_UTF16_MARKS):
            raise ProblemFileError(f"{where}: not UTF-8 text but UTF-16; save it as UTF-8; see {source.flag}")
        line = line.removeprefix(_UTF8_MARK)
    if b"\0" in line:
        raise ProblemFileError(
            f"{where}: byte {line.index(0) + 1} is NUL, so this is no text, or was cut off while it was written; see "
            f"{source.flag}"
        )
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemFileError(
            f"{where}: not UTF-8 text (byte {error.start + 1} is {line[error.start]:#04x}); save it as UTF-8; see "
            f"{source.flag}"
        ) from error
