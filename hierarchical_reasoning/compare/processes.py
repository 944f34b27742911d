"""Several processes of this machine that share a study: each does a shard, and all are watched."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.matching import choose_twins
from hierarchical_reasoning.compare.own_command import PROGRAM
from hierarchical_reasoning.compare.plan import StudyPlan, read_plan, read_study_problems
from hierarchical_reasoning.compare.status import study_status
from hierarchical_reasoning.errors import ConfigError, ProcessFailedError
from hierarchical_reasoning.stopping import Stop

ENDED_WELL = (0, 130)
"""130: interrupted, as it was asked to be."""
USERS_MISTAKE = 2
_LOOK_S = 0.2
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def usual_processes(plan: StudyPlan) -> int:
    """How many: with the bundled model one a core, since one does not keep two of them busy; else one."""
    return len(os.sched_getaffinity(0)) if plan.is_of_bundled_model else 1


async def run_processes(directory: Path, n: int, stop: Stop, *, flags: Sequence[str] = ()) -> None:
    """Do all that a study owes in `n` processes, as often as what is owed depends on all of them.

    Args:
        stop: asks the processes to end; what they have in flight is finished.
        flags: further ones of their commands.

    Raises:
        ConfigError: a process found a mistake of the user's; the others are ended.
        ProcessFailedError: a process failed; the others are ended.
    """
    files = StudyFiles(directory)
    while True:
        before = study_status(directory)
        await _round(directory, n, stop, flags)
        choose_twins(files, read_plan(files), read_study_problems(files).problems)
        after = study_status(directory)
        if stop.cause is not None or not after.owed or (after.n, after.done) == (before.n, before.done):
            return
        flags = (*flags, "--no_retry_errors")  # what has just failed is not tried again, in no arm


async def _round(directory: Path, n: int, stop: Stop, flags: Sequence[str]) -> None:
    processes = [await _started(directory, Shard(index, n), n, flags) for index in range(1, n + 1)]
    stop.in_flight += n
    ends = [asyncio.create_task(process.communicate()) for process in processes]
    told = False
    try:
        while any(not end.done() for end in ends):
            await asyncio.wait(ends, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if stop.cause is not None and not told:
                told = True
                _ask_to_end(processes)
            for process, end in zip(processes, ends, strict=True):
                if end.done() and process.returncode not in ENDED_WELL:
                    raise _failure(process.returncode, end.result()[1])
    finally:
        stop.in_flight -= n
        _ask_to_end(processes)
        await asyncio.gather(*ends, return_exceptions=True)


def _failure(status: int | None, complaint: bytes) -> ConfigError | ProcessFailedError:
    """What the command said last, as it would be raised here."""
    said = complaint.decode(errors="replace").strip().removeprefix("Error: ")
    kind = ConfigError if status == USERS_MISTAKE else ProcessFailedError
    return kind(said or f"a process ended with the status {status} and said nothing; the study can go on")


async def _started(directory: Path, shard: Shard, n: int, flags: Sequence[str]) -> asyncio.subprocess.Process:
    command = [*PROGRAM, "compare", "--output", str(directory), "--shard", str(shard)]
    threads = max(1, len(os.sched_getaffinity(0)) // n)
    return await asyncio.create_subprocess_exec(
        *command,
        *flags,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"OMP_NUM_THREADS": str(threads), **os.environ},
        start_new_session=True,  # what interrupts this process is told to them when they are to end
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def _end_with_parent() -> None:
    """In the child: have it killed when this process is, which then could not go on with its shard."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _ask_to_end(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """The first time what is in flight is finished, the second time it is not. No SIGINT: what was started in the
    background of a shell ignores it."""
    for process in processes:
        if process.returncode is None:
            process.terminate()
