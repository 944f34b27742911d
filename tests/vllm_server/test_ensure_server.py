"""Runs share servers, and leave none behind that they started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llm_backends import EngineDiedError
from llm_backends.vllm_server import (
    RunningServer,
    ServerOptions,
    ServerRegistry,
    ensure_server,
    own_server,
    start_server,
)
from tests.vllm_server.conftest import CPU_ONLY, Progress, unused_port, wait_until

A_RUN = """
import asyncio, sys, time
from llm_backends.vllm_server import ServerOptions, ensure_server
asyncio.run(ensure_server("org/model", ServerOptions(port=int(sys.argv[1])), lambda progress: None))
print("ready", flush=True)
time.sleep(600)
"""


async def ensured(options: ServerOptions, progress: Progress, model: str = "org/model") -> RunningServer:
    return await ensure_server(model, options, progress, hardware=CPU_ONLY)


async def test_what_a_run_started_ends_with_it(options: ServerOptions, progress: Progress) -> None:
    async with await ensured(options, progress) as server:
        assert server.started_here
        assert server.record.runs
    assert not server.record.runs
    assert ServerRegistry().records() == ()
    assert await server.close() is False, "once is enough"


async def test_what_was_started_by_hand_is_reused_and_stays(
    options: ServerOptions, progress: Progress
) -> None:
    by_hand = await start_server("org/model", options, progress, hardware=CPU_ONLY)
    async with await ensured(replace(options, port=None), progress) as server:
        assert not server.started_here
        assert server.record.leader == by_hand.record.leader
    assert by_hand.record.runs
    await by_hand.stop()


async def test_the_last_run_stops_it(options: ServerOptions, progress: Progress) -> None:
    first = await ensured(options, progress)
    second = await ensured(options, progress)
    assert (first.started_here, second.started_here) == (True, False)
    assert await first.close() is False
    assert second.record.runs
    assert await second.close() is True
    assert not second.record.runs


async def test_two_runs_at_once_start_one_server(options: ServerOptions, progress: Progress) -> None:
    servers = await asyncio.gather(*(ensured(options, progress) for _ in range(3)))
    assert len({server.record.leader for server in servers}) == 1
    assert [server.started_here for server in servers].count(True) == 1
    assert [await server.close() for server in servers] == [False, False, True]


async def test_other_settings_or_another_model_are_another_server(
    options: ServerOptions, progress: Progress
) -> None:
    first = await ensured(options, progress)
    longer = await ensured(replace(options, port=unused_port(), max_model_len=64), progress)
    other = await ensured(replace(options, port=unused_port()), progress, "org/other")
    assert len({server.record.leader for server in (first, longer, other)}) == 3
    assert longer.max_model_len == 64
    for server in (first, longer, other):
        assert await server.close() is True


async def test_a_server_with_other_weights_is_another_server(
    options: ServerOptions, progress: Progress, place: Path
) -> None:
    weights = place / "model" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"one")
    anywhere = replace(options, port=None)
    first = await ensured(options, progress, "model")
    same = await ensured(anywhere, progress, "model")
    weights.write_bytes(b"two")
    retrained = await ensured(anywhere, progress, "model")
    assert (same.started_here, retrained.started_here) == (False, True)
    assert same.record.leader == first.record.leader
    assert (
        progress.notes.count(
            f"model has changed since the server on port {options.port} started, so it is not used"
        )
        == 1
    )
    again = await ensured(anywhere, progress, "model")
    assert again.record.leader == retrained.record.leader
    for server in (same, first, again, retrained):
        await server.close()
    assert ServerRegistry().records() == ()


async def test_what_a_killed_run_leaves_is_taken_up(
    options: ServerOptions, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", A_RUN, str(options.port)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert run.stdout is not None
    with run:
        assert run.stdout.readline() == b"ready\n"
        run.kill()
    (left,) = ServerRegistry().records()
    assert left.runs, "the server goes on"
    server = await ensured(options, progress)
    assert server.record.leader == left.leader
    assert await server.close() is True, "the run that is gone does not count as a user"
    assert not left.runs


async def test_a_run_that_has_a_server_for_itself_ends_what_its_like_left(
    options: ServerOptions, progress: Progress
) -> None:
    command = [sys.executable, "-c", A_RUN.replace("ensure_server", "own_server"), str(options.port)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert run.stdout is not None
    with run:
        assert run.stdout.readline() == b"ready\n"
        run.kill()
    (left,) = ServerRegistry().records()
    shared = await ensured(replace(options, port=unused_port()), progress, "org/other")
    async with await own_server("org/model", options, progress, hardware=CPU_ONLY) as server:
        server.check_runs()
        assert not left.runs
        assert server.record.port == left.port
        second = await own_server(
            "org/model", replace(options, port=unused_port()), progress, hardware=CPU_ONLY
        )
        assert second.record.leader != server.record.leader, "never shared"
        assert server.record.runs, "nor taken for one that was left"
        assert await second.close() is True
    assert not server.record.runs
    with pytest.raises(EngineDiedError, match=f"on port {server.record.port} ended"):
        server.check_runs()
    assert shared.record.runs
    await shared.close()


async def test_a_server_that_is_still_starting_is_waited_for(
    options: ServerOptions, progress: Progress, fake: Callable[[str], None]
) -> None:
    fake("slow")
    by_hand = asyncio.ensure_future(start_server("org/model", options, progress, hardware=CPU_ONLY))
    while not ServerRegistry().records():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    waiting = asyncio.ensure_future(ensured(options, Progress()))
    await asyncio.sleep(1.0)
    (record,) = ServerRegistry().records()
    assert not waiting.done()
    os.kill(record.leader.pid, signal.SIGKILL)
    results = await asyncio.gather(by_hand, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [EngineDiedError, EngineDiedError]
    assert ServerRegistry().records() == ()


async def test_a_dead_server_is_not_reused(options: ServerOptions, progress: Progress) -> None:
    dead = await ensured(options, progress)
    os.kill(dead.record.leader.pid, signal.SIGKILL)
    wait_until(lambda: not dead.record.runs)
    async with await ensured(options, progress) as server:
        assert server.started_here
    await dead.close()


async def test_its_log_can_be_followed(options: ServerOptions, progress: Progress) -> None:
    async with await ensured(options, progress) as server:
        lines: list[str] = []
        following = asyncio.ensure_future(server.follow(lines.append))
        await asyncio.sleep(0.1)
        await ensured(options, progress)
        while not lines:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert "/health" in lines[0]
        following.cancel()
        await server.stop()
