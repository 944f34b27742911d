"""Starting and stopping: real processes, real signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_backends import BadRequestError, EngineDiedError, RequestTimeoutError, UnsupportedError
from llm_backends.vllm_server import (
    RunningServer,
    ServerOptions,
    ServerRegistry,
    StartProgress,
    start_server,
    stop_server,
)
from llm_backends.vllm_server.ports import free_port, port_in_use
from llm_backends.vllm_server.processes import identity_of
from llm_backends.vllm_server.registry import state_directory
from tests.vllm_server.conftest import CPU_ONLY, Progress, child_of, wait_until

Fake = Callable[[str], None]


async def started(options: ServerOptions, progress: Progress, model: str = "org/model") -> RunningServer:
    return await start_server(model, options, progress, hardware=CPU_ONLY)


def logs() -> list[Path]:
    return list(Path("logs").glob("*"))


def only_log() -> Path:
    (log,) = logs()
    return log


async def test_a_server_starts_and_stops(options: ServerOptions, progress: Progress, fake: Fake) -> None:
    fake("child")
    server = await started(options, progress)
    assert server.base_url == f"http://127.0.0.1:{options.port}/v1"
    assert (server.model, server.max_model_len, server.started_here) == ("org/model", 2048, True)
    assert re.fullmatch(rf"vllm_server_org_model_{options.port}_\d{{8}}_\d{{6}}\.log", server.log.name)
    assert server.log == only_log().absolute()
    assert "it runs on the CPU" in " ".join(progress.notes)
    assert "loading org/model" in progress.lines

    (record,) = ServerRegistry().records()
    assert record == server.record
    assert record.runs
    assert record.ready
    assert os.getsid(record.leader.pid) == record.leader.pid, "it outlives the terminal"
    assert len(record.processes) == 2
    child = child_of(server.log)

    assert await server.stop() is False
    assert identity_of(child) is None
    assert identity_of(record.leader.pid) is None
    assert ServerRegistry().records() == ()
    assert not port_in_use("127.0.0.1", record.port)


async def test_what_the_server_sees(
    options: ServerOptions, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_MODEL", "other")
    server = await started(options, progress)
    line = next(line for line in progress.lines if line.startswith("environment "))
    assert json.loads(line.removeprefix("environment ")) == {
        "CUDA_VISIBLE_DEVICES": None,
        "VLLM_CPU_KVCACHE_SPACE": "4",
        "VLLM_MODEL": None,
        "VLLM_BASE_URL": None,
    }
    await server.stop()


@pytest.mark.parametrize("modes", ["stubborn child", "child own-group", "child own-group stubborn"])
async def test_children_die_too(options: ServerOptions, progress: Progress, fake: Fake, modes: str) -> None:
    fake(modes)
    server = await started(options, progress)
    child = child_of(server.log)
    killed = await stop_server(server.record, ServerRegistry(), grace_s=0.5)
    assert killed == ("stubborn" in modes)
    assert identity_of(child) is None
    assert identity_of(server.record.leader.pid) is None


async def test_a_server_that_dies_shows_the_end_of_its_log(
    options: ServerOptions, progress: Progress, fake: Fake
) -> None:
    fake("die")
    with pytest.raises(EngineDiedError) as caught:
        await started(options, progress)
    assert str(caught.value).endswith("  | loading org/model\n  | ValueError: no such architecture")
    assert str(only_log().absolute()) in str(caught.value)
    assert ServerRegistry().records() == ()


async def test_a_server_that_takes_too_long_is_stopped(port: int, progress: Progress, fake: Fake) -> None:
    fake("slow child")
    with pytest.raises(RequestTimeoutError, match="--timeout") as caught:
        await started(ServerOptions(port=port, timeout_s=2.0), progress)
    assert "| loading org/model" in str(caught.value)
    assert identity_of(child_of(only_log())) is None
    assert ServerRegistry().records() == ()


async def test_a_start_that_is_cancelled_leaves_nothing(
    options: ServerOptions, progress: Progress, fake: Fake
) -> None:
    fake("slow child")
    start = asyncio.ensure_future(started(options, progress))
    while not any(line.startswith("child ") for line in progress.lines):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert identity_of(child_of(only_log())) is None
    assert ServerRegistry().records() == ()


async def test_a_display_that_fails_leaves_no_server(options: ServerOptions, fake: Fake) -> None:
    fake("slow child")

    def broken_pipe(progress: StartProgress) -> None:
        if any(line.startswith("child ") for line in progress.new_lines):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await start_server("org/model", options, broken_pipe, hardware=CPU_ONLY)
    assert identity_of(child_of(only_log())) is None


async def test_children_that_outlive_a_crash_are_found(
    options: ServerOptions, progress: Progress, fake: Fake
) -> None:
    fake("orphan")
    server = await started(options, progress)
    child = child_of(server.log)
    lines: list[str] = []
    with pytest.raises(EngineDiedError, match="ended"):
        await server.follow(lines.append)
    (record,) = ServerRegistry().records()
    assert not record.runs
    assert child in {process.pid for process in record.living_processes}
    await stop_server(record, ServerRegistry())
    assert identity_of(child) is None
    assert ServerRegistry().records() == ()


async def test_a_taken_port_is_seen_before_anything_is_started(
    options: ServerOptions, progress: Progress
) -> None:
    with (
        socket.create_server(("127.0.0.1", options.port or 0)),
        pytest.raises(BadRequestError, match="something that we did not start"),
    ):
        await started(options, progress)
    assert not logs()
    server = await started(options, progress)
    with pytest.raises(BadRequestError, match=r"a server that we started \(org/model"):
        await started(options, progress)
    assert server.record.runs
    await server.stop()


async def test_without_a_port_the_first_free_one_is_taken(place: Path) -> None:
    registry = ServerRegistry()
    async with free_port("127.0.0.1", None, registry) as first:
        assert first >= 8000
        async with free_port("127.0.0.1", None, registry) as second:
            assert second > first
        with socket.create_server(("127.0.0.1", first)):
            async with free_port("127.0.0.1", None, ServerRegistry(place / "elsewhere")) as third:
                assert third > first


@pytest.mark.parametrize("host", ["192.0.2.7", "no such host"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(BadRequestError, match="--host"):
        port_in_use(host, 8000)


async def test_no_vllm(options: ServerOptions, progress: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    with pytest.raises(UnsupportedError, match="pip install vllm"):
        await started(options, progress)
    assert not logs()


async def test_a_log_that_cannot_be_written(port: int, progress: Progress, place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(BadRequestError, match="--log_dir"):
        await started(ServerOptions(port=port, log_dir=place / "file"), progress)


async def test_a_pid_in_second_use_is_not_stopped(options: ServerOptions, progress: Progress) -> None:
    server = await started(options, progress)
    registry = ServerRegistry()
    earlier = server.record.leader.__class__(server.record.leader.pid, "another start")
    stale = server.record.model_copy(update={"leader": earlier, "processes": frozenset({earlier})})
    registry.write(stale)
    assert not stale.runs
    await stop_server(stale, registry)
    assert registry.records() == (), "what is stale is forgotten"
    assert server.record.runs, "and what has its pid now is left alone"
    await server.stop()


def test_records_are_private_and_of_one_machine(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ServerRegistry()
    with registry.locked_at_once("a") as held, registry.locked_at_once("a") as again:
        assert (held, again) == (True, False)
    assert stat.S_IMODE(registry.directory.stat().st_mode) == 0o700
    assert registry.directory.name == socket.gethostname()
    environment = {"XDG_STATE_HOME": "/x"}
    assert state_directory(environment).parent == Path("/x/hierarchical-reasoning/vllm")
    assert state_directory({}).parent == Path.home() / ".local/state/hierarchical-reasoning/vllm"


def test_a_broken_record_is_named(place: Path) -> None:
    registry = ServerRegistry()
    registry.directory.mkdir(parents=True)
    broken = registry.directory / "8000_1.json"
    broken.write_text('{"port": 8000')
    with pytest.raises(BadRequestError, match=re.escape(str(broken))):
        registry.records()
    broken.unlink()


async def test_stopping_twice_is_no_error(options: ServerOptions, progress: Progress) -> None:
    server = await started(options, progress)
    os.kill(server.record.leader.pid, signal.SIGKILL)
    wait_until(lambda: not server.record.runs)
    assert await server.stop() is False
    assert await server.stop() is False
