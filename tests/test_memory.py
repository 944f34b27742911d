"""What a process is said to have held."""

from __future__ import annotations

import json
import subprocess
import sys


def test_memory_is_that_meanwhile() -> None:
    """In a process of its own, which has held little before."""
    script = """
from hierarchical_reasoning.memory import MeasuringMemory
import json
memory = MeasuringMemory()
first = memory.so_far()
held = bytearray(b"x") * (first.peak_bytes + 50_000_000)
second, later = memory.so_far(), MeasuringMemory().so_far()
print(json.dumps([each.model_dump() for each in (first, second, later)]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second, later = json.loads(done.stdout)
    assert second["grown_bytes"] >= 50_000_000
    assert second["peak_bytes"] >= first["peak_bytes"] + 50_000_000
    assert later["grown_bytes"] < 10_000_000
    assert first["peak_gpu_bytes"] is None  # PyTorch is not imported
