"""What this machine has that a server can run on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_backends.errors import UnsupportedError

_GIB = 2**30
_MOST_CPU_CACHE_GIB = 4
_NVIDIA_SMI_S = 30.0


@dataclass(frozen=True, slots=True)
class Hardware:
    """The part of a machine that decides how vLLM is started."""

    gpus: int
    """NVIDIA GPUs, whether or not CUDA_VISIBLE_DEVICES hides them."""
    cpu_has_bfloat16: bool = True
    memory_gib: int = 16

    @property
    def cpu_cache_gib(self) -> int:
        """How much memory to keep for computed prefixes when vLLM runs on the CPU: a quarter, 1 to 4 GiB."""
        return max(1, min(_MOST_CPU_CACHE_GIB, self.memory_gib // 4))


def this_machine(environment: Mapping[str, str] = os.environ) -> Hardware:
    """Look at this machine. Takes a second where nvidia-smi does.

    :raises UnsupportedError: nvidia-smi does not answer.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Hardware(_count_gpus(environment), _cpu_has_bfloat16(), memory // _GIB)


def _count_gpus(environment: Mapping[str, str]) -> int:
    nvidia_smi = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if nvidia_smi is None:
        return len(
            list(Path("/dev").glob("nvidia[0-9]*"))
        )  # a container may have the devices without the tool
    try:
        listed = subprocess.run(
            [nvidia_smi, "-L"], capture_output=True, text=True, check=False, timeout=_NVIDIA_SMI_S
        )
    except subprocess.TimeoutExpired as error:
        raise UnsupportedError(
            f"{nvidia_smi} -L does not answer within {_NVIDIA_SMI_S:.0f} s, so it is not known which GPUs there are; "
            "the driver may hang"
        ) from error
    if listed.returncode != 0:
        return 0  # the tool is there, and finds no driver or no device
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16 by itself; where it does not, float32 is faster."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"  # vLLM itself tells apart those that have it
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
