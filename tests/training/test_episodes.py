"""Episodes on disk, opened by the command that opens results."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_reasoner import RIGHT, parts, reasoner

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.results.reader import open_run
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.episodes import EpisodeFiles
from hierarchical_reasoning.training.planner.assembly import TrainingParts
from llm_backends import BadRequestError, Sampling
from llm_backends.local import LocalBackend


async def rolled_out(made: TrainingParts, planner_model: Path, **options: Any) -> tuple[Episode, ...]:
    async with LocalBackend(planner_model, dtype="float32") as planner:
        rollouts = made.rollouts(planner, Backends.one(reasoner(**options)))
        return (await rollouts.collect(made.problems, 2, Sampling(temperature=1.0, seed=5))).episodes


def results(*arguments: object) -> str:
    shown = CliRunner().invoke(main, ["results", *map(str, arguments)])
    assert shown.exit_code == 0, shown.output
    return shown.stdout


async def test_the_results_command_opens_what_an_update_was_trained_on(
    tmp_path: Path, planner_model: Path
) -> None:
    made = parts(tmp_path, planner_model, {"length_reward_weight": 2.0})
    episodes = await rolled_out(made, planner_model)
    advantages: list[float | None] = [0.25 if e.reward and e.reward > 1 else -0.25 for e in episodes]
    path = EpisodeFiles(made.results_head(), made.config.output_dir).write_update(12, 3, episodes, advantages)
    assert path == tmp_path / "out" / "rollouts" / "update-00012.json"

    right = next(e for e in episodes if e.reward and e.reward > 1)
    assert right.choices[0].name == RIGHT
    trace = results(path, "--trace", right.problem_id, "--sample", right.sample)
    brevity = 2 / (1 + right.characters)
    assert (
        f"reward: {1 + brevity:.4g} (1 for the answer, {brevity:.4g} for {right.characters} characters); "
        "advantage +0.25; update 12, epoch 3"
    ) in trace
    assert f"1. [{RIGHT}]  chosen with" in trace
    assert "A thought." in trace

    wrong = [episode for episode in episodes if episode.outcome.value == "wrong"]
    assert f"{len(wrong)} problems" in results(path, "--outcome", "wrong")

    rows = list(csv.DictReader(io.StringIO(results(path, "--export", "-"))))
    assert [float(row["advantage"]) for row in rows] == advantages
    assert [float(row["reward"]) for row in rows] == [pytest.approx(e.reward) for e in episodes]
    steps = list(csv.DictReader(io.StringIO(results(path, "--export", "-", "--steps"))))
    of_right = [
        row for row in steps if (row["problem_id"], int(row["sample"])) == (right.problem_id, right.sample)
    ]
    assert [row["thought_type"] for row in of_right][: len(right.choices)] == [c.name for c in right.choices]
    assert {float(row["advantage"]) for row in of_right} == {0.25}
    assert f"{made.config.reasoning_model_name}" in results(path)


async def test_evaluations_and_failures_are_kept_too(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"reasoner_patience": 0})
    episodes = await rolled_out(made, planner_model, fail_at={0: BadRequestError("no <b>such</b> thing")})
    path = EpisodeFiles(made.results_head(), made.config.output_dir).write_evaluation(7, "greedy", episodes)
    assert path.name == "evaluation-00007-greedy.json"
    (failed,) = [entry for entry in open_run(path).entries() if entry.error is not None]
    assert failed.episode is not None
    assert (failed.episode.reward, failed.episode.advantage, failed.episode.epoch) == (None, None, None)
    shown = results(path, "--trace", failed.problem_id, "--sample", failed.sample)
    assert "reward: none, as it failed (update 7)" in shown
    assert "BadRequestError: no <b>such</b> thing" in shown


async def test_what_comes_after_an_update_is_dropped_and_written_again(
    tmp_path: Path, planner_model: Path
) -> None:
    made = parts(tmp_path, planner_model, {})
    episodes = await rolled_out(made, planner_model)
    ranks = [
        EpisodeFiles(made.results_head(), made.config.output_dir, rank=rank, world_size=2)
        for rank in range(2)
    ]
    nothing = [None] * len(episodes)
    for files in ranks:
        for update in (1, 2, 100_000):
            files.write_update(update, 1, episodes, nothing)
        files.write_evaluation(2, "sampled", episodes)
    folder = tmp_path / "out" / "rollouts"
    (folder / "notes.json").write_text("mine")
    (folder / ".update-00001.json.x3k_9").write_text("what a kill left behind")
    ranks[0].keep_until(1)
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == ["notes.json", "update-00001-rank0.json", "update-00001-rank1.json"]
    before = (folder / kept[1]).read_bytes()
    ranks[0].write_update(1, 1, episodes, nothing)
    assert (folder / kept[1]).read_bytes() == before
    ranks[0].keep_until(-1)
    assert [path.name for path in folder.iterdir()] == ["notes.json"]


def test_with_no_folder_there_is_nothing_to_drop(tmp_path: Path, planner_model: Path) -> None:
    EpisodeFiles(parts(tmp_path, planner_model, {}).results_head(), tmp_path / "out").keep_until(0)
    assert not (tmp_path / "out").exists()


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {})
    episodes = await rolled_out(made, planner_model)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match=r"out/rollouts cannot be written to .*--resume.*--output_dir"):
        EpisodeFiles(made.results_head(), made.config.output_dir).write_update(
            1, 1, episodes, [None] * len(episodes)
        )


async def test_one_entry_is_one_line_and_older_readers_find_what_they_know(
    tmp_path: Path, planner_model: Path
) -> None:
    made = parts(tmp_path, planner_model, {})
    episodes = await rolled_out(made, planner_model)
    path = EpisodeFiles(made.results_head(), made.config.output_dir).write_update(
        1, 1, episodes, [0.0] * len(episodes)
    )
    whole = json.loads(path.read_text())
    assert len(whole["results"]) == whole["summary"]["n"] == len(episodes)
    assert whole["config"]["update"] == 1
    assert sum(line.startswith('{"problem_id"') for line in path.read_text().splitlines()) == len(episodes)
