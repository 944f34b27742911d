from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from hierarchical_reasoning.verifiers.math_pool import (
    Comparison,
    TookTooLongError,
    WorkerDiedError,
    WorkerPool,
)

ENDLESS = "10^{10^{10}}"
EQUAL = Comparison(readable=True, same=True)


def is_running(pid: int) -> bool:
    """Also a process that another has to reap is none that runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def wait_for(condition: object, seconds: float = 30) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_workers_start_when_needed_and_serve_many_questions() -> None:
    pool = WorkerPool(2)
    assert pool.pids == ()
    assert pool.ask(["x+1"], "1+x") == EQUAL
    (pid,) = pool.pids
    assert pool.ask(["x+1"], "x+2") == Comparison(readable=True, same=False)
    assert pool.ask(["x+1"], None).readable
    assert pool.pids == (pid,)
    pool.close()
    assert not is_running(pid)
    assert pool.ask(["x"], "x") == EQUAL
    pool.close()


def test_a_worker_killed_between_questions_is_replaced() -> None:
    pool = WorkerPool(1)
    pool.ask(["x"], "x")
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    assert pool.ask(["x+1"], "1+x") == EQUAL
    assert pool.pids != (pid,)
    pool.close()


async def test_a_worker_killed_within_a_question_is_replaced_and_asked_again() -> None:
    pool = WorkerPool(1, cpu_seconds=2)
    await pool.compare(["x"], "x")
    (pid,) = pool.pids
    asking = asyncio.create_task(pool.compare(["1"], ENDLESS))
    await asyncio.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(TookTooLongError):  # the second worker got as far as its limit
        await asking
    assert await pool.compare(["x+1"], "1+x") == EQUAL
    pool.close()


def test_a_worker_killed_again_and_again_is_an_error() -> None:
    pool = WorkerPool(1)
    killing = threading.Event()

    def kill() -> None:
        while not killing.wait(0.05):
            for pid in pool.pids:
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(WorkerDiedError, match=r"status -9.*math_worker"):
            pool.ask(["1"], ENDLESS)
    finally:
        killing.set()
        killer.join()
    assert pool.ask(["x"], "x") == EQUAL
    pool.close()


def test_a_worker_that_takes_too_long_is_stopped_by_its_own_clock() -> None:
    pool = WorkerPool(1, cpu_seconds=1)
    started = time.monotonic()
    with pytest.raises(TookTooLongError, match="more than 1 s of CPU time"):
        pool.ask(["1"], ENDLESS)
    assert pool.pids == ()
    assert time.monotonic() - started < 40
    assert pool.ask(["x"], "x") == EQUAL
    pool.close()


def test_a_worker_that_stands_still_is_killed_by_the_wall_clock() -> None:
    pool = WorkerPool(1, wall_seconds=8)
    pool.ask(["x"], "x")
    (pid,) = pool.pids
    os.kill(pid, signal.SIGSTOP)
    assert pool.ask(["x+1"], "1+x") == EQUAL  # by the worker in its place
    assert not is_running(pid)
    pool.close()


async def test_two_workers_at_most_share_many_questions() -> None:
    pool = WorkerPool(2)
    found = await asyncio.gather(*(pool.compare([f"x+{i}"], f"{i}+x") for i in range(40)))
    assert found == [EQUAL] * 40
    assert 1 <= len(pool.pids) <= 2
    pool.close()


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_no_worker_is_left_behind(how: str) -> None:
    """Not even a busy one, when the process that asked is killed."""
    script = textwrap.dedent(
        f"""
        import sys, threading, time
        from hierarchical_reasoning.verifiers.math_pool import WorkerPool
        pool = WorkerPool(1, cpu_seconds=3)
        pool.ask(["x"], "x")
        print(pool.pids[0], flush=True)
        if {how == "is killed"}:
            pool.ask(["1"], {ENDLESS!r})
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        pid = int(process.stdout.readline())
        if how == "is killed":
            time.sleep(0.3)
            assert is_running(pid)
            process.kill()
    assert wait_for(lambda: not is_running(pid))


def test_ctrl_c_in_the_terminal_is_not_for_workers() -> None:
    pool = WorkerPool(1)
    pool.ask(["x"], "x")
    (pid,) = pool.pids
    assert os.getpgid(pid) != os.getpgid(0)
    pool.close()
