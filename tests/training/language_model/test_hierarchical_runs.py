"""Whole runs with HATO's credit and its falling temperature."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from easy_task import TREES, log_of, parts, train

from hierarchical_reasoning.rewards import RewardWeights, hierarchical_scores
from hierarchical_reasoning.training.log import UpdateRecord
from hierarchical_reasoning.training.trainer import Trained
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile

THOUGHTS: dict[str, Any] = {
    "explorer": "thought_tree", "label_level": 1, "num_icl_examples": 0, "max_thought_tokens": 5,
    "max_answer_tokens": 5, "max_steps_per_episode": 3, "branching_factor": 2,
}  # fmt: skip
FALLING = {"initial_temperature": 0.9, "temperature_decay": 1.5}


def trained(
    folder: Path, model: Path, *, resume: bool = False, stop: bool = False, **settings: Any
) -> tuple[Trained, list[UpdateRecord]]:
    made = parts(folder, model, {"eval_rows": 0, "credit": "hierarchical"} | settings)
    result, records = train(made, resume=resume, stop_requested=lambda: int(stop))
    return result, [record for record in records if isinstance(record, UpdateRecord)]


def trees_of(folder: Path) -> list[ReasoningTree]:
    files = sorted((folder / "rollouts").glob("*-trees.jsonl"))
    return [placed.tree for file in files for placed in TreeFile(file)]


def weights_of(folder: Path) -> bytes:
    return (folder / "last" / "model.safetensors").read_bytes()


def test_it_learns_what_is_rewarded(tmp_path: Path, planner_model: Path) -> None:
    result, records = trained(tmp_path, planner_model, epochs=5, learning_rate=1e-2, **TREES)
    accuracies = [record.accuracy for record in records]
    assert sum(accuracies[-2:]) / 2 > sum(accuracies[:2]) / 2 + 0.3
    assert not result.learned_nothing


def test_the_trees_of_thoughts_say_what_was_weighed(tmp_path: Path, planner_model: Path) -> None:
    weights = {"reward_alpha": 0.2, "reward_beta": 0.6, "reward_gamma": 0.3}
    result, _ = trained(tmp_path, planner_model, **THOUGHTS, **weights)
    assert not result.learned_nothing
    trees = trees_of(tmp_path / "out")
    for tree in trees:
        scores = {node.id: node.scores for node in tree.nodes.values()}
        assert scores == hierarchical_scores(tree, tree.rewards(), RewardWeights(0.2, 0.6, 0.3))
        assert all(scores[leaf].path == reward for leaf, reward in tree.rewards().items())
        for node in tree.nodes.values():
            assert node.scores is not None
            assert 0 <= node.scores.local <= 1
    assert len({node.scores.total for tree in trees for node in tree.nodes.values() if node.scores}) > 4


def test_a_falling_temperature_is_recorded_and_resumed(tmp_path: Path, planner_model: Path) -> None:
    at_once, stopped = tmp_path / "at-once", tmp_path / "stopped"
    settings = {"epochs": 2, "num_iterations": 2, **FALLING, **TREES}
    _, records = trained(tmp_path, planner_model, output_dir=at_once, **settings)
    assert [record.temperature for record in records] == [
        0.9 * math.exp(-1.5 * made / 4) for made in range(4)
    ]
    trained(tmp_path, planner_model, output_dir=stopped, stop=True, **settings)
    trained(tmp_path, planner_model, output_dir=stopped, resume=True, **settings)
    assert log_of(at_once) == log_of(stopped)
    assert weights_of(at_once) == weights_of(stopped)
    assert trees_of(at_once) == trees_of(stopped)


@pytest.mark.parametrize("explorer", [TREES, THOUGHTS], ids=["entropy_tree", "thought_tree"])
def test_the_first_temperature_is_that_of_draws_and_loss(
    tmp_path: Path, planner_model: Path, explorer: dict[str, Any]
) -> None:
    """Without decay it is `temperature` by another name; a planner of thoughts goes by it too."""
    for name, settings in {
        "by-name": {"temperature": 0.5},
        "initial": {"temperature": 1.0, "initial_temperature": 0.5},
        "warmer": {"temperature": 0.5, "initial_temperature": 1.0},
    }.items():
        trained(tmp_path, planner_model, output_dir=tmp_path / name, num_iterations=2, **settings, **explorer)
    assert weights_of(tmp_path / "by-name") == weights_of(tmp_path / "initial")
    assert weights_of(tmp_path / "by-name") != weights_of(tmp_path / "warmer")
