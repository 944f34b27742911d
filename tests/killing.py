"""Sessions of one job that are killed, one after another: the driver that forks them, and whoever kills them.

Everything slow to import is imported once, in the driver; every session is then a process of its own that is there
within milliseconds. A line on the driver's stdin begins a session; the answer is its process id, and when it has ended,
its status.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_backends.scripted_server import Call, ScriptedServer


def run_sessions(session: Callable[[str], None]) -> None:
    """What a driver does: a session for each line, which it gets."""
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os.close(0)
            status = 1
            try:
                session(line.strip())
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


class Driver:
    """A driver's process, from outside."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    def session(self, line: str = "begin", *, kill_when: Callable[[int], None] | None = None) -> int:
        """Run a session to its end; returns its exit code.

        Args:
            kill_when: gets the process, and returns when it is to be killed; None: it is left alone.
        """
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{line}\n")
        self._running.stdin.flush()
        process = int(self._running.stdout.readline())
        if kill_when is not None:
            kill_when(process)
            os.kill(process, signal.SIGKILL)
        return os.waitstatus_to_exitcode(int(self._running.stdout.readline()))


@contextmanager
def driver(script: Path, *arguments: str) -> Iterator[Driver]:
    """A driver in a process of its own, which finds the helpers beside it and here."""
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here.parent, here, script.parent)))
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield Driver(running)
        assert running.stdin is not None
        running.stdin.close()


def some_moment(server: ScriptedServer, rng: random.Random) -> Callable[[int], None]:
    """Now and then while the session starts, and else some calls later."""

    def wait(process: int) -> None:
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, 0.2))
            return
        n = len(server.calls) + rng.randrange(1, 16)
        deadline = time.monotonic() + 60
        while len(server.calls) < n:
            time.sleep(0.0005)
            assert time.monotonic() < deadline, process
        time.sleep(rng.uniform(0, 0.005))

    return wait


def settled(server: ScriptedServer, first: int) -> tuple[Call, ...]:
    """The calls from the first on, when none is in flight any more."""
    deadline = time.monotonic() + 10
    while True:
        n = len(server.calls)
        time.sleep(0.01)
        if n == len(server.calls) and all(call.ended is not None for call in server.calls[first:]):
            return tuple(server.calls[first:])
        assert time.monotonic() < deadline


def asked(call: Call) -> str:
    """What a call asked, to be counted."""
    return json.dumps(call.body, sort_keys=True)
