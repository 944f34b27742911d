"""Files that are either the old ones or the new ones, never something between."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `path`, to be written to: flushed to disk and renamed over `path` when the block ends,
    removed when it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, flush it to disk, and rename it over `path`."""
    with written_atomically(path) as handle:
        handle.write(data)


def make_staging_directory(target: Path, *, marker: str = "") -> Path:
    """A new directory beside `target`, with the permissions that `mkdir` would have given it.

    Args:
        target: what it is to become.
        marker: begins the part of its name that differs from directory to directory.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.{marker}"))
    staging.chmod(0o777 & ~_umask())
    return staging


def _umask() -> int:
    # The only way to read it is to set it; temporary files are made private, finished ones follow it.
    current = os.umask(0o022)
    os.umask(current)
    return current


def file_hash(path: Path) -> str:
    """SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(2**20):
            digest.update(block)
    return digest.hexdigest()
