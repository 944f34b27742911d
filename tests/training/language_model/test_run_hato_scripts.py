"""The scripts that run HATO on GSM8K: their settings load, and they prepare data and train."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from easy_task import log_of

from hierarchical_reasoning.training.hato.reading import read_hato_files
from hierarchical_reasoning.training.hato.settings import hato_run
from hierarchical_reasoning.training.language_model.combinations import check_language_model

RUNNERS = Path(__file__).parents[3] / "runner_scripts"
SIZES = ("0.6b", "1.5b", "7b")
SCRIPTS = [RUNNERS / "run_hato.sh", *(RUNNERS / f"run_hato_qwen_{size}.sh" for size in SIZES)]


def ran(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), "--python", sys.executable, *arguments], capture_output=True, text=True, timeout=280
    )


@pytest.mark.parametrize("size", SIZES)
def test_settings_of_every_size_load_and_every_key_is_used(size: str) -> None:
    run = hato_run(read_hato_files(RUNNERS / "hato_config" / size), {}, resume=False)
    assert not [note for note in run.notes if "unused" in note]
    check_language_model(run.config)
    assert size in str(run.config.output_dir)
    assert size in run.config.model_id.lower()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_sound(script: Path) -> None:
    checkers = [["bash", "-n"]] + ([["shellcheck"]] if shutil.which("shellcheck") else [])
    for checker in checkers:
        done = subprocess.run([*checker, str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--processes", "some"], "--processes is 'some'; it must be a number, 1 or more"),
        (["--model"], "--model needs a value"),
    ],
)
def test_bad_options_are_told(arguments: list[str], said: str) -> None:
    done = ran(SCRIPTS[1], *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_size_that_there_is_not_is_told() -> None:
    done = subprocess.run([str(SCRIPTS[0]), "3b"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "the size is '3b'; allowed are 0.6b 1.5b 7b" in done.stderr


def test_data_is_divided_and_a_model_trained(tmp_path: Path, planner_model: Path) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": f"It is so.\n#### {n + 1}"} for n in range(20)]
    (tmp_path / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    done = ran(
        SCRIPTS[1],
        *(
            "--model",
            str(planner_model),
            "--data",
            str(tmp_path),
            "--output_dir",
            str(out),
            "--processes",
            "1",
        ),
        *("--device", "cpu", "--no_bf16", "--report_to", "tensorboard", "--n_rows", "2", "--eval_rows", "2"),
        *("--gen_batch_size", "2", "--batch_size", "2", "--epochs", "1", "--no_filter_groups"),
        *("--branching_factor", "2", "--max_depth", "2", "--max_answer_tokens", "4"),
        *("--max_thought_tokens", "4", "--num_icl_examples", "0"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 problems to train on" in done.stdout
    assert "--n_rows" not in done.stderr
    assert [record["update"] for record in log_of(out)] == [0, 0, 1, 1, 1]
    settings = json.loads((out / "settings.json").read_text())
    assert settings["learning_rate"] == 1e-6
    assert settings["data_file"] == str(tmp_path / "gsm8k_train.jsonl")
    assert list((out / "runs").rglob("events.out.tfevents.*"))
