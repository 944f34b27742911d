"""One real vLLM server for all tests here, started and stopped by our own commands.

Needs a Python that has vLLM: `HR_VLLM_PYTHON=/path/to/python`; without it the tests are skipped. It runs on what
the machine has, and on the CPU takes about a minute to start.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hierarchical_reasoning.assets import MODEL
from llm_backends.vllm_server import ServerRegistry
from llm_backends.vllm_server.plugins import ADAPTIVE_TEMPERATURE
from llm_backends.vllm_server.processes import is_alive
from llm_backends.vllm_server.registry import state_directory

SCRIPTS = Path(__file__).parents[2] / "runner_scripts"


@dataclass(frozen=True)
class Server:
    """A running server with the bundled model."""

    base_url: str
    model: str
    port: int
    environment: dict[str, str]
    """For commands that are to know of it."""

    def command(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_script(script, *arguments, environment=self.environment)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            if not os.environ.get("HR_VLLM_PYTHON"):
                item.add_marker(pytest.mark.skip(reason="HR_VLLM_PYTHON names no Python that has vLLM"))


def run_script(script: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=900)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture
def spare_server(tmp_path: Path) -> Iterator[Server]:
    """One that a test may spoil."""
    with running_server(tmp_path / "vllm") as running:
        yield running


@contextmanager
def running_server(place: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    environment["VLLM_SERVER_DEV_MODE"] = "1"  # its weights can be changed
    environment = os.environ | environment | {"HR_STATE_DIR": str(place / "state")}
    environment.pop("VLLM_BASE_URL", None)
    registry = ServerRegistry(state_directory(environment))
    started = run_script(
        "start_vllm_server",
        *("--model", str(MODEL), "--served-model-name", "sample-model", "--port", str(port)),
        *(
            "--dtype",
            "float32",
            "--log-dir",
            str(place / "logs"),
            "--timeout",
            "600",
            "--",
            "--enforce-eager",
            "--logits-processors",
            ADAPTIVE_TEMPERATURE,
        ),
        environment=environment,
    )
    assert started.returncode == 0, started.stderr
    (record,) = registry.records()
    processes = record.living_processes
    assert len(processes) >= 2, "an engine and a worker besides the server"
    yield Server(record.base_url, record.served_model_name, port, environment)
    stopped = run_script("cleanup_vllm_servers", "--port", str(port), environment=environment)
    assert stopped.returncode == 0, stopped.stderr
    assert not any(map(is_alive, processes | record.living_processes)), "no process is left"
    assert registry.records() == ()
