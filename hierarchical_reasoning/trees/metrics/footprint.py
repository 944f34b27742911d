"""Seconds and memory: what a problem took."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_HIGHEST = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Footprint:
    """What was measured."""

    seconds: float
    peak_bytes: int
    """The most memory that the process has held since it began: problems that are solved together share it."""
    grown_bytes: int
    """By how much that rose meanwhile; 0 where earlier problems had needed as much."""
    peak_gpu_bytes: int | None
    """The most that PyTorch has held, on all GPUs together; None where it uses none."""


class Measuring:
    """Measures from when it is made. It resets nothing, so that any number may be under way at once."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._peak = _peak_bytes()

    def so_far(self) -> Footprint:
        peak = _peak_bytes()
        return Footprint(time.perf_counter() - self._began, peak, peak - self._peak, _peak_gpu_bytes())


def _peak_bytes() -> int:
    """What the kernel says of this process; where it has no /proc, the largest resident set."""
    if _STATUS.exists() and (found := _HIGHEST.search(_STATUS.read_text())):
        return int(found[1]) * 1024
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _peak_gpu_bytes() -> int | None:
    """Without importing PyTorch: what has not imported it holds no memory of a GPU by it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    devices = range(torch.cuda.device_count())
    return sum(int(torch.cuda.max_memory_allocated(device)) for device in devices)
