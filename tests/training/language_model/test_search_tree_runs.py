"""Whole runs whose trees a search grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from easy_task import Even, log_of, parts, train

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.log import UpdateRecord
from hierarchical_reasoning.training.trainer import Trained
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.verifiers import Grade

SEARCHED: dict[str, Any] = {
    "explorer": "search_tree", "credit": "hierarchical", "label_level": 1, "num_icl_examples": 0,
    "max_thought_tokens": 5, "max_answer_tokens": 5, "max_depth": 2, "branching_factor": 3,
    "max_nodes_per_level": 1, "eval_rows": 0, "reward_alpha": 0.0, "pruning_threshold": 0.05,
}  # fmt: skip


def trained(
    folder: Path, model: Path, *, resume: bool = False, stop: bool = False, **settings: Any
) -> tuple[Trained, list[UpdateRecord]]:
    made = parts(folder, model, SEARCHED | settings)
    result, records = train(made, resume=resume, stop_requested=lambda: int(stop))
    return result, [record for record in records if isinstance(record, UpdateRecord)]


def trees_of(folder: Path) -> list[ReasoningTree]:
    files = sorted((folder / "rollouts").glob("*-trees.jsonl"))
    return [placed.tree for file in files for placed in TreeFile(file)]


def test_what_is_learned_from_are_the_answers_of_a_search(tmp_path: Path, planner_model: Path) -> None:
    _, records = trained(tmp_path, planner_model)
    assert all(
        record.acting_gap < 1e-5 for record in records
    )  # tokens and places are those of the forward pass
    trees = trees_of(tmp_path / "out")
    assert any(tree.pruned for tree in trees)
    for tree in trees:
        assert all(tree.node(leaf).kind == "answer" for leaf in tree.leaves())
        assert tree.chosen in tree.leaves()
        assert max(map(tree.depth, tree.leaves())) <= 3
        for node in tree.nodes.values():
            assert node.scores is not None
            assert node.drawn == len(node.log_probs) or node.parent is None
            assert node.scores.prior is not None or node.kind != "thought"


class Watching(Even):
    """Remembers whether it was shown the ground truth."""

    def __init__(self) -> None:
        self.shown: list[bool] = []

    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        self.shown.append(problem.answer is not None)
        return await super().grade(problem, text, truncated=truncated)


def test_the_truth_steers_no_search(tmp_path: Path, planner_model: Path) -> None:
    """Each answer is read while the tree grows, without the truth, and graded with it afterwards, if it is still
    there."""
    watching = Watching()
    made = replace(parts(tmp_path, planner_model, SEARCHED), verifier=watching)
    train(made)
    trees = trees_of(tmp_path / "out")
    live = sum(len(tree.leaves()) for tree in trees)
    pruned = sum(node.kind == "answer" for tree in trees for node in tree.pruned.values())
    assert watching.shown.count(True) == live
    assert watching.shown.count(False) == live + pruned


def test_a_resumed_run_searches_as_it_would_have(tmp_path: Path, planner_model: Path) -> None:
    """By values that it learned before."""
    at_once, stopped = tmp_path / "at-once", tmp_path / "stopped"
    trained(tmp_path, planner_model, output_dir=at_once, epochs=2)
    trained(tmp_path, planner_model, output_dir=stopped, epochs=2, stop=True)
    assert (stopped / "last" / "value_head" / "value_head.safetensors").is_file()
    trained(tmp_path, planner_model, output_dir=stopped, epochs=2, resume=True)
    assert log_of(at_once) == log_of(stopped)
    assert trees_of(at_once) == trees_of(stopped)
    weights = [(folder / "last" / "model.safetensors").read_bytes() for folder in (at_once, stopped)]
    assert weights[0] == weights[1]
    values = [node.scores.value for tree in trees_of(at_once) for node in tree.nodes.values() if node.scores]
    assert len({value for value in values if value is not None}) > 3
