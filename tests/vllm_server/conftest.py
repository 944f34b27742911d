"""Real processes, real signals, real HTTP; only what vLLM does with a model is faked."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_backends.vllm_server import ServerOptions, ServerRegistry, StartProgress
from llm_backends.vllm_server.hardware import Hardware

FAKE_VLLM = Path(__file__).parent / "fake_vllm"
CPU_ONLY = Hardware(gpus=0)


class Progress:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.lines: list[str] = []

    def __call__(self, progress: StartProgress) -> None:
        self.notes += progress.notes
        self.lines += progress.new_lines


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory to work in, with a registry of its own and the fake in place of vLLM."""
    for name in ("HR_VLLM_PYTHON", "VLLM_API_KEY", "VLLM_BASE_URL", "VLLM_MODEL", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HR_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(FAKE_VLLM))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for record in ServerRegistry().records():  # what a failed test left
        for process in record.living_processes:
            os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """How the servers started from now on misbehave."""
    return lambda modes: monkeypatch.setenv("FAKE_VLLM", modes)


@pytest.fixture
def port() -> int:
    return unused_port()


@pytest.fixture
def options(port: int) -> ServerOptions:
    return ServerOptions(port=port, timeout_s=60.0)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def child_of(log: Path) -> int:
    """The pid of the child that the fake says it started."""
    lines = log.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("child "))


def wait_until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)
