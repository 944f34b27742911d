"""Value heads on embeddings of a real server, from the command line: what they take is cached, counted and bounded."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hierarchical_reasoning.cli.main import main
from llm_backends.scripted_server import Call, Raw, Reply, ScriptedServer
from llm_backends.scripted_server.replies import tokens_of

MODELS = ("scripted", "embedder")


def number(call: Call, below: int) -> int:
    return zlib.crc32(json.dumps([call.messages, call.body.get("seed")]).encode()) % below


def reply(call: Call) -> Reply:
    if "final answer" in call.messages[-1][1]:
        return Reply(f"\\boxed{{{12 + number(call, 3)}}}")
    return Reply(f"A thought with number {number(call, 1000)}.")


def embeds(call: Call) -> bool:
    return call.path.endswith("/embeddings")


def run(folder: Path, server: ScriptedServer, *more: str, name: str = "run") -> dict[str, Any]:
    problems = folder / "problems.jsonl"
    rows = [{"id": f"p{n}", "prompt": f"What is {n} + 12?", "answer": n + 12} for n in range(5)]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    directory = folder / name
    done = CliRunner().invoke(
        main,
        [
            *("run", "--input_file", str(problems), "--n_rows", "5", "--num_icl_examples", "0"),
            *("--llm_framework", "vllm", "--base_url", server.base_url, "--model_name", "scripted"),
            *("--value_features", "embeddings", "--embedding_model_name", "embedder", "--learn_every", "1"),
            *("--search", "beam", "--planner", "untyped", "--max_depth", "2", "--branching_factor", "2"),
            *("--max_nodes_per_level", "2", "--no_pruning", "--fixed_branching"),
            *("--temperature", "0.7", "--max_thought_tokens", "12", "--max_answer_tokens", "16"),
            *("--cache_dir", str(directory), *more),
        ],
    )
    assert done.exit_code == 0, done.output
    newest = max(directory.glob("results_*.json"), key=lambda path: path.stat().st_mtime_ns)
    content: dict[str, Any] = json.loads(newest.read_text())
    return content


def comparable(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Without times, memory, and which replies a cache had."""
    for entry in content["results"]:
        del entry["seconds"], entry["memory"], entry["search"]["seconds"]
        for used in entry["usage"].values():
            del used["from_cache"], used["cost_usd"], used["cost_from_cache_usd"]
    entries: list[dict[str, Any]] = content["results"]
    return entries


def test_what_is_embedded_is_in_the_usage_and_never_asked_for_twice(tmp_path: Path) -> None:
    with ScriptedServer(reply, dialect="vllm", models=MODELS) as server:
        first = run(tmp_path, server, "--max_concurrency", "1")
        calls = list(server.calls)
        embedded = [call for call in calls if embeds(call)]
        used = [entry["usage"]["value head"] for entry in first["results"]]
        assert all(each["calls"] > 0 for each in used)
        assert sum(each["calls"] for each in used) == len(embedded)
        sent = sum(len(tokens_of(text)) for call in embedded for text in call.body["input"])
        assert sum(each["prompt_tokens"] for each in used) == sent
        in_all = sum(each["calls"] for entry in first["results"] for each in entry["usage"].values())
        assert in_all == len(calls)
        assert first["summary"]["trees"]["calibration"]["n"] > 0
        again = run(tmp_path, server, "--max_concurrency", "1")
        assert len(server.calls) == len(calls)
        assert sum(entry["usage"]["value head"]["from_cache"] for entry in again["results"]) == len(embedded)
        assert comparable(again) == comparable(first)


def test_it_is_the_same_at_any_concurrency_and_after_a_cut(tmp_path: Path) -> None:
    with ScriptedServer(reply, dialect="vllm", models=MODELS) as server:
        one = comparable(run(tmp_path, server, "--max_concurrency", "1", name="one"))
        assert comparable(run(tmp_path, server, "--max_concurrency", "8", name="many")) == one
        (journal,) = (path for path in (tmp_path / "one").glob("*.jsonl") if "-trees" not in path.name)
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(line for line in lines if b'"problem_id": "p3"' not in line))
        n_asked = len(server.calls)
        assert comparable(run(tmp_path, server, "--resume", str(journal), name="one")) == one
        assert len(server.calls) == n_asked


@pytest.mark.parametrize(
    "bound", [("--max_search_calls", "14"), ("--max_search_tokens", "3200")], ids=["calls", "tokens"]
)
def test_no_bound_is_exceeded_by_estimates(tmp_path: Path, bound: tuple[str, str]) -> None:
    with ScriptedServer(reply, dialect="vllm", models=MODELS) as server:
        results = run(tmp_path, server, *bound, "--max_depth", "4")["results"]
    name, most = bound[0].removeprefix("--max_search_"), int(bound[1])
    assert all(0 < entry["search"][name] <= most for entry in results)
    assert any(f"{bound[0]} is {most}" in entry["search"]["ended"] for entry in results)
    assert all(entry["final_response"] for entry in results)
    entry = results[-2]  # its estimates are in the bound, and what was embedded to learn from its tree is not
    of_models = sum(used["calls"] for role, used in entry["usage"].items() if role != "value head")
    assert of_models < entry["search"]["calls"] < of_models + entry["usage"]["value head"]["calls"]


def test_vectors_of_another_length_are_told_and_no_traceback(tmp_path: Path) -> None:
    server = ScriptedServer(reply, dialect="vllm", models=MODELS)
    with server:
        run(tmp_path, server, "--max_concurrency", "1", name="before")
        last = [call.index for call in server.calls if embeds(call)][-1]
        texts = server.calls[last].body["input"]
    vectors = [{"index": index, "embedding": [0.5] * 7} for index in range(len(texts))]
    wide = Raw(json.dumps({"data": vectors, "usage": {"prompt_tokens": 9}}).encode())
    with ScriptedServer(reply, dialect="vllm", models=MODELS, faults={last: wide}) as other:
        content = run(tmp_path, other, "--max_concurrency", "1", name="after")
    notes = content["config"]["notes"] + [note for entry in content["results"] for note in entry["notes"]]
    told = [note for note in notes if re.search(r"'embedder' have 7 numbers, and had 16 before", note)]
    assert told
    assert all("--embedding_model_name" in note for note in told)
