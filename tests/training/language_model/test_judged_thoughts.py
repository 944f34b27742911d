"""Local rewards of a training run by a model that rates thoughts, behind a real server, and by the value head."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from easy_task import log_of, parts, train
from fake_reasoner import problems_file

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.cli.training_display import LanguageModelDisplay
from hierarchical_reasoning.training.log import UpdateRecord
from hierarchical_reasoning.training.sharding.launch import Launch
from hierarchical_reasoning.training.update_record import figures
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile
from llm_backends.scripted_server import Call, Reply, ScriptedServer, Status

SMALL = [
    *("--n_rows", "4", "--eval_rows", "0", "--epochs", "1", "--batch_size", "2", "--save_every", "1"),
    *(
        "--gradient_accumulation_steps",
        "1",
        "--gen_batch_size",
        "2",
        "--no_filter_groups",
        "--label_level",
        "1",
    ),
    *("--max_thought_tokens", "5", "--max_answer_tokens", "5", "--num_icl_examples", "0", "--device", "cpu"),
    *("--max_depth", "2", "--branching_factor", "2", "--max_nodes_per_level", "2", "--reward_alpha", "0.4"),
]


def rating(call: Call) -> Reply:
    """By what stands between the lines of equals signs alone."""
    text = call.messages[-1][1]
    assert "42" not in text, "the ground truth"
    return Reply(json.dumps({"choice": str(zlib.crc32(text.encode()) % 11)}), prompt_tokens=50)


def hato(folder: Path, model: Path, *more: str) -> Result:
    return CliRunner().invoke(
        main,
        [
            *(
                "train",
                "hato",
                "--model_id",
                str(model),
                "--data_file",
                str(problems_file(folder, 8)),
                *SMALL,
            ),
            *("--output_dir", str(folder / "out"), "--cache_dir", str(folder / "cache"), *more),
        ],
    )


def judged(server: ScriptedServer) -> list[str]:
    return [
        *("--local_reward", "judge", "--high_level_model_name", "scripted"),
        *("--high_level_llm_framework", "vllm", "--high_level_base_url", server.base_url),
    ]


def trees_of(folder: Path) -> list[ReasoningTree]:
    files = sorted((folder / "out" / "rollouts").glob("*-trees.jsonl"))
    return [placed.tree for file in files for placed in TreeFile(file)]


def told(call: Call) -> str:
    return call.messages[-1][1]


def updates_of(folder: Path) -> list[dict[str, Any]]:
    """But for what was paid, since what a cache has is not."""
    records = [record for record in log_of(folder / "out") if record["kind"] == "update"]
    return [{k: v for k, v in record.items() if k not in ("calls", "cost_usd")} for record in records]


def test_every_node_has_the_rating_of_its_step_and_none_is_asked_for_twice(
    tmp_path: Path, planner_model: Path
) -> None:
    with ScriptedServer(rating, dialect="vllm") as server:
        done = hato(tmp_path, planner_model, *judged(server))
        assert done.exit_code == 0, done.output
        asked = [told(call) for call in server.calls]
    assert len(asked) == len(set(asked)) > 8
    calls = [record["calls"] for record in log_of(tmp_path / "out") if record["kind"] == "update"]
    assert sum(calls) == len(asked)
    trees = trees_of(tmp_path)
    assert len(trees) == 4
    ratings = {number / 10 for number in range(11)}
    found = [
        node.scores.local
        for tree in trees
        for node in (*tree.nodes.values(), *tree.pruned.values())
        if node.parent is not None and node.scores is not None
    ]
    assert set(found) <= ratings
    assert len(set(found)) > 3
    shown = " ".join(done.output.split())
    assert "trees of update 1: " in shown
    assert "diversity of siblings" in shown


def test_where_the_judge_fails_for_good_the_run_stops_and_goes_on_later(
    tmp_path: Path, planner_model: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    with ScriptedServer(rating, dialect="vllm") as server:
        assert hato(whole, planner_model, *judged(server)).exit_code == 0
        asked_at_once = {told(call) for call in server.calls}
    last = len(asked_at_once) * 3 // 4

    def fails(call: Call) -> Reply | Status:
        return rating(call) if call.index < last else Status(400, "the machine is being taken away")

    with ScriptedServer(fails, dialect="vllm") as server:
        port = int(server.address.rpartition(":")[2])
        stopped = hato(cut, planner_model, *judged(server), "--max_concurrency", "2")
        rated = {told(call) for call in server.calls if call.index < last}
    assert stopped.exit_code == 1
    shown = " ".join(stopped.output.split())
    assert "was not rated: BadRequestError: " in shown
    assert "the machine is being taken away" in shown
    assert "(--high_level_model_name scripted), then go on with --resume" in shown
    assert "Traceback" not in stopped.output
    with ScriptedServer(rating, dialect="vllm", port=port) as server:
        resumed = hato(cut, planner_model, *judged(server), "--resume", "--max_concurrency", "2")
        assert resumed.exit_code == 0, resumed.output
        again = {told(call) for call in server.calls}
    assert len(again & rated) <= 2  # what was in flight
    assert again | rated == asked_at_once
    assert updates_of(cut) == updates_of(whole)
    assert trees_of(cut) == trees_of(whole)


def test_replies_that_are_no_rating_are_asked_for_again(tmp_path: Path, planner_model: Path) -> None:
    def sometimes(call: Call) -> Reply | Status:
        if call.index == 1:
            return Status(503, "busy")
        return Reply('{"choice": "splendid"}') if call.index == 2 else rating(call)

    with ScriptedServer(sometimes, dialect="vllm") as server:
        done = hato(tmp_path, planner_model, *judged(server), "--n_rows", "2")
        assert done.exit_code == 0, done.output
        assert len(server.calls) - len({told(call) for call in server.calls}) == 2


@pytest.mark.parametrize("explorer", ["thought_tree", "linear"])
def test_other_explorers_are_rated_when_they_have_grown(
    tmp_path: Path, planner_model: Path, explorer: str
) -> None:
    more = ["--explorer", explorer, "--n_rows", "2", "--max_new_tokens", "5", "--max_steps_per_episode", "3"]
    with ScriptedServer(rating, dialect="vllm") as server:
        done = hato(tmp_path, planner_model, *judged(server), *more)
        assert done.exit_code == 0, done.output
        n_asked = len(server.calls)
    nodes = [node for tree in trees_of(tmp_path) for node in tree.nodes.values() if node.parent is not None]
    assert {node.scores.local for node in nodes if node.scores} <= {number / 10 for number in range(11)}
    assert 0 < n_asked <= len(nodes)


def test_the_value_head_rates_thoughts_and_its_calibration_is_told(
    tmp_path: Path, planner_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "explorer": "search_tree", "credit": "hierarchical", "label_level": 1, "num_icl_examples": 0,
        "max_thought_tokens": 5, "max_answer_tokens": 5, "max_depth": 2, "branching_factor": 3,
        "max_nodes_per_level": 1, "eval_rows": 0, "reward_alpha": 0.1, "pruning_threshold": 0.05,
        "local_reward": "value", "epochs": 2,
    }  # fmt: skip
    made = parts(tmp_path, planner_model, settings)
    _, records = train(made)
    for tree in trees_of(tmp_path):
        for node in tree.nodes.values():
            if node.kind == "thought":
                assert node.scores is not None
                assert node.scores.local == (0.5 if node.scores.value is None else node.scores.value)
    updates = [record for record in records if isinstance(record, UpdateRecord)]
    assert not updates[0].calibration
    assert updates[-1].calibration, "the value head has learned by then"
    display = LanguageModelDisplay(made.config, Launch(1, 0, "cpu"))
    for record in updates:
        n, bins = record.metrics.get("estimates", 0), record.calibration
        assert sum(each["n"] for each in bins) == n
        assert bool(bins) is ("ece" in record.metrics)
        if bins:
            apart = (each["n"] * abs(each["predicted"] - each["observed"]) for each in bins)
            assert record.metrics["ece"] == pytest.approx(sum(apart) / n)
            assert 0 <= record.metrics["brier"] <= 1
        display.show(record)
        assert ("ECE of values" in capsys.readouterr().out) is bool(bins)
    assert figures(updates[-1])["trees/ece"] == updates[-1].metrics["ece"]
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "Reliability of the value head" in page
    assert "Peak memory, MiB" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--local_reward", "judge"), "name it with --high_level_model_name"),
        (
            ("--local_reward", "judge", "--high_level_model_name", "m", "--reward_alpha", "0"),
            "--local_reward judge with --reward_alpha 0: nothing reads it",
        ),
        (
            ("--local_reward", "value", "--explorer", "thought_tree"),
            "the value head of --explorer search_tree",
        ),
        (
            (
                "--local_reward",
                "judge",
                "--high_level_model_name",
                "m",
                "--high_level_llm_framework",
                "opnai",
            ),
            "opnai",
        ),
    ],
    ids=["no model", "no weight", "no head", "no backend"],
)
def test_what_cannot_rate_is_refused_before_anything_is_loaded(
    tmp_path: Path, planner_model: Path, flags: tuple[str, ...], message: str
) -> None:
    done = hato(tmp_path, planner_model, *flags)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_judge_without_a_server_ends_the_command_before_it_trains(
    tmp_path: Path, planner_model: Path
) -> None:
    server = ScriptedServer(rating, dialect="vllm")
    server.start()
    server.stop()
    done = hato(tmp_path, planner_model, *judged(server))
    assert done.exit_code != 0
    assert "Traceback" not in done.output
    assert not list((tmp_path / "out").glob("rollouts/*"))


def test_a_judge_that_is_not_asked_is_told(tmp_path: Path, planner_model: Path) -> None:
    done = hato(tmp_path, planner_model, "--high_level_model_name", "m", "--val_only", "--eval_rows", "2")
    assert "--high_level_model_name m has no effect with no model that rates thoughts" in " ".join(
        done.output.split()
    )
