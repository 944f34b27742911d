"""The server that a command starts for itself, as runs and training runs use it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from hierarchical_reasoning.cli.serving import served
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.training.config import GrpoConfig
from llm_backends import EngineDiedError
from llm_backends.vllm_server import ServerRegistry
from tests.vllm_server.conftest import wait_until


async def test_each_command_asks_it_for_its_main_model() -> None:
    lines: list[str] = []
    for config, field in (
        (RunConfig(llm_framework="vllm", model_name="org/model", vllm_auto_start=True), "model_name"),
        (
            GrpoConfig(llm_framework="vllm", reasoning_model_name="org/model", vllm_auto_start=True),
            "reasoning_model_name",
        ),
    ):
        async with served(config, lines.append) as serving:
            assert getattr(serving, field) == "org/model"
            assert serving.reasoner.base_url == ServerRegistry().records()[0].base_url
            assert serving.vllm_base_url is not None
        assert ServerRegistry().records() == ()
    assert sum(line.startswith("vLLM serves org/model at http://") for line in lines) == 2


def test_its_death_is_what_ends_a_command_that_works_in_threads(place: Path) -> None:
    config = GrpoConfig(llm_framework="vllm", reasoning_model_name="org/model", vllm_auto_start=True)
    lines: list[str] = []

    def train() -> None:
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(served(config, lines.append)),
        ):
            (record,) = ServerRegistry().records()
            for process in record.living_processes:
                os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda: any("has ended by itself" in line for line in lines))
            raise RuntimeError("no reply any more")

    with pytest.raises(EngineDiedError):
        train()
