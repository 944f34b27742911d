"""Files that commands write: checked before the work, written whole, never replaced unasked."""

from collections.abc import Sequence
from pathlib import Path

from taxonomy.atomic import write_atomically
from taxonomy.looking.errors import OutputFileError


def check_output_file(path: Path, suffixes: Sequence[str], *, overwrite: bool, flag: str = "--output") -> str:
    """The path's suffix, in small letters. Messages name `flag`.

    Raises:
        OutputFileError: the suffix is not one of `suffixes`, or there is something at `path` that may not be
            replaced.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise OutputFileError(
            f"{path}: the name ends in {path.suffix!r}, allowed are {', '.join(suffixes)} ({flag})"
        )
    if path.is_dir():
        raise OutputFileError(f"{path}: is a directory, expected the name of a file ({flag})")
    if path.exists() and not overwrite:
        raise OutputFileError(
            f"{path}: exists; choose another name ({flag}), or give --overwrite to replace it"
        )
    return suffix


def write_output_file(path: Path, data: bytes, *, flag: str = "--output") -> None:
    """Write atomically, making the directories above. Messages name `flag`.

    Raises:
        OutputFileError: the path cannot be written.
    """
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OutputFileError(f"{path}: cannot be written: {error.strerror or error} ({flag})") from error
