"""A planner trained while its reasoner is behind a real vLLM server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hierarchical_reasoning.results.records import ResultsFile
from tests.real_vllm.conftest import Server

ROOT = Path(__file__).parents[2]


def test_a_planner_learns_with_a_served_reasoner(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train_model_grpo.py"), "--n_rows", "4", "--batch_size", "4"]
    done = subprocess.run(
        [
            *command,
            *("--gradient_accumulation_steps", "1", "--num_rollouts_per_prompt", "4", "--eval_rows", "4"),
            *("--llm_framework", "vllm", "--vllm_base_url", server.base_url, "--num_icl_examples", "0"),
            *("--reasoning_model_name", server.model, "--output_dir", str(tmp_path / "out"), "--no_cache"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    (update,) = [record for record in records if record["kind"] == "update"]
    assert update["errors"] == 0
    assert update["episodes"] == 16
    assert update["accuracy"] > 0.2, "the served reasoner is the one that solves these problems"
    assert update["groups_without_spread"] == 4 or update["grad_norm"] > 0
    path = tmp_path / "out" / "rollouts" / "update-00001.json"
    written = ResultsFile.model_validate_json(path.read_text())
    thoughts = sum(len(entry.thoughts) for entry in written.results)
    assert update["calls"] == thoughts + len(
        written.results
    )  # one a thought, and one for each final response
