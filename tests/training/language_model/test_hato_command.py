"""``train hato`` from the command line to a model: what its files say reaches the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from easy_task import log_of
from fake_reasoner import problems_file

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.training.hato.settings import goes_on


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", "hato", *arguments])


def said(result: Result) -> str:
    return " ".join(result.output.split())


def config_dir(folder: Path, out: Path, **sections: dict[str, Any]) -> Path:
    """Files for one update on two problems."""
    contents: dict[str, dict[str, Any]] = {
        "model_config.yaml": {"model": {"max_length": 1500, **sections.get("model", {})}},
        "training_config.yaml": {
            "trainer": {"total_epochs": 1, "output_dir": str(out), "logger": "none", **sections.get("trainer", {})},
            "resource": {"actor_worker_use_gpu": False, "n_actor_worker": 4},
            "data": {"gen_batch_size": 2, "train_batch_size": 1},
        },
        "hato_config.yaml": {
            "hato": {
                "tree": {"max_depth": 2, "branching_factor": 2, "search_algorithm": "dfs"},
                "reward_weights": {"alpha": 0.2},
                "metrics": {"track_novelty": True, "track_robustness": False},
            }
        },
    }  # fmt: skip
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_text(yaml.safe_dump(content))
    return folder


def small(tmp_path: Path) -> list[str]:
    return [
        *("--data_file", str(problems_file(tmp_path, 4)), "--n_rows", "2", "--eval_rows", "0"),
        *("--max_thought_tokens", "4", "--max_answer_tokens", "4", "--num_icl_examples", "0"),
    ]


@pytest.mark.model
def test_one_update_of_the_bundled_model(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = config_dir(tmp_path / "config", out)
    result = called(
        *("--config", str(folder), "--n_rows", "2", "--eval_rows", "2"),
        *("--no_filter_groups", "--seed", "1"),
    )
    assert result.exit_code == 0, result.output
    assert (
        "note: training_config.yaml: resource.n_actor_worker: 4: unused, since processes are those"
        in said(result)
    )
    settings = json.loads((out / "settings.json").read_text())
    expected = {
        "explorer": "search_tree", "credit": "hierarchical", "objective": "dapo", "preset": "bundled",
        "branching_factor": 2, "reward_alpha": 0.2, "reward_beta": 0.9, "max_length": 1500, "device": "cpu",
        "gen_batch_size": 2, "batch_size": 1, "track_novelty": True, "track_robustness": False,
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected
    (update,) = [record for record in log_of(out) if record["kind"] == "update"]
    assert update["groups"] == 2
    assert 0 < update["metrics"]["novelty"] <= 1
    assert 0 < update["metrics"]["diversity"] <= 1
    assert {"solved", "node_reward", "path_reward"} <= update["metrics"].keys()
    assert "robustness" not in update["metrics"]
    assert (out / "last" / "config.json").is_file()


def test_a_misspelt_key_ends_the_command(tmp_path: Path) -> None:
    folder = config_dir(tmp_path / "config", tmp_path / "out", trainer={"tset_freq": 5})
    result = called("--config", str(folder))
    assert result.exit_code == 2
    assert "there is no key 'trainer.tset_freq'; did you mean 'trainer.test_freq'" in said(result)
    assert not (tmp_path / "out").exists()


def test_it_measures_alone(tmp_path: Path, planner_model: Path) -> None:
    out = tmp_path / "out"
    folder = config_dir(
        tmp_path / "config", out, trainer={"val_only": True}, model={"name": str(planner_model)}
    )
    arguments = [*small(tmp_path), "--eval_rows", "2"]
    result = called("--config", str(folder), *arguments)
    assert result.exit_code == 0, result.output
    assert "--val_only: nothing is trained" in said(result)
    assert [(record["kind"], record["update"]) for record in log_of(out)] == [("evaluation", 0)] * 2
    assert not list(out.glob("update-*"))
    result = called("--config", str(folder), *arguments, "--eval_rows", "0", "--resume")
    assert result.exit_code == 2
    assert "--val_only measures with held-out problems, and --eval_rows is 0" in said(result)


def test_nothing_is_measured_before_where_that_is_not_wanted(tmp_path: Path, planner_model: Path) -> None:
    out = tmp_path / "out"
    folder = config_dir(
        tmp_path / "config", out, trainer={"val_before_train": False}, model={"name": str(planner_model)}
    )
    result = called("--config", str(folder), *small(tmp_path), "--eval_rows", "2")
    assert result.exit_code == 0, result.output
    assert {record["update"] for record in log_of(out)} == {1}
    assert (out / "best").is_dir()


def test_a_checkpoint_is_gone_on_from_or_begun_with(tmp_path: Path, planner_model: Path) -> None:
    out, arguments = tmp_path / "out", [*small(tmp_path), "--temperature_decay", "0"]
    name = {"name": str(planner_model)}
    first = config_dir(tmp_path / "first", out, model=name, trainer={"save_freq": 1})
    result = called("--config", str(first), *arguments, "--epochs", "2", "--save_total_limit", "2")
    assert result.exit_code == 0, result.output

    trainer = {"save_freq": 1, "checkpoint_path": str(out / "last")}
    second = config_dir(tmp_path / "second", out, model=name, trainer=trainer)
    result = called("--config", str(second), *arguments, "--epochs", "3", "--save_total_limit", "2")
    assert result.exit_code == 0, result.output
    assert "trainer.checkpoint_path: the run goes on from" in said(result)
    assert [record["update"] for record in log_of(out) if record["kind"] == "update"] == [1, 2, 3]

    earlier = {"checkpoint_path": str(out / "update-2")}
    third = config_dir(tmp_path / "third", out, model=name, trainer=earlier)
    result = called("--config", str(third), *arguments)
    assert result.exit_code == 2
    assert "is not the newest checkpoint in" in said(result)

    other = tmp_path / "other"
    fourth = config_dir(tmp_path / "fourth", other, model=name, trainer=earlier)
    result = called("--config", str(fourth), *arguments)
    assert result.exit_code == 0, result.output
    assert f"begins with the weights of {out / 'update-2'}, not of {planner_model}" in said(result)
    assert json.loads((other / "settings.json").read_text())["model_id"] == str(out / "update-2")


def test_a_checkpoint_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not goes_on(tmp_path, tmp_path / "elsewhere")
    folder = config_dir(
        tmp_path / "config", tmp_path / "out", trainer={"checkpoint_path": str(tmp_path / "no")}
    )
    result = called("--config", str(folder))
    assert result.exit_code == 2
    assert "is no checkpoint: it has no config.json; give a folder such as OUTPUT_DIR/last" in said(result)


def test_weights_and_biases_is_told_without_a_network(tmp_path: Path, planner_model: Path) -> None:
    out = tmp_path / "out"
    folder = config_dir(
        tmp_path / "config",
        out,
        model={"name": str(planner_model)},
        trainer={"logger": "wandb", "project_name": "a-project", "experiment_name": "a-run"},
    )
    code = "from hierarchical_reasoning.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "hato", "--config", str(folder), *small(tmp_path)],
        capture_output=True, text=True, cwd=tmp_path, timeout=200,
        env={name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        | {"WANDB_MODE": "offline", "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (kept,) = (out / "wandb").glob("offline-run-*/run-*.wandb")
    told = kept.read_bytes()
    assert b"a-project" in told
    assert b"a-run" in told
    assert b"trees/diversity" in told
    assert not (tmp_path / "wandb").exists()
