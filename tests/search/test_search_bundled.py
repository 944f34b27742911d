"""Searches with the bundled model, by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile

pytestmark = pytest.mark.model
FLAGS = [
    "--max_depth",
    "2",
    "--branching_factor",
    "2",
    "--max_nodes_per_level",
    "2",
    "--n_rows",
    "2",
    "--no_cache",
]


def run(directory: Path, *flags: str) -> tuple[dict[str, Any], list[ReasoningTree]]:
    result = CliRunner().invoke(main, ["run", *FLAGS, *flags, "--cache_dir", str(directory)])
    assert result.exit_code == 0, result.output
    (results,) = directory.glob("results_*.json")
    content = json.loads(results.read_text())
    for entry in content["results"]:
        entry["seconds"] = entry["search"]["seconds"] = 0.0
        entry["memory"] = None
        for used in (*entry["usage"].values(), *(step["planner_usage"] for step in entry["steps"])):
            if used is not None:
                used["cached_tokens"] = 0  # of a prefix that another call had computed
        for step in entry["steps"]:
            step["reasoner_usage"] = None
    trees = [placed.tree for placed in TreeFile(results.with_name(f"{results.stem}-trees.jsonl"))]
    return content, sorted(trees, key=lambda tree: tree.problem_id)


def test_the_same_seed_gives_the_same_trees_under_any_concurrency(tmp_path: Path) -> None:
    found = [
        run(tmp_path / str(n), "--search", "beam", "--learn_every", "1", "--max_concurrency", str(n))
        for n in (1, 4)
    ]
    assert found[0][1] == found[1][1]
    assert found[0][0]["results"] == found[1][0]["results"]
    assert all(entry["search"]["nodes"] > 4 for entry in found[0][0]["results"])


@pytest.mark.parametrize("flags", [["--planner", "untyped", "--temperature", "0.7"], ["--planner", "markov"]])
def test_a_budget_holds_with_and_without_a_taxonomy(tmp_path: Path, flags: list[str]) -> None:
    bounds = ["--max_search_calls", "9", "--max_search_tokens", "4000", "--uncertainty", "none"]
    content, trees = run(tmp_path, "--search", "mcts", *bounds, *flags)
    for entry in content["results"]:
        assert entry["search"]["calls"] <= 9
        assert entry["search"]["tokens"] <= 4000
        assert entry["final_response"]
        used = entry["usage"].values()
        assert (
            sum(role["prompt_tokens"] + role["completion_tokens"] for role in used)
            == entry["search"]["tokens"]
        )
    assert len(trees) == 2
