"""The main job through a real vLLM server, beside the same model in this process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.results.records import ResultsFile
from tests.real_vllm.conftest import Server

ROOT = Path(__file__).parents[2]
N = 80


def run(cache_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> ResultsFile:
    command = [sys.executable, str(ROOT / "hierarchical_reasoning.py"), "--cache_dir", str(cache_dir)]
    done = subprocess.run(
        [*command, "--n_rows", str(N), "--max_concurrency", "64", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = cache_dir.glob("results_*.json")
    return ResultsFile.model_validate_json(path.read_text())


def metric(server: Server, name: str) -> float:
    address = server.base_url.removesuffix("/v1") + "/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^vllm:{name}\{{.*\}} (\S+)$", text, re.M))


@pytest.mark.parametrize("planner", ["model", "teacher"])
def test_accuracy_is_that_of_the_model_in_this_process(server: Server, tmp_path: Path, planner: str) -> None:
    before = metric(server, "prefix_cache_hits_total"), metric(server, "prefix_cache_queries_total")
    served = run(
        tmp_path / "vllm",
        *("--planner", planner, "--llm_framework", "vllm", "--model_name", server.model),
        *("--vllm_base_url", server.base_url, "--num_icl_examples", "0"),
    )
    after = metric(server, "prefix_cache_hits_total"), metric(server, "prefix_cache_queries_total")
    local = run(tmp_path / "local", "--planner", planner)
    assert served.summary.outcomes["error"] == 0  # type: ignore[index]
    pairs = zip(served.results, local.results, strict=True)
    differ = [bool(one.is_correct) - bool(other.is_correct) for one, other in pairs]
    # The same problems, so only those that went differently count; of n such, the difference has a standard deviation
    # of the root of n where both are equally good.
    changed = sum(map(abs, differ))
    assert abs(sum(differ)) <= 3 * max(1, changed) ** 0.5
    hits, queries = after[0] - before[0], after[1] - before[1]
    assert hits / queries > 0.5, "most of every prompt is served from the prefix cache"
    cached = sum(used.cached_tokens for used in served.summary.usage.values())
    assert cached == pytest.approx(hits, rel=0.01)
    if planner == "model":
        check_probabilities(served, local)


def check_probabilities(served: ResultsFile, local: ResultsFile) -> None:
    """Most choices of the server come with probabilities, and the first of every problem, before which both have seen
    the same, with those that the model has in this process."""
    steps = [step for entry in served.results for step in entry.steps if step.planner_usage]
    known = [step.planner_probabilities for step in steps if step.planner_probabilities]
    assert len(known) > 0.5 * len(steps)
    assert all(sum(found.values()) <= 1 + 1e-6 for found in known)
    compared = 0
    for one, other in zip(served.results, local.results, strict=True):
        exact = other.steps[0].planner_probabilities or {}
        for name, probability in (one.steps[0].planner_probabilities or {}).items():
            assert probability == pytest.approx(exact[name], abs=0.02)
            compared += 1
    assert compared >= N


def test_a_run_starts_a_server_of_its_own_and_stops_it(server: Server, tmp_path: Path) -> None:
    environment = server.environment | {"HR_STATE_DIR": str(tmp_path / "state")}
    found = run(
        tmp_path / "cache",
        *("--llm_framework", "vllm", "--model_name", str(MODEL), "--vllm_auto_start", "--n_rows", "5"),
        environment=environment,
    )
    assert found.summary.outcomes["error"] == 0  # type: ignore[index]
    assert found.config["num_icl_examples"] == 0  # the model's directory says so
    assert json.loads(json.dumps(found.config["backends"]))["reasoner"]["framework"] == "vllm"
    left = [path for path in (tmp_path / "state").rglob("*.json") if path.is_file()]
    assert left == []
