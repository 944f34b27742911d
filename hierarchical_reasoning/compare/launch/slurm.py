"""Slurm, by its own commands: jobs are handed over with ``sbatch``, and ``squeue`` says which are still there.

Slurm's accounting is not asked: many clusters have none, and what became of a shard is in the study's directory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.errors import ConfigError

_FORMAT = "%F|%K|%T|%r"
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class QueuedTask:
    """A job that Slurm still has, or a task of an array."""

    job: str
    """The number that sbatch told."""
    task: int | None
    """Its index in the array; None for a job that is no array."""
    state: str
    """As Slurm names it: PENDING, RUNNING, COMPLETING, ..."""
    reason: str
    """Why it waits; "None" where it does not."""


def sbatch(arguments: Sequence[str]) -> tuple[str, str | None]:
    """Hand over a job; its number, and the cluster where Slurm has several.

    Raises:
        ConfigError: there is no Slurm here, or it does not take the job.
    """
    done = _run(["sbatch", "--parsable", *arguments])
    if done.returncode:
        said = " ".join(done.stderr.replace("sbatch: error:", "").split())
        raise ConfigError(f"Slurm did not take the job: {said} (see the options --slurm_...)")
    number, _, cluster = done.stdout.strip().partition(";")
    if not number.isdecimal():
        raise ConfigError(f"sbatch printed {done.stdout.strip()!r} where the number of the job should be")
    return number, cluster or None


def queued_tasks(jobs: Iterable[str], cluster: str | None = None) -> tuple[QueuedTask, ...]:
    """What is still queued or running of these jobs, task by task; the job with the lowest number comes first.

    Raises:
        ConfigError: there is no Slurm here, or it does not answer.
    """
    wanted = set(jobs)
    where = [] if cluster is None else ["--clusters", cluster]
    # squeue fails for a job that it has forgotten, so all of them are asked for, and sorted out here.
    done = _run(["squeue", *where, "--noheader", "--array", "--format", _FORMAT])
    if done.returncode:
        raise ConfigError(f"Slurm does not answer: {' '.join(done.stderr.split())}")
    rows = [line.strip().split("|") for line in done.stdout.splitlines() if line.count("|") == 3]
    found = [
        QueuedTask(job, int(task) if task.isdecimal() else None, state, reason)
        for job, task, state, reason in rows
        if job in wanted
    ]
    return tuple(sorted(found, key=lambda queued: (int(queued.job), queued.task or 0)))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {command[0]} here, so no Slurm; go to a machine that submits jobs, or leave --launcher out"
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{command[0]} did not answer within {_TIMEOUT_S:.0f} seconds; try again") from None
