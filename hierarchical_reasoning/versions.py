"""What software a run was made with, for the record."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "hierarchical-reasoning",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "networkx",
    "chess",
    "math-verify",
    "openai",
    "together",
    "anthropic",
)


def versions() -> dict[str, str]:
    """Of Python and the packages that can change a result, and the commit; "not installed" or "unknown" where there
    is none."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found | {"commit": _commit()}


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
