"""Whole runs through the command: what is written, that a resumed run ends as one that was never interrupted, and that
what was learned can be taken up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.values import Place
from hierarchical_reasoning.values.encoders import HashedWords
from hierarchical_reasoning.values.learned import LearnedValue

HEAD = [
    *("--parameters", "head", "--encoder", "words", "--n_train", "4", "--n_support", "4", "--n_test", "3"),
    *("--num_rollouts_per_prompt", "2", "--max_new_tokens", "160", "--batch_size", "2", "--n_models", "2"),
    *("--families", "equation", "story", "--adaptation_steps", "0", "2", "--device", "cpu"),
]
ADAPTER = [
    *("--learn_from", "solutions", "--n_train", "4", "--n_support", "2", "--n_test", "2"),
    *("--batch_size", "2", "--max_new_tokens", "160", "--adaptation_steps", "0", "1", "--device", "cpu"),
    *("--families", "comparison", "unit_price", "--n_inner_steps", "2", "--meta_steps", "1"),
]


def train_meta(output_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", "meta", *arguments, "--output_dir", str(output_dir)])


def results_of(output_dir: Path) -> dict[str, Any]:
    found = json.loads((output_dir / "results.json").read_text())
    for name in ("seconds", "config", "versions"):
        del found[name]
    return found


@pytest.fixture(scope="module")
def head_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over three outer steps that nothing interrupted."""
    folder = tmp_path_factory.mktemp("meta") / "whole"
    done = train_meta(folder, *HEAD, "--meta_steps", "3", "--save_every", "2")
    assert done.exit_code == 0, done.output
    assert "outer step 3 of 3" in done.output
    assert "meta start, 2 steps on the unseen family" in done.output
    return folder


@pytest.mark.model
def test_results_have_every_start_after_every_step(head_run: Path) -> None:
    found = results_of(head_run)
    assert found["kind"] == "meta_learning"
    assert found["unseen"] == "ratio"
    assert found["families"]["equation"] == {"problems": 4, "learned_from": 4}
    places = [(row["start"], row["k"]) for row in found["rows"]]
    assert places == [(start, k) for start in ("plain", "joint", "meta") for k in (0, 2)]
    for row in found["rows"]:
        assert row["low"] <= row["accuracy"] == row["correct"] / row["n"] <= row["high"]
    assert len({row["loss"] for row in found["rows"]}) == 6
    assert all(row["auc"] is None or 0 <= row["auc"] <= 1 for row in found["rows"])
    log = [json.loads(line) for line in (head_run / "log.jsonl").read_text().splitlines()]
    assert [record["update"] for record in log] == [1, 2, 3]
    assert all(record["after"] < record["before"] for record in log)


@pytest.mark.model
def test_a_resumed_run_ends_as_one_that_was_never_interrupted(head_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "resumed"
    assert train_meta(folder, *HEAD, "--meta_steps", "2", "--save_every", "1").exit_code == 0
    done = train_meta(folder, *HEAD, "--meta_steps", "3", "--resume")
    assert done.exit_code == 0, done.output
    assert "outer step 1 of" not in done.output
    assert results_of(folder) == results_of(head_run)
    for name in ("adapter.safetensors", "optimizer.safetensors"):
        ours, theirs = (load_file(each / "last" / "training_state" / name) for each in (folder, head_run))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.model
def test_a_run_with_other_settings_is_not_resumed(head_run: Path) -> None:
    done = train_meta(head_run, *HEAD, "--resume", "--inner_lr", "0.5")
    assert done.exit_code == 2
    assert "inner_lr" in done.output
    fewer = train_meta(head_run, *HEAD, "--resume", "--meta_steps", "2")
    assert fewer.exit_code == 2
    assert "has made 3 already" in fewer.output
    again = train_meta(head_run, *HEAD)
    assert again.exit_code == 2
    assert "--resume" in again.output


@pytest.mark.model
async def test_the_head_can_be_taken_up(head_run: Path) -> None:
    from hierarchical_reasoning.problems import Problem

    head = await LearnedValue.load(head_run / "last", HashedWords())
    place = Place(Problem("p", "What is 12 + 30?", None, None, {}), ("12 + 30 = 42.",))
    assert head.is_trained
    before = (await head.estimate([place]))[0]
    tensors = load_file(head_run / "last" / "training_state" / "adapter.safetensors")
    networks = head._head.networks  # type: ignore[union-attr]
    for name, tensor in networks.named_parameters():
        assert torch.equal(tensor, tensors[f"meta/{name}"])
    await head.learn([place] * 2, [1.0, 1.0])
    assert (await head.estimate([place]))[0].value > before.value


@pytest.mark.model
def test_adapters_are_learned_by_maml_and_make_a_model_folder(tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    done = train_meta(folder, *ADAPTER, "--meta_algorithm", "maml", "--unseen", "average")
    assert done.exit_code == 0, done.output
    rows = {(row["start"], row["k"]): row for row in results_of(folder)["rows"]}
    assert rows["plain", 1]["loss"] < rows["plain", 0]["loss"]
    assert len({rows[start, 0]["loss"] for start in ("plain", "joint", "meta")}) == 3
    assert not (folder / "answers.jsonl").exists()
    question = tmp_path / "problems.jsonl"
    question.write_text(json.dumps({"id": "a", "prompt": "What is 12 + 30?", "answer": "42"}) + "\n")
    run = [
        *("--input_file", str(question), "--n_rows", "1", "--vanilla_baseline", "--max_answer_tokens", "40"),
        *("--model_name", str(folder / "last"), "--cache_dir", str(tmp_path / "cache")),
    ]
    answered = CliRunner().invoke(main, ["run", *run])
    assert answered.exit_code == 0, answered.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--families", "expression", "fractions"], "fractions"),
        (["--families", "expression"], "2 or more"),
        (["--parameters", "head", "--learn_from", "solutions"], "right and wrong"),
        (["--meta_algorithm", "leap"], "reptile"),
        (["--inner_lr", "0"], "--inner_lr"),
        (["--adaptation_steps", "-3"], "from 0"),
        (["--model_id", "./no-such-folder"], "--model_id"),
    ],
    ids=[
        "unknown family",
        "one family",
        "head on solutions",
        "unknown algorithm",
        "no rate",
        "negative step",
        "no model",
    ],
)
def test_mistakes_are_told_without_a_traceback(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = train_meta(tmp_path / "none", *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_family_without_right_answers_is_told_what_to_do(tmp_path: Path, planner_model: Path) -> None:
    tiny = [
        "--learn_from",
        "drawn",
        "--model_id",
        str(planner_model),
        "--max_new_tokens",
        "8",
        "--n_train",
        "2",
        "--n_support",
        "2",
    ]
    done = train_meta(tmp_path / "none", *tiny, "--n_test", "1", "--batch_size", "1", "--device", "cpu")
    assert done.exit_code == 2, done.output
    assert "0 of 2 problems have a right answer" in done.output
    assert "--solution_field" in done.output


def test_help_names_the_defaults() -> None:
    done = CliRunner().invoke(main, ["train", "meta", "--help"])
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    for words in ("[default: 0.001]", "[default: reptile]", "[default: 0 1 2 5 10]"):
        assert words in said
