"""A study handed over to Slurm: its shards as a job array, and what depends on them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hierarchical_reasoning.compare.launch.scripts import (
    merge_options,
    merge_script,
    shard_options,
    shard_script,
)
from hierarchical_reasoning.compare.launch.settings import SlurmSettings
from hierarchical_reasoning.compare.launch.slurm import QueuedTask, queued_tasks, sbatch
from hierarchical_reasoning.compare.plan import Record, read_record, write_record
from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.wording import counted
from taxonomy.atomic import write_atomically

What = Literal["shards", "twins", "merge"]


class Job(BaseModel):
    """A job that Slurm has taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    cluster: str | None
    """Where Slurm has several."""
    what: What
    shards: int
    submitted: str
    """When, in UTC."""
    command: str
    """As a shell takes it."""


class _Jobs(Record):
    """The content of ``launch/jobs.json``: every job that was ever handed over for the study."""

    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True)
class _Planned:
    what: What
    arguments: tuple[str, ...]
    """Of sbatch, less what it depends on."""
    script: Path


def submit(directory: Path, settings: SlurmSettings, *, cache_dir: Path, rounds: int) -> tuple[Job, ...]:
    """Hand over what is owed of a study: all shards as an array; with two rounds the array once more, when every shard
    has told how much it took and the compute-matched twins are known; then the merge.

    Each waits until all tasks before it have ended, however they did: what failed is owed, and the merge says so.

    Args:
        directory: of a study that was begun.
        cache_dir: replies are kept there, each shard's in a folder of its own.
        rounds: 1 or 2, see `hierarchical_reasoning.compare.rounds`.

    Raises:
        ConfigError: jobs of the study are still queued, there is no Slurm, or it does not take a job.
        OutputError: the directory cannot be written.
    """
    check_not_queued(directory)
    submitted: list[Job] = []
    for planned in _plan(directory, settings, cache_dir, rounds):
        after = [f"--dependency=afterany:{submitted[-1].id}"] if submitted else []
        arguments = [*planned.arguments, *after, str(planned.script)]
        try:
            number, cluster = sbatch(arguments)
        except ConfigError as error:
            raise ConfigError(_half_done(error, planned.what, submitted, directory)) from error
        submitted.append(
            Job(
                id=number,
                cluster=cluster,
                what=planned.what,
                shards=settings.shards,
                submitted=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                command=shlex.join(["sbatch", *arguments]),
            )
        )
        _remember(directory, submitted[-1])
    return tuple(submitted)


def commands(directory: Path, settings: SlurmSettings, *, cache_dir: Path, rounds: int) -> tuple[str, ...]:
    """Write the scripts, and give the commands that `submit` would run, with names for the numbers that Slurm gives."""
    found: list[str] = []
    previous: str | None = None
    for planned in _plan(directory, settings, cache_dir, rounds):
        after = "" if previous is None else f' --dependency=afterany:"${previous}"'
        command = shlex.join(["sbatch", "--parsable", *planned.arguments])
        found.append(f"{planned.what}=$({command}{after} {shlex.quote(str(planned.script))})")
        previous = planned.what
    return tuple(found)


def queued(directory: Path) -> tuple[QueuedTask, ...]:
    """The jobs of a study that Slurm still has, task by task. Where none was ever handed over, Slurm is not asked.

    Raises:
        ConfigError: Slurm does not answer.
    """
    jobs = submitted_jobs(directory)
    clusters = sorted({job.cluster for job in jobs}, key=str)
    return tuple(
        task
        for cluster in clusters
        for task in queued_tasks([job.id for job in jobs if job.cluster == cluster], cluster)
    )


def check_not_queued(directory: Path) -> None:
    """Two of a kind would ask for the same things.

    Raises:
        ConfigError: Slurm still has jobs of the study, or does not answer.
    """
    tasks = queued(directory)
    if tasks:
        ids = dict.fromkeys(task.job for task in tasks)
        raise ConfigError(
            f"Slurm still has {counted(len(tasks), 'task')} of {directory}; wait until they end "
            f"(hierarchical-reasoning status {directory}), or cancel them: scancel {' '.join(ids)}"
        )


def submitted_jobs(directory: Path) -> tuple[Job, ...]:
    """Every job that was handed over for a study, the oldest first."""
    found = read_record(_jobs_file(directory), _Jobs)
    return () if found is None else found.jobs


def _plan(directory: Path, settings: SlurmSettings, cache_dir: Path, rounds: int) -> list[_Planned]:
    """Writes the scripts."""
    folder = directory.absolute() / "launch"
    logs, shards, merge = folder / "logs", folder / "shards.sh", folder / "merge.sh"
    try:
        logs.mkdir(
            parents=True, exist_ok=True
        )  # Slurm does not make it, and a job without its log fails unseen
        write_atomically(shards, shard_script(directory.absolute(), cache_dir.absolute(), settings).encode())
        write_atomically(merge, merge_script(directory.absolute(), settings).encode())
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}); choose another --output"
        ) from error
    name = re.sub(r"[^\w.-]+", "_", directory.absolute().name) or "study"
    arrays: tuple[What, ...] = ("shards",) if rounds == 1 else ("shards", "twins")
    return [
        *(_Planned(what, tuple(shard_options(f"{name}-{what}", logs, settings)), shards) for what in arrays),
        _Planned("merge", tuple(merge_options(f"{name}-merge", logs, settings)), merge),
    ]


def _half_done(error: ConfigError, what: What, submitted: Sequence[Job], directory: Path) -> str:
    if not submitted:
        return str(error)
    ids = " ".join(job.id for job in submitted)
    by_hand = f"; `hierarchical-reasoning compare --output {directory} --merge` puts results together by hand"
    return f"{error}. That was {what}; what comes before is queued (scancel {ids}){by_hand}"


def _remember(directory: Path, job: Job) -> None:
    write_record(_jobs_file(directory), _Jobs(jobs=(*submitted_jobs(directory), job)))


def _jobs_file(directory: Path) -> Path:
    return directory / "launch" / "jobs.json"
