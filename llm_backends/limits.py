"""How many calls may be in flight, and how fast they may start: both adapt to a server that says "too many".

Concurrency follows additive increase, multiplicative decrease (Chiu and Jain 1989): a rate limit error cuts the
bound, every reply lets it grow again, by one per bound's worth of replies. Errors of calls that had started
before a cut do not cut again: they tell what is known already. A rate, where one is set, is kept by even
spacing, and is cut and grows back in the same way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_CUT = 0.7
_LEAST_RATE = 0.05
"""Of the rate that was set: below this it is not cut any more."""


class Limits:
    """Bounds that several backends may share, as they ask one account of one server."""

    def __init__(self, max_concurrency: int, requests_per_minute: float | None = None) -> None:
        """Parameters are those of `Limiter`."""
        self._bounds = (max_concurrency, requests_per_minute)
        self._limiter: tuple[asyncio.AbstractEventLoop, Limiter] | None = None

    def here(self) -> Limiter:
        """The limiter of this event loop: one belongs to a loop, while a backend may serve several `asyncio.run` in
        turn."""
        loop = asyncio.get_running_loop()
        if self._limiter is None or self._limiter[0] is not loop:
            self._limiter = (loop, Limiter(*self._bounds))
        return self._limiter[1]


class Limiter:
    """Bounds the calls of one backend, or of several. Belongs to one event loop."""

    def __init__(
        self,
        max_concurrency: int,
        requests_per_minute: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        :param max_concurrency: calls in flight at most, where the server never complains.
        :param requests_per_minute: calls started per minute at most; None for no bound.
        """
        self._most = max_concurrency
        self._bound = float(max_concurrency)
        self._interval = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._rate = 1.0
        self._clock = clock
        self._sleep = sleep
        self._next_start = float("-inf")
        self._last_cut = float("-inf")
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def bound(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._bound))

    @property
    def interval(self) -> float:
        """Seconds between the starts of two calls; 0 for no bound."""
        return self._interval / self._rate

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for a turn, first come first served, and hold it; yields when the call started, for
        :meth:`throttled`."""
        await self._enter()
        try:
            await self._keep_pace()
            yield self._clock()
        finally:
            self._in_flight -= 1
            self._wake()

    def throttled(self, started: float) -> None:
        """The server refused a call that started then, because there are too many."""
        if started <= self._last_cut:
            return
        self._last_cut = self._clock()
        self._bound = max(1.0, min(self._bound, self._in_flight) * _CUT)
        self._rate = max(_LEAST_RATE, self._rate * _CUT)

    def replied(self) -> None:
        """The server answered a call."""
        self._bound = min(float(self._most), self._bound + 1.0 / self._bound)
        self._rate = min(1.0, self._rate * 1.01)

    async def _enter(self) -> None:
        if not self._waiting and self._in_flight < self.bound:
            self._in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the turn came at the moment of the cancellation
                self._in_flight -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        """Give free places to those who wait. A place is counted when it is given, so that none is given twice."""
        while self._waiting and self._in_flight < self.bound:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    async def _keep_pace(self) -> None:
        if not self._interval:
            return
        now = self._clock()
        start = max(now, self._next_start)
        self._next_start = start + self.interval
        if start > now:
            await self._sleep(start - now)
