"""Worker processes that compare mathematical answers, each killed and replaced when it does not reply.

Workers start when they are first needed. They have no terminal, and end when this process does, however it ends: their
input closes then, and one that is busy is stopped by its own limit on CPU time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.errors import VerifierError

CPU_SECONDS = 5.0
"""For one comparison."""
WALL_SECONDS = 60.0
"""For one comparison, where the worker is given no CPU time."""
START_SECONDS = 120.0
"""For a worker to start, on a busy machine."""
_WORKER = "hierarchical_reasoning.verifiers.math_worker"
_ROOT = Path(__file__).parents[2]


class TookTooLongError(VerifierError):
    """A comparison took more CPU time than it may."""


class WorkerDiedError(VerifierError):
    """A worker gave no reply, and it was not its limit on CPU time that ended it."""


@dataclass(frozen=True)
class Comparison:
    """What a worker says."""

    readable: bool
    """Whether the answer can be read; where there was none, whether all truths can."""
    same: bool


class WorkerPool:
    """At most `size` workers; safe to use from several threads."""

    def __init__(
        self, size: int = 2, *, cpu_seconds: float = CPU_SECONDS, wall_seconds: float = WALL_SECONDS
    ) -> None:
        self.cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._slots = threading.BoundedSemaphore(size)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._times_closed = 0
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="math-verify")
        weakref.finalize(self, _stop_all, self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the workers that run."""
        return tuple(worker.process.pid for worker in self._workers)

    def ask(self, truths: Sequence[str], answer: str | None) -> Comparison:
        """Compare; with `answer` None, only read the truths.

        Raises TookTooLongError; and WorkerDiedError when a worker was killed, and so was the one in its place.
        """
        question = json.dumps({"truths": list(truths), "answer": answer})
        with self._slots:
            times_closed = self._times_closed
            try:
                return self._ask_one(question)
            except WorkerDiedError:
                if self._times_closed != times_closed:
                    raise
                return self._ask_one(question)

    async def compare(self, truths: Sequence[str], answer: str) -> Comparison:
        """As `ask`, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.ask, truths, answer)

    def close(self) -> None:
        """Stop the workers, busy ones too; a later question starts new ones."""
        self._times_closed += 1
        self._idle.clear()
        _stop_all(self._workers)

    def _ask_one(self, question: str) -> Comparison:
        worker = self._idle.pop() if self._idle else self._started()
        try:
            reply = worker.ask(question, self._wall_seconds)
        except VerifierError:
            self._workers.discard(worker)
            raise
        self._idle.append(worker)
        return reply

    def _started(self) -> _Worker:
        worker = _Worker(self.cpu_seconds)
        self._workers.add(worker)
        return worker


class _Worker:
    """One process, asked by one thread at a time."""

    def __init__(self, cpu_seconds: float) -> None:
        self._cpu_seconds = cpu_seconds
        paths = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", _WORKER, str(cpu_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,  # Ctrl-C is for this process alone
            text=True,
            encoding="utf-8",
        )
        if self._line_within(START_SECONDS) != "ready":
            raise self._ended("start")

    def ask(self, question: str, wall_seconds: float) -> Comparison:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(question + "\n")
            self.process.stdin.flush()
        except OSError:
            raise self._ended("reply") from None
        line = self._line_within(wall_seconds)
        if not line:
            raise self._ended("reply")
        return Comparison(**json.loads(line))

    def stop(self) -> int:
        """Kill it, if it still runs, and return how it ended."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what was not written any more
                continue
        return status

    def _line_within(self, seconds: float) -> str:
        """The next line; empty where the process ended, or was killed for taking too long."""
        assert self.process.stdout is not None
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline().strip()
        finally:
            timer.cancel()

    def _ended(self, what: str) -> VerifierError:
        status = self.stop()
        if status == -signal.SIGPROF:
            return TookTooLongError(f"a comparison took more than {self._cpu_seconds:g} s of CPU time")
        return WorkerDiedError(
            f"a process that compares answers with math-verify did not {what} (it ended with status {status}); "
            "`python -m hierarchical_reasoning.verifiers.math_worker 5` shows whether it can run"
        )


def _stop_all(workers: set[_Worker]) -> None:
    while workers:
        workers.pop().stop()
