"""A study on a real Slurm: handed over as an array, disturbed, merged; and the same study done here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_run import write_problems
from slurm_cluster import wait_until
from test_hosted_runs import reply

from hierarchical_reasoning.compare.launch import queued, submitted_jobs
from hierarchical_reasoning.compare.status import study_status
from llm_backends.scripted_server import Answer, Call, ScriptedServer, Status

pytestmark = pytest.mark.slurm
PROBLEMS = 12
IN_FLIGHT = 2
"""Of a shard."""
MAIN = "from hierarchical_reasoning.cli.main import main; main()"


class Held:
    """Replies of a server that tells clients to wait, from some problem on, until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, call: Call) -> Answer:
        match = re.search(r"Problem (\d+)", call.messages[0][1])
        assert match is not None
        if int(match[1]) >= 4 and not self.let_go.is_set():
            return Status(429, headers={"retry-after": "1"})
        return reply(call)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def server(held: Held, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    with ScriptedServer(held) as server:
        yield server


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def study(folder: Path, server: ScriptedServer, *flags: str) -> str:
    problems = folder.parent / "problems.jsonl"
    if not problems.exists():
        write_problems(problems, PROBLEMS)
    return command(
        *("compare", "--output", str(folder), "--arms", "vanilla,2,3", "--input_file", str(problems)),
        *("--n_rows", str(PROBLEMS), "--llm_framework", "openai", "--model_name", "scripted"),
        *("--base_url", server.base_url, "--num_icl_examples", "0", "--max_concurrency", str(IN_FLIGHT)),
        *("--no_report", "--max_retries", "1000", *flags),
    )


def found(folder: Path) -> dict[str, Any]:
    """What a study found, less times, memory, and what a cache had."""
    written = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("arms/*/results.json")}
    return {
        arm: {
            (entry["problem_id"], entry["sample"]): (
                entry["outcome"],
                entry["extracted_answer"],
                entry["steps"],
            )
            for entry in results["results"]
        }
        for arm, results in written.items()
    }


def test_an_array_that_is_killed_queued_again_and_merged_finds_what_this_machine_finds(
    slurm: None, tmp_path: Path, server: ScriptedServer, held: Held
) -> None:
    """One of two tasks is killed and queued again by Slurm; the other is told that its time is nearly over."""
    folder = tmp_path / "slurm"
    said = study(folder, server, "--launcher", "slurm", "--shards", "2", "--slurm_time", "60")
    jobs = submitted_jobs(folder)
    assert [job.what for job in jobs] == ["shards", "twins", "merge"]
    assert [f"job {job.id}: " in said for job in jobs] == [True] * 3

    wait_until(lambda: all(_begun(folder, shard) for shard in (1, 2)), timeout_s=240)
    shown = command("status", str(folder))
    assert f"Slurm job {jobs[0].id}, shards: 2 running" in shown
    assert f"Slurm job {jobs[2].id}, merge: 1 pending (Dependency)" in shown

    subprocess.run(["scontrol", "requeue", f"{jobs[0].id}_1"], check=True)
    subprocess.run(["scancel", "--batch", "--signal=USR2", f"{jobs[0].id}_2"], check=True)
    held.let_go.set()
    wait_until(lambda: not queued(folder), timeout_s=400)

    logs = {log.name: log.read_text() for log in (folder / "launch/logs").iterdir()}
    first, second = (logs[f"slurm-shards-{jobs[0].id}_{task}.out"] for task in (1, 2))
    assert first.count("DUE TO JOB REQUEUE") == 1
    assert "slurm-job:" not in first
    assert f"job {jobs[0].id}_2 goes back into the queue" in second
    assert "Error: job" not in second
    assert study_status(folder).is_complete
    assert "complete" in command("status", str(folder))
    answered = Counter(json.dumps(call.body, sort_keys=True) for call in server.calls if call.fault is None)
    assert (
        sum(answered.values()) - len(answered) <= IN_FLIGHT
    )  # what was under way to the task that was killed

    here = tmp_path / "here"
    study(here, server, "--processes", "1")
    assert found(folder) == found(here)
    assert set(found(here)) > {"vanilla", "2", "3"}
    assert statistics(folder) == statistics(here)


def statistics(folder: Path) -> Any:
    return json.loads((folder / "comparison.json").read_text())["statistics"]


def _begun(folder: Path, shard: int) -> bool:
    """Whether a shard has finished something."""
    journals = folder.glob(f"arms/*/journal-{shard}-of-2.jsonl")
    return any(b'"kind": "problem"' in journal.read_bytes() for journal in journals)
