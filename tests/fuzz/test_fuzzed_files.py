"""Files made wrong (HR_FUZZ_N, 20,000 in all): each is read, or refused with the error that its reader documents, soon
and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from readers import READERS

ROOT = Path(__file__).parents[2]
N = int(os.environ.get("HR_FUZZ_N", "20000"))
SEED = 20
MAX_PEAK_MB = 700


@pytest.mark.parametrize("name", READERS)
def test_a_file_is_read_or_refused(seeds: Path, name: str) -> None:
    reader = READERS[name]
    count = N * reader.share // 20_000
    command = [
        sys.executable,
        str(Path(__file__).with_name("one_reader.py")),
        name,
        str(count),
        str(SEED),
        str(seeds),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["failures"], "\n\n".join(found["failures"])
    assert found["read"] + found["refused"] == count
    assert min(found["read"], found["refused"]) >= count // 100, (
        "inputs are made too wrong, or not wrong enough"
    )
    assert found["peak_mb"] < MAX_PEAK_MB
