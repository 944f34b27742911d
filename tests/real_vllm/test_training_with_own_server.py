"""A language model trained on rollouts of a real vLLM server that the run starts, and starts anew with new weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
import transformers

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.trees.file import TreeFile
from llm_backends.vllm_server import ServerRegistry
from llm_backends.vllm_server.registry import state_directory

COMMAND = [sys.executable, "-c", "from hierarchical_reasoning.cli.main import main; main()"]


@torch.no_grad()
def gap(model: Path, trees: Path) -> float:
    """Mean |log p| of the tokens of rollouts, as the server told them less as a model has them."""
    module = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    gaps = []
    for placed in TreeFile(trees):
        tree = placed.tree
        n_prompt = len(tree.node(tree.root).tokens)
        for leaf in tree.leaves():
            path = torch.tensor([tree.path_tokens(leaf)])
            log_probs = module(path).logits[0, n_prompt - 1 : -1].log_softmax(-1)
            ours = log_probs.gather(1, path[0, n_prompt:, None]).squeeze(1)
            gaps.append((ours - torch.tensor(tree.node(leaf).log_probs)).abs())
    return float(torch.cat(gaps).mean())


def test_each_update_is_drawn_from_the_weights_of_the_one_before(tmp_path: Path) -> None:
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    environment = os.environ | environment | {"HR_STATE_DIR": str(tmp_path / "state")}
    environment.pop("VLLM_BASE_URL", None)
    out = tmp_path / "out"
    done = subprocess.run(
        [
            *(
                *COMMAND,
                "train",
                "run",
                "--vllm_auto_start",
                "--objective",
                "hapo",
                "--learning_rate",
                "1e-3",
            ),
            *("--n_rows", "4", "--batch_size", "2", "--num_rollouts_per_prompt", "4", "--eval_rows", "0"),
            *("--save_every", "1", "--save_total_limit", "2", "--output_dir", str(out)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("note: the vLLM server is started anew for each update: on a CPU") == 1
    assert ServerRegistry(state_directory(environment)).records() == (), "it is stopped with the run"
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [record["update"] for record in records] == [1, 2]
    assert records[0]["grad_norm"] > 0, "else its weights are the old ones"
    first, second = (out / "rollouts" / f"update-0000{number}-trees.jsonl" for number in (1, 2))
    assert gap(MODEL, first) < 1e-3
    assert gap(out / "update-1", second) < 1e-3
    assert gap(MODEL, second) > 1e-2
