"""Which groups an update learns from: of more that are rolled out, the first that have spread, in what is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from easy_task import Even, config, log_of, parts, train

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.language_model.combinations import check_language_model
from hierarchical_reasoning.training.schedule import Batches, count_updates
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.verifiers import Grade

PROBLEMS = [Problem(str(number), f"Problem {number}?", "1", None, {}) for number in range(20)]


def batches(folder: Path, model: Path, share: tuple[int, int] = (0, 1), **settings: Any) -> Batches:
    made = config(folder, model, {"gen_batch_size": 6, "batch_size": 2, **settings})
    index, count = share
    own = PROBLEMS[:6][index::count]
    return Batches(made, PROBLEMS, 1, own, PROBLEMS[:6], share)


def test_an_epoch_is_of_the_problems_that_are_rolled_out(tmp_path: Path, planner_model: Path) -> None:
    made = config(tmp_path, planner_model, {"gen_batch_size": 6, "batch_size": 2, "epochs": 2})
    assert count_updates(made, 20) == 2 * 4


def test_a_batch_is_replaced_as_far_as_too_few_have_spread(tmp_path: Path, planner_model: Path) -> None:
    found = batches(tmp_path, planner_model, filter_groups=True)
    assert (len(found.due), found.wanted) == (6, 2)
    found.made_one(missing=1)
    assert len(found.due) == 1
    assert found.due[0] not in PROBLEMS[:6]
    found.made_one(missing=0)
    assert not found.due


@pytest.mark.parametrize(("share", "wanted"), [((0, 2), 1), ((1, 2), 1), ((0, 4), 1)])
def test_processes_share_what_is_learned_from(
    tmp_path: Path, planner_model: Path, share: tuple[int, int], wanted: int
) -> None:
    assert batches(tmp_path, planner_model, share).wanted == wanted


def test_the_first_groups_with_spread_are_learned_from(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"gen_batch_size": 8, "batch_size": 2})
    train(made)
    (update,) = [record for record in log_of(tmp_path / "out") if record["kind"] == "update"]
    with_spread = update["groups"] - update["groups_without_spread"]
    assert update["groups"] == 8
    assert with_spread > 2
    assert update["trees"]["left_over"] == with_spread - 2
    rollouts = json.loads((tmp_path / "out" / "rollouts" / "update-00001.json").read_text())["results"]
    taught = {entry["problem_id"] for entry in rollouts if entry["episode"]["advantage"]}
    assert len(taught) == 2
    left = [entry["episode"]["advantage"] for entry in rollouts if entry["problem_id"] not in taught]
    assert set(left) <= {None, 0.0}
    tokens = sum(
        len(placed.tree.path_tokens(leaf)) - len(placed.tree.node(placed.tree.root).tokens)
        for placed in TreeFile(tmp_path / "out" / "rollouts" / "update-00001-trees.jsonl")
        if placed.tree.problem_id in taught
        for leaf in placed.tree.leaves()
    )
    prompts = sum(
        len(placed.tree.node(placed.tree.root).tokens)
        for placed in TreeFile(tmp_path / "out" / "rollouts" / "update-00001-trees.jsonl")
        if placed.tree.problem_id in taught
    )
    assert update["trained_tokens"] == tokens + prompts


@pytest.mark.parametrize(("metric", "teaches"), [("rewards", True), ("acc", False)])
def test_spread_is_in_what_is_asked_for(
    tmp_path: Path, planner_model: Path, metric: str, teaches: bool
) -> None:
    """Local rewards differ where no answer is right: such groups teach something, unless it is accuracy that counts."""
    data = tmp_path / "letters.jsonl"
    words = " ".join((*ascii_lowercase, *map("".join, product(ascii_lowercase, repeat=2))))
    rows = [{"prompt": f"{number} {words}", "answer": "1"} for number in range(2)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = parts(
        tmp_path,
        planner_model,
        {
            "explorer": "thought_tree", "credit": "hierarchical", "filter_groups": True, "n_rows": 2, "batch_size": 2,
            "filter_groups_metric": metric, "max_num_gen_batches": 1, "eval_rows": 0, "max_steps_per_episode": 3,
            "branching_factor": 3, "max_thought_tokens": 40, "max_answer_tokens": 8, "num_icl_examples": 0,
            "data_file": data,
        },
    )  # fmt: skip
    train(replace(made, verifier=Wrong()))
    (update,) = [record for record in log_of(tmp_path / "out") if record["kind"] == "update"]
    assert update["accuracy"] == 0
    assert (update["groups_without_spread"] < update["groups"]) is teaches
    assert (update["trained_tokens"] > 0) is teaches


class Wrong(Even):
    """All answers are."""

    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        return Grade(Outcome.WRONG, None, "always", "nothing")


def test_fewer_than_are_learned_from_are_not_rolled_out(tmp_path: Path, planner_model: Path) -> None:
    made = config(
        tmp_path, planner_model, {"gen_batch_size": 3, "batch_size": 2, "gradient_accumulation_steps": 2}
    )
    with pytest.raises(
        ConfigError, match="--gen_batch_size 3 is less than the 4 problems that an update learns from"
    ):
        check_language_model(made)


def test_a_shorter_context_bounds_answers(tmp_path: Path, planner_model: Path) -> None:
    train(
        parts(
            tmp_path, planner_model, {"max_length": 100, "max_new_tokens": 100, "eval_rows": 0, "n_rows": 4}
        )
    )
    trees = [placed.tree for placed in TreeFile(tmp_path / "out" / "rollouts" / "update-00001-trees.jsonl")]
    lengths = [len(tree.path_tokens(leaf)) for tree in trees for leaf in tree.leaves()]
    assert max(lengths) == 100
    short = parts(tmp_path, planner_model, {"max_length": 60, "output_dir": tmp_path / "short"})
    with pytest.raises(ConfigError, match=r"holds 60; take shorter problems.*--max_length"):
        train(short)


def test_a_resumed_run_finds_as_much_new(tmp_path: Path, planner_model: Path) -> None:
    settings = {"track_novelty": True, "epochs": 2, "save_every": 1, "eval_rows": 0, "n_rows": 4,
                "max_new_tokens": 12, "temperature": 0.05, "learning_rate": 1e-7}  # fmt: skip
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    train(parts(tmp_path, planner_model, settings | {"output_dir": whole}))
    made = parts(tmp_path, planner_model, settings | {"output_dir": halved})
    train(made, stop_requested=lambda: 1)
    train(made, resume=True)
    assert log_of(halved) == log_of(whole)
    novelties = [record["metrics"]["novelty"] for record in log_of(whole)]
    assert novelties[0] > novelties[-1]
