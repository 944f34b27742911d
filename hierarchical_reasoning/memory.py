"""How much memory this process has held: what it takes to solve problems, with all that it shares among them.

Other processes, such as a server of models, are not in it. Nothing is reset, so that any number of problems may be
measured at once.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hierarchical_reasoning.results.records import MemoryRecord

_STATUS = Path("/proc/self/status")
_HIGHEST = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


class MeasuringMemory:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._peak = peak_bytes()

    def so_far(self) -> MemoryRecord:
        peak = peak_bytes()
        return MemoryRecord(peak_bytes=peak, grown_bytes=peak - self._peak, peak_gpu_bytes=peak_gpu_bytes())


def peak_bytes() -> int:
    """The most that has been resident: what the kernel says of this process; where it has no /proc, the largest
    resident set."""
    if _STATUS.exists() and (found := _HIGHEST.search(_STATUS.read_text())):
        return int(found[1]) * 1024
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def peak_gpu_bytes() -> int | None:
    """Without importing PyTorch: what has not imported it holds no memory of a GPU by it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    devices = range(torch.cuda.device_count())
    return sum(int(torch.cuda.max_memory_allocated(device)) for device in devices)
