"""Servers of Slurm jobs: a server ends with its job, so no other job may rely on it."""

from __future__ import annotations

import pytest

from llm_backends.vllm_server import ServerOptions, ServerRegistry, ensure_server, stop_servers_of_job
from tests.vllm_server.conftest import CPU_ONLY, Progress


async def test_each_job_has_a_server_of_its_own(
    place: object, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServerOptions(timeout_s=60.0)
    found = []
    for job in ("", "11", "12", "12"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        found.append(await ensure_server("org/model", options, progress, hardware=CPU_ONLY))
    assert [server.started_here for server in found] == [True, True, True, False]
    assert len({server.record.port for server in found}) == 3
    assert [server.record.job for server in found] == [None, "11", "12", "12"]

    (stopped,) = await stop_servers_of_job("12")
    assert stopped.port == found[2].record.port
    assert [server.record.runs for server in found] == [True, True, False, False]
    assert {record.job for record in ServerRegistry().records()} == {None, "11"}
    assert await stop_servers_of_job("12") == ()
    for server in found:
        await server.close()
    assert ServerRegistry().records() == ()
