"""The scripts that Slurm runs, and the options they are handed over with.

What a job may use stands in the options of sbatch, not in the script, so that no value has to be quoted twice.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from hierarchical_reasoning.compare.launch.settings import SlurmSettings
from hierarchical_reasoning.compare.own_command import PROGRAM

_PART_TO_FINISH = 0.75
"""Of the seconds between the signal and the end of a job: as long it may finish what it is at. The rest is for stopping
its server and going back into the queue."""


def shard_script(directory: Path, cache_dir: Path, settings: SlurmSettings) -> str:
    """One shard of the study, which the index of the task in its array names.

    Each shard has a cache of its own, as caches are not to be shared over a network's file system.
    """
    shard = f'"$SLURM_ARRAY_TASK_ID"/{settings.shards}'
    cache = f'{shlex.quote(str(cache_dir))}/"$SLURM_ARRAY_TASK_ID"-of-{settings.shards}'
    grace = round(settings.signal_seconds * _PART_TO_FINISH)
    return _script(
        f"One of {settings.shards} shards of a study. Run again, it does what is owed of it.",
        settings,
        f"exec {_program()} slurm-job --grace {grace} --requeues {settings.requeues} -- \\\n"
        f"    {_program()} compare --output {shlex.quote(str(directory))} \\\n"
        f"    --shard {shard} --cache_dir {cache}",
    )


def merge_script(directory: Path, settings: SlurmSettings) -> str:
    """The results of all shards, their statistics and the report; no model is asked."""
    return _script(
        "The results of a study's shards, put together. It may run at any time.",
        settings,
        f"exec {_program()} compare --output {shlex.quote(str(directory))} --merge",
    )


def shard_options(name: str, logs: Path, settings: SlurmSettings) -> list[str]:
    """Of sbatch, for all shards as one array."""
    limit = "" if settings.array_limit is None else f"%{settings.array_limit}"
    asked = {
        "gres": None if settings.gpus is None else f"gpu:{settings.gpus}",
        "cpus-per-task": settings.cpus,
        "mem": settings.memory,
        "constraint": settings.constraint,
    }
    return [
        *_options(name, logs / "%x-%A_%a.out", settings),
        f"--array=1-{settings.shards}{limit}",
        "--requeue",  # where a node fails, too
        f"--signal=B:USR1@{settings.signal_seconds}",
        *(f"--{option}={value}" for option, value in asked.items() if value is not None),
    ]


def merge_options(name: str, logs: Path, settings: SlurmSettings) -> list[str]:
    """Of sbatch, for the job that puts results together: it needs no GPU, and a single core."""
    return _options(name, logs / "%x-%j.out", settings)


def _options(name: str, log: Path, settings: SlurmSettings) -> list[str]:
    asked = {
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "time": settings.time,
    }
    return [
        f"--job-name={name}",
        f"--output={log}",
        "--open-mode=append",
        f"--chdir={Path.cwd()}",
        *(f"--{option}={value}" for option, value in asked.items() if value is not None),
        *(f"--{option}" for option in settings.options),
    ]


def _script(what: str, settings: SlurmSettings, command: str) -> str:
    setup = "".join(f"{line}\n" for line in settings.setup)
    return f"#!/bin/bash\n# {what}\nset -e\n{setup}{command}\n"


def _program() -> str:
    return shlex.join(PROGRAM)
