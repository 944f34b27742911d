"""Whole runs that train a tiny language model: what it learns, what is left behind, and where it goes on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from easy_task import TREES, log_of, parts, train
from safetensors.torch import load_file

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.log import EvaluationRecord, Record, UpdateRecord
from hierarchical_reasoning.training.trainer import Trained
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.verifiers import verifier_for

HERE = Path(__file__).parent
HAPO = {"objective": "hapo", "num_iterations": 2}
THOUGHTS = {
    "explorer": "thought_tree", "credit": "descendant_mean", "label_level": 1, "max_thought_tokens": 5,
    "max_answer_tokens": 5, "max_steps_per_episode": 3, "branching_factor": 2,
}  # fmt: skip
FILES = ("model.safetensors", "training_state/optimizer.safetensors")


def trained(
    tmp_path: Path, model: Path, *, resume: bool = False, stop: bool = False, **settings: Any
) -> tuple[Trained, list[Record]]:
    return train(parts(tmp_path, model, settings), resume=resume, stop_requested=lambda: int(stop))


def updates(records: list[Record]) -> list[UpdateRecord]:
    return [record for record in records if isinstance(record, UpdateRecord)]


def evaluations(records: list[Record]) -> list[EvaluationRecord]:
    return [record for record in records if isinstance(record, EvaluationRecord)]


def same(left: Path, right: Path) -> bool:
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in FILES)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "grpo"},
        HAPO,
        TREES | {"credit": "descendant_mean"},
        TREES | {"credit": "outcome", "objective": "dapo"},
        TREES | {"credit": "descendant_mean", **HAPO},
    ],
    ids=["grpo", "hapo", "treerpo", "dapo-on-trees", "hapo-on-trees"],
)
def test_it_learns_what_is_rewarded(tmp_path: Path, planner_model: Path, settings: dict[str, Any]) -> None:
    settings = {"epochs": 5, "learning_rate": 1e-2, "eval_rows": 0} | settings
    result, records = trained(tmp_path, planner_model, **settings)
    done = updates(records)
    assert len(done) == result.updates == 10
    accuracies = [record.accuracy for record in done]
    assert sum(accuracies[-2:]) / 2 > sum(accuracies[:2]) / 2 + 0.3
    assert not result.learned_nothing
    assert max(record.acting_gap for record in done) < 1e-4  # what acts is what is trained
    assert all(0 <= record.clip_share <= 1 for record in done)


def test_thought_trees_are_learned_from(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(tmp_path, planner_model, eval_rows=2, num_icl_examples=0, **THOUGHTS, **HAPO)
    assert not result.learned_nothing
    assert [record.trees["leaves"] / record.trees["trees"] > 1 for record in updates(records)] == [True, True]
    entries = json.loads((tmp_path / "out" / "rollouts" / "update-00001.json").read_text())["results"]
    assert all(entry["steps"] for entry in entries)


def test_what_prompts_leave_out_is_told_once(tmp_path: Path, planner_model: Path) -> None:
    examples = tmp_path / "examples.json"
    options = parts(tmp_path, planner_model, THOUGHTS | {"num_icl_examples": 0}).options
    examples.write_text(json.dumps({option.name: ["the king " * 2000] for option in options}))
    settings = THOUGHTS | {"num_icl_examples": 1, "examples_file": examples, "eval_rows": 2, "n_rows": 4}
    _, records = trained(tmp_path, planner_model, **settings)
    notes = [note for record in records for note in record.notes]
    assert notes
    assert all("1 of 1 examples of" in note and "did not fit the context of 4096" in note for note in notes)
    assert len(set(notes)) == len(notes)
    assert [record["notes"] for record in log_of(tmp_path / "out")] == [record.notes for record in records]


@pytest.fixture(scope="module")
def tree_run(tmp_path_factory: pytest.TempPathFactory, planner_model: Path) -> tuple[Path, list[Record]]:
    folder = tmp_path_factory.mktemp("tree-run")
    result, records = trained(
        folder, planner_model, credit="descendant_mean", epochs=2, eval_every=1, save_every=1, save_total_limit=2,
        **TREES,
    )  # fmt: skip
    assert result.last == folder / "out" / "last"
    return folder / "out", records


def test_checkpoints_are_model_folders(tree_run: tuple[Path, list[Record]], planner_model: Path) -> None:
    folder, records = tree_run
    for name in ("best", "last"):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder / name)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / name)
        assert model(torch.tensor([tokenizer("Name number 1.").input_ids])).logits.isfinite().all()
        assert (folder / name / "chat_template.jinja").is_file()
    assert (folder / "last" / FILES[0]).read_bytes() != (planner_model / FILES[0]).read_bytes()
    greedy = {r.update: r.correct for r in evaluations(records) if r.mode == "greedy" and r.update}
    first_best = min(update for update, correct in greedy.items() if correct == max(greedy.values()))
    kept = {path.name for path in folder.glob("update-*")}
    assert kept == {"update-3", "update-4", f"update-{first_best}"}
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_trees_are_kept_as_they_were_graded(tree_run: tuple[Path, list[Record]]) -> None:
    folder, records = tree_run
    for record in updates(records):
        stem = f"update-{record.update:05d}"
        trees = [placed.tree for placed in TreeFile(folder / "rollouts" / f"{stem}-trees.jsonl")]
        rewards = [reward for tree in trees for reward in tree.rewards().values()]
        assert [tree.update for tree in trees] == [record.update] * 4
        assert record.trees["trees"] == record.groups == 4
        assert record.trees["leaves"] == record.episodes == len(rewards)
        assert record.trees["nodes"] == sum(len(tree) for tree in trees)
        assert record.accuracy == pytest.approx(sum(reward or 0 for reward in rewards) / len(rewards))
        assert record.trees["unique_tokens"] < record.trees["tokens_on_paths"]
        assert record.trees["generated_tokens"] >= sum(
            node.drawn for tree in trees for node in tree.nodes.values()
        )
        drawn = [
            sum(tree.node(at).drawn for at in tree.path(leaf)) for tree in trees for leaf in tree.leaves()
        ]
        assert record.steps == pytest.approx(sum(drawn) / len(drawn))
        entries = json.loads((folder / "rollouts" / f"{stem}.json").read_text())["results"]
        assert [entry["episode"]["reward"] for entry in entries] == rewards
        assert [entry["is_correct"] for entry in entries] == [reward == 1 for reward in rewards]


def test_the_report_speaks_of_a_model(tree_run: tuple[Path, list[Record]]) -> None:
    page = (tree_run[0] / "report" / "index.html").read_text()
    text = page.partition('<section id="settings"')[0]
    for word in ("planner", "hoice", "hought type", "Finish thinking", "reasoner", "Transitions"):
        assert word not in text, word
    for title in ("Leaves a tree", "Depth", "Unique tokens", "Branchings with spread", "Tokens an answer"):
        assert f"<h3>{title}</h3>" in text
    assert "<h3>KL</h3>" not in text  # the loss has none


@pytest.mark.parametrize(
    "settings",
    [
        HAPO,
        TREES | {"credit": "descendant_mean", "lora_r": 4, "kl_coeff": 0.1, **HAPO},
        {"credit": "outcome", "kl_in_reward": True, "kl_coeff": 0.1, **HAPO},
    ],
    ids=["linear", "tree-lora-kl", "linear-kl-in-reward"],
)
def test_a_resumed_run_ends_with_the_same_weights_and_log(
    tmp_path: Path, planner_model: Path, settings: dict[str, Any]
) -> None:
    """The first update after that draws at the temperatures that the last one's entropies gave."""
    at_once, stopped = tmp_path / "at-once", tmp_path / "stopped"
    settings = settings | {"epochs": 2, "eval_rows": 0, "warmup_steps": 3, "temperature_tau": 0.5}
    trained(tmp_path, planner_model, output_dir=at_once, **settings)
    trained(tmp_path, planner_model, output_dir=stopped, stop=True, **settings)
    memory = json.loads((stopped / "last" / "training_state" / "progress.json").read_text())["memory"]
    assert memory["entropy"].keys() == {"m", "s", "scale_pos", "scale_neg"}
    (stopped / "rollouts" / "update-00002-trees.jsonl").write_text("what a kill left behind")
    _, records = trained(tmp_path, planner_model, output_dir=stopped, resume=True, **settings)
    assert [record.update for record in updates(records)] == [2, 3, 4]
    assert same(at_once / "last", stopped / "last")
    assert log_of(at_once) == log_of(stopped)
    for path in sorted((at_once / "rollouts").glob("*-trees.jsonl")):
        assert path.read_bytes() == (stopped / "rollouts" / path.name).read_bytes()


def test_without_its_entropies_a_resumed_run_would_draw_others(tmp_path: Path, planner_model: Path) -> None:
    settings = {"epochs": 1, "eval_rows": 0, "temperature_tau": 0.5, **HAPO}
    for name in ("kept", "lost"):
        trained(tmp_path, planner_model, output_dir=tmp_path / name, stop=True, **settings)
    path = tmp_path / "lost" / "last" / "training_state" / "progress.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"memory": {}}))
    for name in ("kept", "lost"):
        trained(tmp_path, planner_model, output_dir=tmp_path / name, resume=True, **settings)
    kept, lost = (
        (tmp_path / name / "rollouts" / "update-00002-trees.jsonl").read_text() for name in ("kept", "lost")
    )
    assert kept != lost


@pytest.mark.parametrize(
    "settings",
    [
        # 3 problems an update for 2 processes, 8 in all: one has less to do, or nothing.
        {**TREES, "credit": "descendant_mean", "batch_size": 3, "tokens_per_pass": 60, **HAPO},
        {"objective": "grpo", "kl_coeff": 0.2, "lora_r": 4, "gradient_checkpointing": True},
        {**TREES, "credit": "descendant_mean", "kl_in_reward": True, "kl_coeff": 0.2, "batch_size": 3},
    ],
    ids=["hapo-on-uneven-trees", "grpo-lora-kl", "kl-in-reward-on-uneven-trees"],
)
def test_two_processes_learn_what_one_does(
    tmp_path: Path, planner_model: Path, settings: dict[str, Any]
) -> None:
    settings = settings | {"eval_every": 1, "eval_rows": 5, "epochs": 1}
    one, two = tmp_path / "one", tmp_path / "two"
    trained(tmp_path, planner_model, output_dir=one, **settings)
    on_two(tmp_path, planner_model, settings | {"output_dir": str(two)})
    for name in FILES:
        ours, theirs = load_file(one / "last" / name), load_file(two / "last" / name)
        assert ours.keys() == theirs.keys()
        for key, tensor in ours.items():
            torch.testing.assert_close(tensor, theirs[key], rtol=1e-4, atol=1e-4)
    for alone, together in zip(log_of(one), log_of(two), strict=True):
        trees = alone.pop("trees", {})
        assert together.pop("trees", {}) == pytest.approx(trees, rel=1e-4)
        for key, value in alone.items():
            if key != "trained_tokens":  # how trees are divided into passes depends on which are together
                expected = pytest.approx(value, rel=1e-2, abs=1e-4) if isinstance(value, float) else value
                assert together[key] == expected, key
    names = {path.name for path in (two / "rollouts").iterdir()}
    assert {"update-00001-trees-rank0.jsonl", "update-00001-trees-rank1.jsonl"} <= names


def on_two(tmp_path: Path, model: Path, settings: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
            *("--master_addr", "127.0.0.1", "--master_port", str(port)),
            *(str(HERE / "two_processes.py"), str(tmp_path), str(model), json.dumps(settings)),
        ],
        env=os.environ
        | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{HERE.parents[2]}:{HERE.parent}:{HERE.parent.parent / 'llm_backends'}",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("aggregation", ["seq-mean-token-sum", "seq-mean-token-sum-norm"])
def test_shares_are_of_tokens_however_the_loss_is_aggregated(
    tmp_path: Path, planner_model: Path, aggregation: str
) -> None:
    settings = {**TREES, "credit": "outcome", "objective": "dapo", "num_iterations": 4, "learning_rate": 3e-2}
    _, records = trained(tmp_path, planner_model, eval_rows=0, loss_agg_mode=aggregation, **settings)
    shares = [record.clip_share for record in updates(records)]
    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) > 0.02


def test_gradient_checkpointing_changes_nothing(tmp_path: Path, planner_model: Path) -> None:
    for name, on in (("kept", False), ("again", True)):
        trained(
            tmp_path,
            planner_model,
            output_dir=tmp_path / name,
            gradient_checkpointing=on,
            eval_rows=0,
            **TREES,
        )
    assert same(tmp_path / "kept" / "last", tmp_path / "again" / "last")


def test_groups_without_spread_are_replaced(tmp_path: Path, planner_model: Path) -> None:
    _, records = trained(
        tmp_path,
        planner_model,
        eval_rows=0,
        objective="dapo",
        num_rollouts_per_prompt=2,
        max_num_gen_batches=2,
    )
    first = updates(records)[0]
    assert first.generation_batches == 2
    assert first.groups > 4
    assert first.groups_without_spread > 0


def test_where_all_rewards_are_equal_nothing_is_learned(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"eval_rows": 0})
    verifier, _ = verifier_for("number", made.problems)
    result, records = train(replace(made, verifier=verifier))
    assert result.learned_nothing
    assert [(r.groups, r.groups_without_spread, r.grad_norm) for r in updates(records)] == [(4, 4, 0.0)] * 2
    assert load_file(result.last / FILES[0]).keys() == load_file(planner_model / FILES[0]).keys()
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "Nothing was learned" in page
    assert "No rollout was right: take problems that are solved now and then, or a stronger model." in page


def test_a_prompt_that_the_context_cannot_hold_is_told(tmp_path: Path, planner_model: Path) -> None:
    data = tmp_path / "long.jsonl"
    rows = ({"id": "short", "prompt": "Why?"}, {"id": "long", "prompt": "Name it. " * 3000})
    data.write_text("".join(json.dumps(row | {"answer": "1"}) + "\n" for row in rows))
    with pytest.raises(ConfigError, match=r"problem 'long': .* tokens and an answer needs 2 .*--model_id"):
        trained(tmp_path, planner_model, data_file=data, n_rows=2, eval_rows=0)
    assert not (tmp_path / "out" / "log.jsonl").exists()  # before anything was rolled out
