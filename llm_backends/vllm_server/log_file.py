"""A server's log, while it grows."""

from __future__ import annotations

import re
from pathlib import Path

_COLORS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\t"}
END_BYTES = 64 * 1024
"""Enough of a log to show the end of it."""


class LogTail:
    """Reads what has been added since the last time, whole lines only."""

    def __init__(self, path: Path, *, already_there: int | None = None) -> None:
        """
        :param already_there: read only this many bytes of what is there already; None reads all of it.
        """
        self._path = path
        self._position = 0 if already_there is None else max(0, path.stat().st_size - already_there)
        self._rest = b""

    def read_new(self) -> tuple[str, ...]:
        """The lines that were completed since; none where the log is gone."""
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._position)
                data = handle.read()
        except FileNotFoundError:
            return ()
        self._position += len(data)
        *complete, self._rest = (self._rest + data).split(b"\n")
        return tuple(_shown(line) for line in complete)


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The last lines of a log, as far as the last 64 KiB hold them; none where there is no log."""
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - END_BYTES))
            lines = handle.read().split(b"\n")
    except FileNotFoundError:
        return ()
    if not lines[-1]:
        lines.pop()
    return tuple(_shown(line) for line in lines[-count:]) if count > 0 else ()


def newest_log(directory: Path, port: int | None) -> Path | None:
    """The log that was written to last, of servers on this port; None where there is none."""
    pattern = f"vllm_server_*_{'*' if port is None else port}_????????_??????.log"
    found = [(path.stat().st_mtime, path) for path in directory.glob(pattern)]
    return max(found)[1] if found else None


def _shown(line: bytes) -> str:
    """Without colors and control characters; of a progress bar, its last state."""
    text = _COLORS.sub("", line.decode("utf-8", errors="replace")).rstrip("\r")
    return text.rpartition("\r")[2].translate(_CONTROL)
