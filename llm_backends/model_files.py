"""What a model directory holds, as hashes: so that other weights under the same name are another model."""

from __future__ import annotations

import hashlib
from pathlib import Path

_LARGE_FILE = 64 * 2**20


def model_files(model: str) -> dict[str, str]:
    """The files of a model directory: by content, those larger than 64 MiB by size and time of change. Empty for a
    model that is elsewhere."""
    folder = Path(model)
    paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return {path.name: _identity(path) for path in paths}


def _identity(path: Path) -> str:
    stat = path.stat()
    if stat.st_size > _LARGE_FILE:
        return f"{stat.st_size}/{stat.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()
