"""Waiting out a reasoner that is out of reach, for all episodes in flight together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from hierarchical_reasoning.training.errors import TrainingError
from llm_backends import TransientError

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Waiting:
    """Nothing is asked for a while, since the last calls failed."""

    seconds: float
    """From now."""
    failing_seconds: float
    """That the calls have been failing for."""
    patience_seconds: float
    error: TransientError

    def __str__(self) -> str:
        return (
            f"the {self.error.role or 'reasoner'} fails ({type(self.error).__name__}: {self.error}); tried again in "
            f"{self.seconds:.0f} s, given up {max(0, self.patience_seconds - self.failing_seconds):.0f} s from now "
            "(--reasoner_patience)"
        )


class Patience:
    """Says when an attempt may begin, and when there is no use any more.

    A failure that outlasted the backend's own retries makes all attempts wait; where one that began after the wait
    fails too, the next wait is twice as long. An attempt that gets through ends that.
    """

    def __init__(self, seconds: float, waiting: Callable[[Waiting], None]) -> None:
        """
        Args:
            seconds: for which failures are waited out; more than 0.
            waiting: told of each wait when it begins.
        """
        self._seconds = seconds
        self._waiting = waiting
        self._failing_since: float | None = None
        self._next_wait = FIRST_WAIT_S
        self._over = float("-inf")
        """When attempts may begin."""
        self.waited_s = 0.0
        """In all waits together."""

    async def ready(self) -> float:
        """Wait while nothing is to be asked; returns the time at which the attempt begins."""
        await asyncio.sleep(max(0.0, self._over - time.monotonic()))
        return time.monotonic()

    def got_through(self) -> None:
        """An attempt that was answered came to its end."""
        self._failing_since = None
        self._next_wait = FIRST_WAIT_S

    def failed(self, error: TransientError, began: float) -> None:
        """An attempt failed.

        Args:
            began: what `ready` returned for it.

        Raises:
            TrainingError: attempts have been failing for too long.
        """
        if began < self._over:
            return  # it began before the wait that is under way, and says nothing new
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        failing = now - self._failing_since
        if failing >= self._seconds:
            raise TrainingError(
                f"the {error.role or 'reasoner'} has been failing for {failing:.0f} s, and --reasoner_patience is "
                f"{self._seconds:g}: {type(error).__name__}: {error}. See to what answers for it, then go on with "
                "--resume, from the last checkpoint; with --reasoner_patience 0 a failure costs its episode alone"
            ) from error
        wait = min(self._next_wait, self._seconds - failing)
        self._next_wait = min(2 * self._next_wait, LONGEST_WAIT_S)
        self._over = now + wait
        self.waited_s += wait
        self._waiting(Waiting(wait, failing, self._seconds, error))
