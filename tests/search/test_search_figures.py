"""What searches come to, where people look: in the results file, in what a run prints, and in `results`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scripted_run import config_for, run_with
from scripted_world import World
from small_search import LEARNING, small, trees_file

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.results.records import TreesSummary
from hierarchical_reasoning.runner import Finished
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.trees.metrics import (
    SeenNgrams,
    TreeMetrics,
    estimates_and_rewards,
    tree_metrics,
)
from hierarchical_reasoning.values.calibration import Calibration
from llm_backends import ReplyCache

FIVE = LEARNING | {"n_rows": 5}


def trees_of(finished: Finished) -> TreesSummary:
    found = finished.head.summary.trees
    assert found is not None
    return found


async def test_the_summary_has_the_metrics_of_the_trees_in_the_order_of_the_problems(tmp_path: Path) -> None:
    summaries = []
    for number, (timing, concurrency) in enumerate([(None, 1), (3, 4)]):
        config = small(tmp_path, **FIVE, max_concurrency=concurrency, cache_dir=tmp_path / str(number))
        finished = await run_with(config, World(timing=timing, max_concurrency=concurrency))
        summaries.append(trees_of(finished))
    assert summaries[0] == summaries[1]
    path = trees_file(finished)
    trees = sorted((placed.tree for placed in TreeFile(path)), key=lambda tree: tree.problem_id)
    expected, seen, pairs = TreeMetrics(), SeenNgrams(), []
    for tree in trees:
        expected += tree_metrics(tree, seen=seen)
        seen.add(tree)
        pairs += estimates_and_rewards(tree)
    figures = summaries[0].figures
    assert figures == expected.figures()
    assert {"pass_at_1", "pass_at_4", "node_reward", "path_reward", "diversity", "novelty"} <= figures.keys()
    assert {"robustness", "right_depth", "branching_solved"} <= figures.keys()
    values, rewards = zip(*pairs, strict=True)
    assert summaries[0].calibration == Calibration.of(values, rewards)
    assert finished.results.summary.trees == summaries[0]  # in the file


async def test_a_run_that_goes_on_has_the_figures_of_one_that_was_never_cut_off(tmp_path: Path) -> None:
    whole = await run_with(small(tmp_path, **FIVE, cache_dir=tmp_path / "whole"), World())
    cache = ReplyCache(tmp_path / "replies.sqlite")
    half = small(tmp_path, **FIVE, max_concurrency=2, fail_on_error="1")
    journal = (await run_with(half, World(cache=cache))).journal
    lines = journal.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"problem_id": "p3"' not in line and b'"problem_id": "p1"' not in line]
    journal.write_bytes(b"".join(kept))
    again = await run_with(half, World(cache=cache), resume=journal)
    cache.close()
    assert trees_of(again) == trees_of(whole)
    by_problem = {entry.problem_id: entry for entry in again.results.results}
    assert all(entry.memory is not None for entry in by_problem.values())
    assert [json.loads(line)["entry"]["memory"] for line in kept if b'"problem_id": "p0"' in line] == [
        by_problem["p0"].model_dump(mode="json")["memory"]
    ]


@pytest.mark.parametrize(
    "given",
    [{"uncertainty": "none"}, {"uncertainty": "disagreement"}, {"path_reward": "value"}, {"learn_every": 0}],
    ids=str,
)
async def test_nothing_is_calibrated_where_nothing_is_foretold(tmp_path: Path, given: dict[str, Any]) -> None:
    assert trees_of(await run_with(small(tmp_path, **(FIVE | given)), World())).calibration is None


async def test_every_entry_says_what_was_held_and_files_without_it_are_read(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path, vanilla_baseline=True, n_rows=3))
    summary, entries = finished.head.summary, finished.results.results
    assert summary.trees is None
    memory = [entry.memory for entry in entries if entry.memory is not None]
    assert len(memory) == 3
    assert summary.peak_memory_bytes == max(each.peak_bytes for each in memory) > 10_000_000
    assert summary.seconds_per_problem == pytest.approx(sum(entry.seconds for entry in entries) / 3)
    assert "peak memory" in shown("results", str(finished.path))
    assert "peak memory of the process until then" in shown("results", str(finished.path), "--trace", "p0")
    assert "peak_memory_bytes" in shown("results", str(finished.path), "--export", "-").splitlines()[0]
    old = json.loads(finished.path.read_text())
    for name in ("trees", "peak_memory_bytes", "peak_gpu_memory_bytes", "seconds_per_problem"):
        del old["summary"][name]
    for entry in old["results"]:
        del entry["memory"]
    before = tmp_path / "before.json"
    before.write_text(json.dumps(old))
    assert "before.json" in shown("results", str(before), str(finished.path))


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_run_prints_them_and_results_shows_them_beside_each_other(tmp_path: Path) -> None:
    """The bundled model, from the command line."""
    flags = [
        *(
            "run",
            "--max_depth",
            "3",
            "--branching_factor",
            "2",
            "--max_nodes_per_level",
            "2",
            "--n_rows",
            "3",
        ),
        *("--temperature", "0.7", "--learn_every", "1", "--no_cache", "--cache_dir", str(tmp_path)),
    ]
    printed = shown(*flags, "--search", "beam")
    for name in ("agreement of answers", "diversity of siblings", "novelty against trees before"):
        assert name in printed
    assert "value head: ECE" in printed
    assert "peak memory of the process" in printed
    shown(*flags, "--search", "bfs", "--uncertainty", "none")
    files = sorted(map(str, tmp_path.glob("results_*.json")))
    table = shown("results", *files)
    assert "value head: Brier score" in table
    row = next(line for line in table.splitlines() if "value head: ECE" in line)
    assert (
        row.split("│")[-2].strip() == "-" or row.split("│")[-3].strip() == "-"
    )  # one of them has no value head
    trees = shown("trees", str(next(tmp_path.glob("*-trees.jsonl"))))
    assert "diversity of siblings" in trees
