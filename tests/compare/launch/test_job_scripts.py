"""The scripts for runs of models on Slurm, on a real one: each job with a server of its own, which ends with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_run import write_problems
from slurm_cluster import wait_until
from test_hosted_runs import reply

from hierarchical_reasoning.journal.file import read_journal
from hierarchical_reasoning.results.records import ResultsFile
from llm_backends.scripted_server import ScriptedServer
from llm_backends.vllm_server import ServerRegistry
from llm_backends.vllm_server.ports import port_in_use

ROOT = Path(__file__).parents[3]
RUNNERS = ROOT / "runner_scripts"
SCRIPTS = [
    RUNNERS / name for name in ("submit_jobs.sh", "run_hierarchical_reasoning.slurm", "run_examples.sh")
]
SERVED = """\
import pathlib, time
from llm_backends.scripted_server import ScriptedServer, first_option

calls = 0

def reply(call):
    global calls
    calls += 1
    while calls > 6 and not pathlib.Path("go").exists():
        time.sleep(0.05)
    return first_option(call)

def serve(folder, name, port):
    ScriptedServer(reply, dialect="vllm", models=(name,), port=port).start()
    time.sleep(600)
"""
"""What the fake vLLM serves in the mode `model`: two problems of three calls each, and the rest when it may."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_sound(script: Path) -> None:
    checkers = [["bash", "-n"]] + ([["shellcheck"]] if shutil.which("shellcheck") else [])
    for checker in checkers:
        done = subprocess.run([*checker, str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "/home/" not in script.read_text()


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("submit_jobs.sh", ["--verbose"], "there is no option --verbose; allowed are --start_vllm_verbose"),
        ("submit_jobs.sh", ["--sbatch"], "--sbatch needs a value"),
        ("run_hierarchical_reasoning.slurm", ["org/model"], "this is a job script: sbatch"),
        ("run_examples.sh", ["--output"], "--output needs a value"),
    ],
    ids=["an unknown option", "no value", "outside of a job", "no output"],
)
def test_what_cannot_be_is_told(script: str, arguments: list[str], said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    command = ["bash", str(RUNNERS / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert said in done.stderr


def test_examples_are_vanilla_and_every_level_with_the_accuracy_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    with ScriptedServer(reply) as server:
        done = subprocess.run(
            [
                *(RUNNERS / "run_examples.sh", "--python", sys.executable, "--output", tmp_path / "examples"),
                *("--input_file", problems, "--n_rows", "3", "--num_icl_examples", "0", "--no_report"),
                *("--llm_framework", "openai", "--model_name", "scripted", "--base_url", server.base_url),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (tmp_path / "examples/arms").iterdir()} == {"vanilla", *map(str, range(7))}
    table = [line for line in done.stdout.splitlines() if line.startswith(("│", "|"))]
    rows = [line for line in table if "66.7 %" in line]  # two of three are answered right
    assert [line.strip("│| ").partition("  ")[0].partition(" |")[0].strip() for line in rows] == [
        "vanilla",
        *(f"level {level}" for level in range(7)),
    ]


@pytest.mark.slurm
def test_a_job_a_model_that_is_queued_again_and_does_what_is_owed(
    slurm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs of one model at the same time, each on a node and both on this machine; one is told to end."""
    _serve_scripted(tmp_path, monkeypatch)
    rows = [{"id": f"p{n}", "prompt": f"What is {n} + 1?", "answer": n + 1} for n in range(6)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [
            *(RUNNERS / "submit_jobs.sh", "--python", sys.executable, "--sbatch", "--time=60"),
            *("--thinking_verbose", "org/some-model", "org/some-model", "--"),
            *("--input_file", "problems.jsonl", "--n_rows", "6", "--max_concurrency", "1"),
            *("--max_reasoning_steps", "2", "--num_icl_examples", "0"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    jobs = re.findall(r"^job (\d+): org/some-model$", done.stdout, re.MULTILINE)
    assert len(jobs) == 2
    first = jobs[0]
    runs = {job: tmp_path / "cache/runs" / f"hr-some-model-{job}" for job in jobs}
    wait_until(lambda: all(_finished(runs[job]) == ["p0", "p1"] for job in jobs), timeout_s=240)
    servers = ServerRegistry().records()
    assert sorted(record.job or "" for record in servers) == sorted(jobs)
    assert len({record.port for record in servers}) == 2

    (log,) = tmp_path.glob(f"logs/org_some-model_*_{first}.log")
    subprocess.run(["scancel", "--batch", "--signal=USR1", first], check=True)
    wait_until(lambda: "what is in flight has 225 s to finish" in log.read_text())
    (tmp_path / "go").touch()
    wait_until(lambda: not _queued(), timeout_s=240)

    for folder in runs.values():
        assert sorted(_finished(folder)) == [row["id"] for row in rows]  # each once
        newest = max(folder.glob("results_*.json"), key=lambda path: path.stat().st_mtime)
        summary = ResultsFile.model_validate_json(newest.read_text()).summary
        assert (summary.n, summary.missing) == (6, 0)
    outputs = {job: (tmp_path / f"hr-some-model-{job}.out").read_text() for job in jobs}
    assert [outputs[job].count(f"job {job} on n") for job in jobs] == [2, 1]
    assert f"job {first} goes back into the queue" in log.read_text()
    (later,) = set(tmp_path.glob(f"logs/org_some-model_*_{first}.log")) - {log}
    assert "3 of 6 problems are done" in " ".join(later.read_text().split())
    assert ">>> I'll select the next thought type" in later.read_text()  # --thinking_verbose is passed on
    assert ServerRegistry().records() == ()
    assert not any(port_in_use("127.0.0.1", record.port) for record in servers)


def _serve_scripted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In jobs, scripted replies in place of vLLM."""
    served = folder / "served"
    served.mkdir()
    (served / "served_model.py").write_text(SERVED)
    fake = ROOT / "tests/vllm_server/fake_vllm"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (served, fake, ROOT))))
    monkeypatch.setenv("FAKE_VLLM", "model")
    monkeypatch.setenv("HR_STATE_DIR", str(folder / "state"))
    for name in ("HR_VLLM_PYTHON", "VLLM_API_KEY", "VLLM_BASE_URL", "VLLM_MODEL", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)


def _finished(folder: Path) -> list[str]:
    """The problems that a run has in its journal."""
    return [record.problem_id for path in folder.glob("*.jsonl") for record in read_journal(path).records]


def _queued() -> str:
    return subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout
