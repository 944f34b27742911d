"""Training whose rollouts come from a vLLM server: what it draws, with which weights, and what is said where it cannot.

The server speaks vLLM's protocol over HTTP and draws with the engine of this project, so that a run must be the very
one that acts in its own process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from easy_task import TREES, config, log_of, parts, train
from served_model import ServedModel, running

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.language_model.parts import assemble_language_model
from hierarchical_reasoning.training.language_model.vllm_weights import OwnServer, Serving
from hierarchical_reasoning.training.log import Record, UpdateRecord
from hierarchical_reasoning.training.sharding.launch import Launch
from hierarchical_reasoning.training.trainer import Trained
from llm_backends import UnsupportedError
from llm_backends.vllm_server import ServerRegistry

ROOT = Path(__file__).parents[3]
FAKE_VLLM = ROOT / "tests" / "vllm_server" / "fake_vllm"
WEIGHTS = "model.safetensors"
OF_ENGINES = {"llm_framework", "acting_gap", "notes"}
"""What may differ in a log."""


def run(
    folder: Path, model: Path, *, resume: bool = False, stop: bool = False, **settings: Any
) -> tuple[Trained, list[Record]]:
    made = parts(folder, model, {"learning_rate": 1e-2, "eval_every": 1, **settings})
    return train(made, resume=resume, stop_requested=lambda: int(stop))


def rollouts(folder: Path) -> list[bytes]:
    found = [path.read_bytes() for path in sorted((folder / "out" / "rollouts").glob("*-trees.jsonl"))]
    assert found
    return found


@pytest.mark.parametrize(
    "settings", [{}, TREES | {"credit": "descendant_mean"}, {"lora_r": 4}], ids=["linear", "tree", "lora"]
)
def test_a_served_run_is_the_local_one(tmp_path: Path, planner_model: Path, settings: dict[str, Any]) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    local, _ = run(here, planner_model, **settings)
    with running(ServedModel(str(planner_model))) as server:
        served, records = run(there, planner_model, vllm_base_url=server.base_url, **settings)
    assert server.reloads == 3  # at the start, and once for each update, however often it acts
    for ours, theirs in zip(rollouts(here), rollouts(there), strict=True):
        assert [[node["tokens"] for node in json.loads(line)["nodes"]] for line in ours.splitlines()] == [
            [node["tokens"] for node in json.loads(line)["nodes"]] for line in theirs.splitlines()
        ]
    assert (local.last / WEIGHTS).read_bytes() == (served.last / WEIGHTS).read_bytes()
    updates = [record for record in records if isinstance(record, UpdateRecord)]
    assert max(record.acting_gap for record in updates) < 1e-4, "it draws from the newest weights"
    assert not (there / "out" / "acting_model").exists()


def test_a_resumed_run_goes_on_with_its_weights(tmp_path: Path, planner_model: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    with running(ServedModel(str(planner_model))) as server:
        at_once, _ = run(here, planner_model, vllm_base_url=server.base_url)
        run(there, planner_model, stop=True, vllm_base_url=server.base_url)
    with running(ServedModel(str(planner_model))) as another:
        resumed, _ = run(there, planner_model, resume=True, vllm_base_url=another.base_url)
    assert (at_once.last / WEIGHTS).read_bytes() == (resumed.last / WEIGHTS).read_bytes()
    assert log_of(here / "out") == log_of(there / "out")
    with pytest.raises(ConfigError, match=r"other settings.*llm_framework"):
        run(there, planner_model, resume=True)


def test_a_server_that_keeps_its_weights_is_never_trained_with(tmp_path: Path, planner_model: Path) -> None:
    with (
        running(ServedModel(str(planner_model), keeps=True)) as server,
        pytest.raises(UnsupportedError, match="does not draw from the weights that it was given"),
    ):
        run(tmp_path, planner_model, vllm_base_url=server.base_url, learning_rate=0.3, eval_rows=0)


@pytest.mark.parametrize(
    ("server", "error", "expected"),
    [
        ({"develops": False}, UnsupportedError, "start it with VLLM_SERVER_DEV_MODE=1"),
        ({"names": ("a", "b")}, ConfigError, "serves 'a', 'b', and which of them is --model_id"),
    ],
    ids=["takes-no-weights", "several-models"],
)
def test_a_server_that_cannot_serve_this_is_refused(
    tmp_path: Path, planner_model: Path, server: dict[str, Any], error: type[Exception], expected: str
) -> None:
    with running(ServedModel(str(planner_model), **server)) as found, pytest.raises(error, match=expected):
        run(tmp_path, planner_model, vllm_base_url=found.base_url)


def test_a_server_that_is_gone_ends_the_run_with_where_to_go_on(tmp_path: Path, planner_model: Path) -> None:
    settings = {"eval_rows": 0, "save_every": 1, "max_retries": 0, "num_rollouts_per_prompt": 2}
    where = r"go on from it with --resume\. ServerError: .*engine is gone"
    # It answers 2 probes, and the 8 rollouts of update 1.
    with (
        running(ServedModel(str(planner_model), dies_after=12)) as server,
        pytest.raises(TrainingError, match=where),
    ):
        run(tmp_path, planner_model, vllm_base_url=server.base_url, **settings)
    with running(ServedModel(str(planner_model))) as back:
        trained, _ = run(tmp_path, planner_model, resume=True, vllm_base_url=back.base_url, **settings)
    assert trained.updates == 2


@pytest.fixture
def own_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerRegistry:
    """What is started as vLLM serves a real model."""
    paths = os.pathsep.join(map(str, (FAKE_VLLM, ROOT, Path(__file__).parent)))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{paths}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("HR_VLLM_PYTHON", str(python))
    monkeypatch.setenv("FAKE_VLLM", "model")
    monkeypatch.setenv("HR_STATE_DIR", str(tmp_path / "state"))
    for name in ("VLLM_BASE_URL", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return ServerRegistry()


def test_a_server_of_ours_is_started_with_each_updates_weights(
    tmp_path: Path, planner_model: Path, own_vllm: ServerRegistry
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    settings = {"eval_rows": 0, "objective": "grpo"}
    local, _ = run(here, planner_model, **settings)
    served, records = run(there, planner_model, vllm_auto_start=True, **settings)
    assert (local.last / WEIGHTS).read_bytes() == (served.last / WEIGHTS).read_bytes()
    notes = [note for record in records for note in record.notes]
    assert len(notes) == 1, "once, though it is started twice"
    assert notes[0].startswith("the vLLM server is started anew for each update: on a CPU")
    assert own_vllm.records() == ()
    assert len(list((there / "out" / "vllm_logs").iterdir())) == 2


def test_a_server_of_ours_that_dies_is_told_with_its_log(
    tmp_path: Path, planner_model: Path, own_vllm: ServerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed once it answers, before the first rollout."""
    made = parts(tmp_path, planner_model, {"vllm_auto_start": True, "eval_rows": 0, "max_retries": 2})
    taken = OwnServer.take

    async def killed(server: OwnServer, *arguments: Any) -> Serving:
        serving = await taken(server, *arguments)
        for process in own_vllm.records()[0].living_processes:
            os.kill(process.pid, signal.SIGKILL)
        return serving

    monkeypatch.setattr(OwnServer, "take", killed)
    told = r"no checkpoint yet\. EngineDiedError: .*(?s:its log .*serving acting_model)"
    with pytest.raises(TrainingError, match=told):
        train(made)
    assert own_vllm.records() == ()


def test_interrupted_while_it_starts_a_server_it_leaves_none(
    tmp_path: Path, planner_model: Path, own_vllm: ServerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM", "slow child")
    code = "from hierarchical_reasoning.cli.main import main; main()"
    data = config(tmp_path, planner_model, {}).data_file
    with subprocess.Popen(
        [
            *(
                sys.executable,
                "-c",
                code,
                "train",
                "run",
                "--vllm_auto_start",
                "--model_id",
                str(planner_model),
            ),
            *("--data_file", str(data), "--n_rows", "4", "--output_dir", str(tmp_path / "out")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(
            lambda: (
                process.poll() is not None
                or any(len(record.living_processes) > 1 for record in own_vllm.records())
            )
        )
        (record,) = own_vllm.records()
        process.send_signal(signal.SIGINT)
        time.sleep(1.5)  # what comes sooner is taken for the same one
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert "vLLM is starting" in out
    assert not record.living_processes
    assert own_vllm.records() == ()


def wait_for(condition: Callable[[], bool], timeout_s: float = 240.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.1)


def test_several_processes_are_refused(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"llm_framework": "vllm"})
    with pytest.raises(
        ConfigError, match="--llm_framework vllm serves one process that trains, and 2 were started"
    ):
        train(made, launch=Launch(2, 0, "cpu"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"llm_framework": "openai"}, "--llm_framework openai: the model in training acts in this process"),
        (
            {"llm_framework": "local", "vllm_auto_start": True},
            "--vllm_auto_start goes with --llm_framework vllm",
        ),
        ({"vllm_base_url": "http://127.0.0.1:1/v1", "vllm_auto_start": True}, "leave out the address"),
        ({"llm_framework": "vllm", "vllm_gpus": "0"}, "--vllm_gpus is about the server of --vllm_auto_start"),
    ],
)
def test_flags_that_contradict_are_refused(
    tmp_path: Path, planner_model: Path, settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        parts(tmp_path, planner_model, settings)


def test_an_address_of_a_server_means_vllm(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"vllm_base_url": "http://127.0.0.1:1/v1"})
    assert made.config.framework == "vllm"
    assert made.results_head().config["llm_framework"] == "vllm"
    noted = parts(
        tmp_path, planner_model, {"llm_framework": "local", "vllm_base_url": "http://127.0.0.1:1/v1"}
    )
    assert any("--vllm_base_url http://127.0.0.1:1/v1 has no effect" in note for note in noted.notes)
    assert (
        assemble_language_model(made.config.model_copy(update={"gpu_memory_utilization": 0.5}))
        .notes[0]
        .startswith("--gpu_memory_utilization 0.5 has no effect")
    )
