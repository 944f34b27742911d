"""What benchmarks measure with: seconds by the clock and of the processor, peak memory, a process for each way."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

Measured = TypeVar("Measured")


class Memory:
    """The peak above what is held when it is made, in MB: of the GPU, or of this process."""

    def __init__(self, device: str) -> None:
        self._on_gpu = torch.device(device).type == "cuda"
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
            self._before = _of_process("VmRSS")

    def peak(self) -> float:
        now = torch.cuda.max_memory_allocated() if self._on_gpu else _of_process("VmHWM")
        return round((now - self._before) / 2**20, 1)


def _of_process(field: str) -> int:
    (kilobytes,) = re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


def wait_for(device: str) -> None:
    """Until a GPU is through with what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def seconds_of(compute: Callable[[], Measured]) -> tuple[tuple[float, float], Measured]:
    """By the clock and of the processor; and what was computed."""
    started, cpu = time.perf_counter(), time.process_time()
    found = compute()
    return (time.perf_counter() - started, time.process_time() - cpu), found


def medians(seconds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Of all updates but the first, which warms up."""
    wall, cpu = zip(*seconds[1:], strict=True)
    return {"seconds": round(median(wall), 3), "cpu_seconds": round(median(cpu), 3)}


def alone(measure: Callable[..., Measured], *arguments: Any) -> Measured:
    """In a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def machine(device: str) -> dict[str, Any]:
    about = {
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }
    return about | ({"gpu": torch.cuda.get_device_name()} if torch.device(device).type == "cuda" else {})
