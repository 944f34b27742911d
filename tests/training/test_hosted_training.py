"""The command, with a reasoner behind a real server: to its end, and with the server gone half-way."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fake_reasoner import problems_file
from served_reasoner import reply

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.training.planner import patience
from llm_backends.scripted_server import Call, Reply, ScriptedServer, Status


def grpo(tmp_path: Path, planner_model: Path, server: ScriptedServer, *more: str) -> Result:
    return CliRunner().invoke(
        main,
        [
            *("train", "grpo", "--data_file", str(problems_file(tmp_path, 8)), "--n_rows", "6"),
            *("--eval_rows", "2", "--label_level", "1", "--max_steps_per_episode", "3"),
            *("--planner_model_name", str(planner_model), "--num_icl_examples", "0", "--epochs", "1"),
            *("--batch_size", "2", "--gradient_accumulation_steps", "1", "--num_rollouts_per_prompt", "4"),
            *("--llm_framework", "vllm", "--vllm_base_url", server.base_url, "--max_retries", "0"),
            *("--reasoning_model_name", "scripted", "--save_every", "1", "--eval_every", "0"),
            *("--output_dir", str(tmp_path / "out"), "--cache_dir", str(tmp_path / "cache"), *more),
        ],
    )


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out" / "rollouts").iterdir())


def test_a_planner_is_trained_with_a_served_reasoner(tmp_path: Path, planner_model: Path) -> None:
    with ScriptedServer(reply, dialect="vllm") as server:
        done = grpo(tmp_path, planner_model, server, "--no_cache")
    assert done.exit_code == 0, done.output
    assert "reasoner scripted (vllm)" in done.output
    of_updates = [f"update-0000{number}.json" for number in (1, 2, 3)]
    evaluations = [f"evaluation-0000{n}-{mode}.json" for n in (0, 3) for mode in ("greedy", "sampled")]
    assert files(tmp_path) == [*evaluations, *of_updates]
    shown = CliRunner().invoke(
        main, ["results", *(str(tmp_path / "out" / "rollouts" / n) for n in of_updates)]
    )
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("scripted") >= 3


def test_with_the_server_gone_the_run_stops_and_goes_on_later(
    tmp_path: Path, planner_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.05)
    gone = False

    def dying(call: Call) -> Reply | Status:
        nonlocal gone
        gone = gone or (tmp_path / "out" / "rollouts" / "update-00002.json").exists()
        return Status(503, "the machine is being taken away") if gone else reply(call)

    with ScriptedServer(dying, dialect="vllm") as server:
        stopped = grpo(tmp_path, planner_model, server, "--reasoner_patience", "0.3")
    assert stopped.exit_code == 1
    assert "the machine is being taken away" in stopped.output
    assert "--reasoner_patience is 0.3" in stopped.output
    assert "tried again in" in stopped.output
    assert "--resume" in stopped.output
    assert "Traceback" not in stopped.output
    with ScriptedServer(reply, dialect="vllm") as server:
        resumed = grpo(tmp_path, planner_model, server, "--resume")
        asked = len(server.calls)
    assert resumed.exit_code == 0, resumed.output
    assert "going on from" in resumed.output
    assert files(tmp_path)[-3:] == [f"update-0000{number}.json" for number in (1, 2, 3)]
    assert 0 < asked < 4 * 8 * 3
