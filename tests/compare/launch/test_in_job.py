"""A command in a job, with real signals; only `scontrol` is a script that remembers what it was asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm_cluster import wait_until

MAIN = "from hierarchical_reasoning.cli.main import main; main()"
WORK = """
import pathlib, signal, sys, time
terms = []
signal.signal(signal.SIGTERM, lambda *_: terms.append(1))
pathlib.Path("started").touch()
while len(terms) < {terms}:
    time.sleep(0.02)
sys.exit({status})
"""
"""A command that ends at the n-th SIGTERM."""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command in a job, and waits until the command has started."""
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(
        '#!/bin/bash\necho "$@" >>asked\n[[ ! -e refusing ]] || { echo no requeue >&2; exit 1; }\n'
    )
    scontrol.chmod(0o755)
    running: list[subprocess.Popen[str]] = []

    def started(code: str, *options: str, restarts: int = 0, **more: str) -> subprocess.Popen[str]:
        environment = os.environ | {
            "PATH": f"{scontrol.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "HR_STATE_DIR": str(tmp_path / "state"),
            "SLURM_JOB_ID": "17",
            "SLURM_RESTART_COUNT": str(restarts),
        }
        environment |= more
        command = [sys.executable, "-c", MAIN, "slurm-job", *options, "--", sys.executable, "-c", code]
        running.append(
            subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stderr=subprocess.PIPE)
        )
        wait_until((tmp_path / "started").exists)
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.communicate()


def asked(folder: Path) -> str:
    file = folder / "asked"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=lambda number: number.name)
def test_what_is_in_flight_finishes_and_the_job_is_queued_again(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    running = start(WORK.format(terms=1, status=130))
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (75, "requeue 17\n")
    assert "job 17 goes back into the queue" in said


def test_a_task_of_an_array_is_queued_without_the_others(start: Start, tmp_path: Path) -> None:
    array = {
        "SLURM_ARRAY_JOB_ID": "17",
        "SLURM_ARRAY_TASK_ID": "4",
    }  # its last task has the number of the array
    running = start(WORK.format(terms=1, status=130), **array)
    running.send_signal(signal.SIGUSR1)
    running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (75, "requeue 17_4\n")


def test_what_does_not_finish_is_told_twice(start: Start, tmp_path: Path) -> None:
    running = start(WORK.format(terms=2, status=130), "--grace", "0.5")
    running.send_signal(signal.SIGUSR1)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (75, "requeue 17\n")
    assert "it has not finished, and is owed" in said


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_command_that_came_to_its_end_is_not_run_again(start: Start, tmp_path: Path, status: int) -> None:
    running = start(WORK.format(terms=1, status=status))
    running.send_signal(signal.SIGUSR1)
    running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (status, "")


def test_what_others_end_is_not_queued_again(start: Start, tmp_path: Path) -> None:
    running = start(WORK.format(terms=1, status=130))
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (130, "")


def test_a_command_that_a_signal_ends_by_itself_is_a_failure(start: Start, tmp_path: Path) -> None:
    running = start("import os, pathlib; pathlib.Path('started').touch(); os.kill(os.getpid(), 9)")
    running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (137, "")


def test_a_signal_to_the_command_itself_does_not_end_it(start: Start, tmp_path: Path) -> None:
    code = f"import os; open('pid', 'w').write(str(os.getpid()))\n{WORK.format(terms=1, status=130)}"
    running = start(code)
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGUSR1)
    time.sleep(0.2)
    os.kill(pid, 0)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 130


def test_a_job_is_not_queued_without_end(start: Start, tmp_path: Path) -> None:
    running = start(WORK.format(terms=1, status=130), "--requeues", "3", restarts=3)
    running.send_signal(signal.SIGUSR1)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, asked(tmp_path)) == (130, "")
    assert "queued again 3 times already" in said


def test_a_refusal_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "refusing").touch()
    running = start(WORK.format(terms=1, status=130))
    running.send_signal(signal.SIGUSR1)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "job 17 cannot go back into the queue (no requeue); submit it again" in said


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, "slurm-job", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=60)


def test_outside_of_a_job_it_says_so() -> None:
    done = ran("--", "true")
    assert done.returncode == 2
    assert "SLURM_JOB_ID is not set" in done.stderr


def test_a_command_that_there_is_not(tmp_path: Path) -> None:
    done = ran("--", "no-such-command", SLURM_JOB_ID="1", HR_STATE_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "no-such-command cannot be run (No such file or directory)" in done.stderr


@pytest.mark.slurm
def test_slurm_itself_queues_one_task_of_an_array_again(
    slurm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task that has the number of the whole array, while the other runs on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("HR_STATE_DIR", str(tmp_path / "state"))
    work = tmp_path / "work.sh"
    work.write_text(
        "trap 'exit 130' TERM\n"
        "echo $SLURM_JOB_ID >>starts-$SLURM_ARRAY_TASK_ID\n"
        "while [[ ! -e go ]]; do sleep 0.1; done\n"
        "touch done-$SLURM_ARRAY_TASK_ID\n"
    )
    script = tmp_path / "job.sh"
    script.write_text(f'#!/bin/bash\nexec {sys.executable} -c "{MAIN}" slurm-job -- bash work.sh\n')
    submitted = ["sbatch", "--parsable", "--array=1-2", "--requeue", "--open-mode=append", str(script)]
    array = subprocess.run(submitted, capture_output=True, text=True, check=True).stdout.strip()
    starts = {task: tmp_path / f"starts-{task}" for task in (1, 2)}
    wait_until(lambda: all(path.exists() and path.read_text() for path in starts.values()))
    (leader,) = [task for task, path in starts.items() if path.read_text().strip() == array]

    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{array}_{leader}"], check=True)
    wait_until(lambda: starts[leader].read_text().count("\n") == 2)
    (tmp_path / "go").touch()
    wait_until(lambda: all((tmp_path / f"done-{task}").exists() for task in (1, 2)))
    assert starts[3 - leader].read_text().count("\n") == 1
