from __future__ import annotations

import asyncio

import pytest

from llm_backends import Message, RateLimitError, Request, ScriptedBackend
from llm_backends.limits import Limiter


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_refusal_cuts_the_bound_once_for_all_calls_in_flight_and_replies_raise_it() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock)
    async with limiter.slot() as first, limiter.slot() as second:
        clock.now += 1
        limiter.throttled(first)
        assert limiter.bound == 1  # of the two in flight
        limiter.throttled(second)  # started before the cut: it says nothing new
    for _ in range(4):
        limiter.replied()
    assert limiter.bound == 3
    for _ in range(100):
        limiter.replied()
    assert limiter.bound == 10


async def test_the_pace_is_even_and_slows_down_after_a_refusal() -> None:
    clock = Clock()
    limiter = Limiter(5, requests_per_minute=60, clock=clock, sleep=clock.sleep)
    starts = []
    for _ in range(3):
        async with limiter.slot() as started:
            starts.append(started)
    assert starts == [100.0, 101.0, 102.0]
    clock.now += 1
    limiter.throttled(102.0)
    assert limiter.interval == pytest.approx(1 / 0.7)
    for _ in range(50):
        limiter.replied()
    assert limiter.interval == 1.0


async def test_turns_are_taken_in_order_and_a_cancelled_wait_blocks_nobody() -> None:
    limiter = Limiter(1)
    order: list[int] = []

    async def call(number: int) -> None:
        async with limiter.slot():
            order.append(number)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(call(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3, 4]
    async with limiter.slot():
        pass


async def test_a_turn_given_to_a_cancelled_wait_is_passed_on() -> None:
    limiter = Limiter(1)
    entered = asyncio.Event()
    leave = asyncio.Event()

    async def hold() -> None:
        async with limiter.slot():
            entered.set()
            await leave.wait()

    async def wait() -> str:
        async with limiter.slot():
            return "in"

    holder = asyncio.create_task(hold())
    await entered.wait()
    cancelled, other = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    leave.set()
    await holder  # the place is now given to the first who waits
    cancelled.cancel()
    assert await asyncio.wait_for(other, 1) == "in"


async def test_a_backend_asks_for_less_at_once_after_a_refusal() -> None:
    in_flight: list[int] = []
    now = 0

    class Counting(ScriptedBackend):
        async def _complete(self, request: Request):  # type: ignore[no-untyped-def]
            nonlocal now
            now += 1
            in_flight.append(now)
            try:
                return await super()._complete(request)
            finally:
                now -= 1

    async def no_wait(_: float) -> None:
        return

    refusals = {call: RateLimitError("slow down", retry_after=0.0) for call in range(8)}
    backend = Counting(lambda _: "fine", fail_at=refusals, delay_s=0.001, max_concurrency=8, sleep=no_wait)
    await asyncio.gather(*(backend.complete(Request((Message("user", "hi"),))) for _ in range(16)))
    assert max(in_flight[:8]) == 8
    assert max(in_flight[8:16]) <= 6
    assert backend.meter.total.repeats == {"RateLimitError": 8}
