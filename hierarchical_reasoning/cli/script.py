"""What the scripts at the root run. It needs nothing but Python, so that it can say what else is needed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_OURS = {"hierarchical_reasoning", "llm_backends", "taxonomy"}


def run_script(module: str, *arguments: str) -> None:
    """Run `main` of a module of the command line. Where a package that is not ours is missing, say how to get it and
    exit with 2; a module of our own that is missing is a bug, and keeps its traceback."""
    try:
        importlib.import_module(module).main(*arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in _OURS:
            raise
        script = Path(sys.argv[0]).name
        sys.stderr.write(
            f"Error: {script} needs its packages, and {package} is not there: run `make venv`, then "
            "`. .venv/bin/activate`\n"
        )
        sys.exit(2)
