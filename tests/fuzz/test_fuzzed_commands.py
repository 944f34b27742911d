"""Files made wrong, given to the real commands: a message and a status, never a traceback."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from mutators import mutated

ROOT = Path(__file__).parents[2]
SECONDS = 120.0
"""A command's start alone takes seconds on a busy machine."""
COMMANDS = {
    "problems.jsonl": ("hierarchical_reasoning.cli.main", ["run", "--dry_run", "--input_file"]),
    "problems.csv": ("hierarchical_reasoning.cli.main", ["run", "--dry_run", "--input_file"]),
    "labeled_hierarchical_tree.gml": ("taxonomy.cli", ["show"]),
    "rollouts.jsonl": ("taxonomy.cli", ["build", "--output", "tree"]),
    "results.json": ("hierarchical_reasoning.cli.main", ["results", "--outcome", "all"]),
    "journal.jsonl": ("hierarchical_reasoning.cli.main", ["results"]),
}


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_is_wrong(seeds: Path, tmp_path: Path, name: str, number: int) -> None:
    module, arguments = COMMANDS[name]
    path = tmp_path / name
    path.write_bytes(mutated((seeds / name).read_bytes(), random.Random(f"{name} {number}")))
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import main; main()", *arguments, str(path)],
        capture_output=True,
        timeout=SECONDS,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (0, 2), said
    assert "Traceback" not in said
    assert done.returncode == 0 or "Error: " in said
    assert "\x1b[2J" not in said
    assert "\x00" not in said
