"""Two processes learn what one does: real torchrun, gloo, on this machine's CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_reasoner import parts, reasoner, train
from safetensors.torch import load_file

DRIVER = Path(__file__).with_name("ddp_run.py")


def on_two(tmp_path: Path, planner_model: Path, settings: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
            *("--master_addr", "127.0.0.1", "--master_port", str(port)),
            *(str(DRIVER), str(tmp_path), str(planner_model), json.dumps(settings)),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{DRIVER.parents[2]}:{DRIVER.parent}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def log_of(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if not k.endswith(("seconds", "bytes"))} for record in records]


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 2, "batch_size": 2, "gradient_accumulation_steps": 2},
        # 3 problems an update for 2 processes, 8 in all: one process has less to do, or nothing.
        {"epochs": 1, "batch_size": 3, "gradient_accumulation_steps": 1, "tokens_per_pass": 1000},
        {"epochs": 1, "lora_r": 4, "kl_reference": "start", "learning_rate": 1e-2},
    ],
    ids=["even", "uneven", "lora"],
)
def test_two_processes_learn_what_one_does(
    tmp_path: Path, planner_model: Path, settings: dict[str, Any]
) -> None:
    settings = settings | {"eval_rows": 5, "eval_every": 1}
    one, two = tmp_path / "one", tmp_path / "two"
    train(parts(tmp_path, planner_model, settings | {"output_dir": one}), reasoner())
    on_two(tmp_path, planner_model, settings | {"output_dir": str(two)})
    for name in ("model.safetensors", "training_state/optimizer.safetensors"):
        ours, theirs = load_file(one / "last" / name), load_file(two / "last" / name)
        assert ours.keys() == theirs.keys()
        for key, tensor in ours.items():
            torch.testing.assert_close(tensor, theirs[key], rtol=1e-4, atol=1e-4)
    for alone, together in zip(log_of(one), log_of(two), strict=True):
        counts = {key: value for key, value in alone.items() if not isinstance(value, float)}
        assert {key: together[key] for key in counts} == counts
        measures = {key: value for key, value in alone.items() if isinstance(value, float)}
        assert {key: together[key] for key in measures} == pytest.approx(measures, rel=1e-2, abs=1e-4)
    written = sorted(path.name for path in (two / "rollouts").iterdir())
    assert "update-00001-rank0.json" in written
    assert "update-00001-rank1.json" in written
