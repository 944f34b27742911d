"""Training that is killed, asked to stop, or has no room left: what is kept, and that it ends all the same."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killing import asked, driver
from served_reasoner import reply
from test_processes import log_of
from training_kill_driver import config_of, session

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.training.checkpoints import Checkpoints
from llm_backends.scripted_server import ScriptedServer

ROOT = Path(__file__).parents[2]
KILLS = 10
IN_FLIGHT = 8


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with ScriptedServer(reply, first_s=0.002) as server:
        yield server


def questions(server: ScriptedServer, first: int = 0) -> Counter[str]:
    return Counter(map(asked, server.calls[first:]))


def unpaid(folder: Path) -> list[dict[str, Any]]:
    """The log without what was paid for: a reply that the cache gave is not."""
    return [
        {key: value for key, value in record.items() if key not in ("calls", "cost_usd")}
        for record in log_of(folder)
    ]


def traces(folder: Path) -> dict[str, Any]:
    """The episodes of all updates, without what differs from day to day."""
    times = ("seconds", "usage")
    found = {}
    for path in sorted((folder / "rollouts").iterdir()):
        entries = json.loads(path.read_text())["results"]
        found[path.name] = [
            {key: value for key, value in entry.items() if key not in times} | {"steps": len(entry["steps"])}
            for entry in entries
        ]
    return found


def test_kills_change_nothing_and_nothing_received_is_asked_again(
    tmp_path: Path, planner_model: Path, server: ScriptedServer
) -> None:
    whole = tmp_path / "whole"
    assert _sessions(whole, planner_model, server, kills=0) == 0
    expected, before = questions(server), len(server.calls)
    killed = tmp_path / "killed"
    assert _sessions(killed, planner_model, server, kills=KILLS) >= KILLS // 2
    assert unpaid(killed / "out") == unpaid(whole / "out")
    assert traces(killed / "out") == traces(whole / "out")
    for name in ("last", "best"):
        ours, theirs = (folder / "out" / name for folder in (whole, killed))
        assert ours.resolve().name == theirs.resolve().name
        for file in ("model.safetensors", "training_state/optimizer.safetensors"):
            assert (ours / file).read_bytes() == (theirs / file).read_bytes()
    again = questions(server, before)
    assert again.keys() == expected.keys()
    in_vain = sum(again.values()) - sum(expected.values())
    assert 0 <= in_vain <= KILLS * IN_FLIGHT  # those in flight at a kill, and no others


def _sessions(directory: Path, planner_model: Path, server: ScriptedServer, *, kills: int) -> int:
    """One run in as many sessions as it takes, the first ones killed; returns how many were."""
    rng = random.Random(0)
    script = Path(__file__).with_name("training_kill_driver.py")
    with driver(script, str(directory), str(planner_model), server.base_url) as running:
        killed = 0
        for _ in range(10 * KILLS):
            kill_when = None if killed == kills else lambda process: time.sleep(rng.uniform(0.2, 2.0))
            status = running.session(kill_when=kill_when)
            if status == 0:
                break
            assert status == -signal.SIGKILL
            killed += 1
        assert status == 0
    return killed


def command(tmp_path: Path, planner_model: Path, server: ScriptedServer, *more: str) -> list[str]:
    settings = config_of(tmp_path, planner_model, server.base_url)
    return [
        *(sys.executable, str(ROOT / "train_model_grpo.py"), "--data_file", str(settings.data_file)),
        *("--eval_file", str(settings.eval_file), "--eval_rows", "6", "--n_rows", "8", "--label_level", "1"),
        *("--planner_model_name", str(planner_model), "--reasoning_model_name", "scripted"),
        *("--llm_framework", "openai", "--base_url", server.base_url, "--num_icl_examples", "0"),
        *("--max_steps_per_episode", "3", "--num_rollouts_per_prompt", "4", "--batch_size", "2"),
        *("--gradient_accumulation_steps", "2", "--learning_rate", "3e-3", "--epochs", "30"),
        *("--output_dir", str(tmp_path / "out"), "--cache_dir", str(tmp_path / "cache"), *more),
    ]


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, "interrupted; update"), (signal.SIGUSR1, 75, "stopped by SIGUSR1; update")],
)
def test_asked_to_stop_it_finishes_its_update_and_makes_a_checkpoint(
    tmp_path: Path,
    planner_model: Path,
    server: ScriptedServer,
    number: signal.Signals,
    status: int,
    said: str,
) -> None:
    with subprocess.Popen(
        command(tmp_path, planner_model, server, "--save_every", "1000", "--eval_every", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("update 1 "):
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == status, out + err
    assert said in err
    assert "Traceback" not in err
    last = tmp_path / "out" / "last"
    assert f"go on from {last.resolve()} with --resume" in err
    assert (tmp_path / "out" / "resume_requested").exists() == (number is signal.SIGUSR1)
    done = int(last.resolve().name.removeprefix("update-"))
    assert done >= 1
    again = subprocess.run(
        [*command(tmp_path, planner_model, server, "--resume"), "--epochs", str(done // 2 + 1)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    assert f"going on from {last.resolve().parent}/update-{done}" in again.stdout
    assert not (tmp_path / "out" / "resume_requested").exists()
    numbers = [r["update"] for r in log_of(tmp_path / "out") if r["kind"] == "update"]
    assert numbers == list(range(1, 2 * (done // 2 + 1) + 1))


def test_two_runs_do_not_write_to_one_directory(
    tmp_path: Path, planner_model: Path, server: ScriptedServer
) -> None:
    running = command(tmp_path, planner_model, server)
    with subprocess.Popen(running, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("update 1 "):
                break
        second = subprocess.run([*running, "--resume"], capture_output=True, text=True, check=False)
        first.kill()
    assert second.returncode == 2
    assert f"another process is training in {tmp_path / 'out'}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_full_disk_leaves_earlier_checkpoints_whole(
    tmp_path: Path, planner_model: Path, server: ScriptedServer
) -> None:
    settings = config_of(tmp_path, planner_model, server.base_url, epochs=1, no_cache=True)
    session(settings)
    size = (tmp_path / "out" / "last" / "model.safetensors").stat().st_size
    more = settings.model_copy(update={"epochs": 2})
    with pytest.raises(OutputError, match=r"checkpoint .*update-3 cannot be written .*go on with --resume"):
        _with_files_of_at_most(size // 2, more)
    assert set(Checkpoints(tmp_path / "out").finished()) <= {1, 2}
    assert (tmp_path / "out" / "last").resolve().name == "update-2"
    assert not [path for path in (tmp_path / "out").iterdir() if "update-3" in path.name]
    session(more)
    assert (tmp_path / "out" / "last").resolve().name == "update-4"


def _with_files_of_at_most(size: int, settings: Any) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        session(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
