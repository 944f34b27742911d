"""What training on several processes keeps and computes, by real processes (`sharded_run`) against a single one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sharded_run import KEPT_AFTER, STEPS
from tiny_model import save_model

from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.sharding import load_adapter_weights

SCRIPT = Path(__file__).with_name("sharded_run.py")
ROOT = Path(__file__).parents[2]
TIMEOUT = 600
"""Seconds; a busy machine is no failure."""
FILES = ("weights", "adapter", "optimizer")


def run_processes(processes: int, folder: Path, *kinds: str, **environ: str) -> None:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), str(SCRIPT), str(folder), *kinds],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"} | environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes kept, and one."""
    folder = tmp_path_factory.mktemp("sharded")
    save_model(folder / "model", layers=1, width=32, initializer_range=0.1)
    run_processes(2, folder, "ddp", "fsdp2")
    run_processes(1, folder, "single")
    return folder


def difference(left: Path, right: Path) -> float:
    """The largest between tensors of the same name, in all files."""
    largest = 0.0
    for file in FILES:
        ours, theirs = (load_file(folder / f"{file}.safetensors") for folder in (left, right))
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            largest = max(largest, float((tensor.double() - theirs[name].double()).abs().max()))
    return largest


@pytest.mark.parametrize("what", ["full", "lora"])
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_learn_what_one_does(folder: Path, kind: str, what: str) -> None:
    for step in (KEPT_AFTER, STEPS):
        at = f"after_{step}"
        assert difference(folder / kind / what / at, folder / "single" / what / at) < 1e-12


@pytest.mark.parametrize("what", ["full", "lora"])
@pytest.mark.parametrize("kind", ["ddp", "fsdp2", "single"])
def test_going_on_gives_what_an_uninterrupted_run_does(folder: Path, kind: str, what: str) -> None:
    runs = folder / kind / what
    assert difference(runs / f"from_{kind}", runs / f"after_{STEPS}") == 0
    assert difference(runs / f"after_{KEPT_AFTER}", runs / f"after_{STEPS}") > 1e-4


@pytest.mark.parametrize("what", ["full", "lora"])
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_one_process_goes_on_from_what_two_kept(folder: Path, kind: str, what: str) -> None:
    runs = folder / "single" / what
    assert difference(runs / f"from_{kind}", runs / f"after_{STEPS}") < 1e-12


@pytest.mark.parametrize("kind", ["ddp", "fsdp2", "single"])
def test_merged_weights_are_those_that_peft_merges(folder: Path, kind: str) -> None:
    kept = folder / kind / "lora" / f"after_{KEPT_AFTER}"
    ours, theirs = (load_file(kept / f"{name}.safetensors") for name in ("weights", "merged"))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-12)


def test_weights_have_plain_names_and_keep_ties(folder: Path) -> None:
    plain = load_file(folder / "model" / "model.safetensors")
    plain["lm_head.weight"] = plain["model.embed_tokens.weight"]
    weights = load_file(folder / "fsdp2" / "full" / f"after_{STEPS}" / "weights.safetensors")
    assert {name: tensor.shape for name, tensor in weights.items()} == {
        name: tensor.shape for name, tensor in plain.items()
    }
    assert torch.equal(weights["lm_head.weight"], weights["model.embed_tokens.weight"])


def test_lora_weights_of_another_model_are_refused() -> None:
    model = torch.nn.Linear(2, 2)
    load_adapter_weights(model, {"weight": torch.zeros(2, 2), "bias": torch.ones(2)})
    assert model.bias.tolist() == [1, 1]
    with pytest.raises(TrainingError, match=r"bias, weight are missing.*--lora_r"):
        load_adapter_weights(model, {"weight": torch.zeros(1, 2)})


def test_processes_hear_each_other(folder: Path) -> None:
    for rank in (0, 1):
        assert json.loads((folder / f"heard_by_{rank}.json").read_text()) == {
            "sum": [2.0, 2.0**41 + 1],
            "any": True,
            "none": False,
            "objects": [{"rank": 0}, {"rank": 1}, {"rank": 1}],
        }


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="needs deepspeed")
@pytest.mark.parametrize("kind", ["zero1", "zero2", "zero3", "zero2_bf16", "zero3_bf16"])
def test_deepspeed(folder: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "model").symlink_to(folder / "model")
    run_processes(2, tmp_path, kind, DS_ACCELERATOR="cpu")
    for what in ("full", "lora"):
        runs = tmp_path / kind / what
        end = f"after_{STEPS}"
        assert difference(runs / f"from_{kind}", runs / end) == 0
        if not kind.endswith("bf16"):
            assert difference(runs / end, folder / "single" / what / end) < 1e-5
