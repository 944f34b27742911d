"""Equal requests that are in flight together are answered once; the calls are counted at a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pytest

from llm_backends import (
    Backend,
    Message,
    ReplyCache,
    Request,
    Sampling,
    ScriptedBackend,
    ServerError,
    Spent,
    Usage,
    create_backend,
)
from llm_backends.in_flight import InFlight
from llm_backends.scripted_server import Call, Reply, ScriptedServer, Status

SLOW_S = 0.2
GREEDY = Request((Message("user", "how many?"),), Sampling(temperature=0))


def reply(call: Call) -> Reply:
    return Reply(f"answer to {call.messages[-1][1]}", prompt_tokens=7, completion_tokens=3)


def asking(server: ScriptedServer, **options: Any) -> Backend:
    return create_backend("openai", model_name="scripted", base_url=server.base_url, max_retries=0, **options)


def alike(n: int, request: Request = GREEDY) -> list[Request]:
    """As samples of traces ask it."""
    return [replace(request, sample_index=index, trace_id=f"p/{index}") for index in range(n)]


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def test_they_are_asked_for_once_and_paid_for_once() -> None:
    with ScriptedServer(reply, first_s=SLOW_S) as server:
        async with asking(server) as backend:
            replies = await asyncio.gather(*(backend.complete(request) for request in alike(8)))
            other = await backend.complete(replace(GREEDY, messages=(Message("user", "how much?"),)))
            assert len(server.calls) == 2
            assert {completion.text for completion in replies} == {"answer to how many?"}
            assert other.text == "answer to how much?"
            total = backend.meter.total
    assert [completion.from_cache for completion in replies] == [False] + [True] * 7
    paid = reduce(add, [completion.spent for completion in (*replies, other)], Spent())
    assert (paid, total) == (Spent(2, Usage(14, 0, 6), 7, Usage(49, 0, 21)),) * 2


async def test_draws_and_what_differs_are_asked_for_each() -> None:
    drawn = replace(GREEDY, sampling=Sampling(temperature=0.7))
    longer = replace(GREEDY, sampling=Sampling(temperature=0, max_tokens=99))
    with ScriptedServer(reply, first_s=SLOW_S) as server:
        async with asking(server) as backend:
            await asyncio.gather(*(backend.complete(r) for r in [*alike(3, drawn), longer, GREEDY]))
        assert len(server.calls) == 5


async def test_draws_that_a_cache_holds_to_be_the_same_are_asked_for_once(tmp_path: Path) -> None:
    drawn = replace(GREEDY, sampling=Sampling(temperature=0.7, seed=1))
    another = [replace(drawn, sample_index=1), replace(drawn, sampling=Sampling(temperature=0.7, seed=2))]
    with ScriptedServer(reply, first_s=SLOW_S) as server:
        cache = ReplyCache(tmp_path / "replies.sqlite")
        async with asking(server, cache=cache) as backend:
            same = [replace(drawn, trace_id=f"arm {i}") for i in range(3)]
            replies = await asyncio.gather(*(backend.complete(request) for request in [*same, *another]))
        cache.close()
        assert len(server.calls) == 3
    assert [completion.from_cache for completion in replies] == [False, True, True, False, False]


async def test_one_after_another_the_cache_answers_whatever_the_seed(tmp_path: Path) -> None:
    with ScriptedServer(reply) as server:
        cache = ReplyCache(tmp_path / "replies.sqlite")
        async with asking(server, cache=cache) as backend:
            for seed, request in enumerate(alike(4)):
                await backend.complete(replace(request, sampling=Sampling(temperature=0, seed=seed)))
        cache.close()
        assert len(server.calls) == 1


@pytest.mark.parametrize("cancelled", [0, 2])
async def test_one_that_is_cancelled_leaves_the_others_waiting(cancelled: int) -> None:
    with ScriptedServer(reply, first_s=SLOW_S) as server:
        async with asking(server) as backend:
            tasks = [asyncio.create_task(backend.complete(request)) for request in alike(3)]
            await until(lambda: server.calls)
            tasks[cancelled].cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(ended.pop(cancelled), asyncio.CancelledError)
        assert [getattr(completion, "text", None) for completion in ended] == ["answer to how many?"] * 2
        assert len(server.calls) == 1


async def test_when_all_are_cancelled_so_is_the_call_and_the_next_one_asks_anew() -> None:
    with ScriptedServer(reply, first_s=30.0) as server:
        async with asking(server) as backend:
            tasks = [asyncio.create_task(backend.complete(request)) for request in alike(3)]
            await until(lambda: server.calls)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: server.calls[0].fault == "disconnected")
            again = asyncio.create_task(backend.complete(GREEDY))
            await until(lambda: len(server.calls) == 2)
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)


async def test_a_failure_is_everyones_and_is_paid_for_once() -> None:
    with ScriptedServer(lambda _: Status(500, "out of order"), first_s=SLOW_S) as server:
        async with asking(server) as backend:
            requests = [replace(request, role=f"role {i}") for i, request in enumerate(alike(3))]
            errors = await asyncio.gather(*map(backend.complete, requests), return_exceptions=True)
        assert len(server.calls) == 1
    assert all(isinstance(error, ServerError) and "out of order" in str(error) for error in errors)
    assert [getattr(error, "role", None) for error in errors] == ["role 0", "role 1", "role 2"]
    assert len({id(error) for error in errors}) == 3


async def test_what_an_unusable_reply_took_is_counted_once() -> None:
    backend = ScriptedBackend(["", "", ""], delay_s=0.01)
    errors = await asyncio.gather(*map(backend.complete, alike(2)), return_exceptions=True)
    spent = [getattr(error, "spent", None) for error in errors]
    assert [each and each.replies for each in spent] == [3, 0]
    assert backend.calls == backend.meter.total.replies == 3


async def test_a_call_begun_while_one_is_being_cancelled_is_not_forgotten() -> None:
    calls: InFlight[str] = InFlight()
    began: list[str] = []
    ended = asyncio.Event()

    async def slow_to_end() -> str:
        began.append("first")
        try:
            await asyncio.sleep(30)
        finally:
            await ended.wait()
        return "never"

    async def second() -> str:
        began.append("second")
        await asyncio.sleep(0.05)
        return "second"

    first = asyncio.create_task(calls.joined("k", slow_to_end))
    await until(lambda: began)
    first.cancel()
    await asyncio.sleep(0)
    later = asyncio.create_task(calls.joined("k", second))
    await until(lambda: len(began) == 2)
    ended.set()
    await asyncio.gather(first, return_exceptions=True)
    assert await calls.joined("k", second) == ("second", False)
    assert await later == ("second", True)
    assert began == ["first", "second"]
