"""The options of a study that Slurm does, and what becomes of them."""

from __future__ import annotations

import shutil
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from hierarchical_reasoning.cli.failures import mistakes
from hierarchical_reasoning.cli.grouped import GroupedOption
from hierarchical_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from hierarchical_reasoning.compare.launch import Job, SlurmSettings
    from hierarchical_reasoning.compare.plan import StudyPlan

_slurm = partial(click.option, cls=GroupedOption, group="Slurm (--launcher slurm)")
_NAMES = {
    "shards": "shards",
    "slurm_array_limit": "array_limit",
    "slurm_partition": "partition",
    "slurm_account": "account",
    "slurm_qos": "qos",
    "slurm_constraint": "constraint",
    "slurm_time": "time",
    "slurm_gpus": "gpus",
    "slurm_cpus": "cpus",
    "slurm_memory": "memory",
    "slurm_signal_seconds": "signal_seconds",
    "slurm_requeues": "requeues",
    "slurm_option": "options",
    "slurm_setup": "setup",
}
"""From flags to settings."""

SLURM = (
    _slurm(
        "--launcher",
        type=click.Choice(("local", "slurm")),
        help="slurm: hand the study over as a job array, and return. [default: local, on this machine]",
    ),
    _slurm("--shards", type=int, metavar="N", help="Parts of the problems; a task of the array does each."),
    _slurm(
        "--slurm",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML with the settings below, named without slurm_ (options, setup: lists); flags count before it.",
    ),
    _slurm("--slurm_partition", help="[default: the cluster's, as for all below]"),
    _slurm("--slurm_account"),
    _slurm("--slurm_qos"),
    _slurm("--slurm_constraint", help="Features that nodes must have, as in a100|h100."),
    _slurm(
        "--slurm_time", help="Of a task, before it goes back into the queue: minutes, HH:MM:SS, D-HH:MM:SS."
    ),
    _slurm("--slurm_gpus", help="Of a task: 2, or a100:2."),
    _slurm("--slurm_cpus", type=int, help="Cores of a task."),
    _slurm("--slurm_memory", help="Of a task, as in 32G."),
    _slurm("--slurm_array_limit", type=int, help="Tasks at the same time, at most. [default: no bound]"),
    _slurm(
        "--slurm_signal_seconds",
        type=int,
        help="How long before its time is over a task finishes what is in flight and is queued again. [default: 300]",
    ),
    _slurm("--slurm_requeues", type=int, help="How often a task is queued again, at most. [default: 20]"),
    _slurm(
        "--slurm_option",
        multiple=True,
        help="Further option of sbatch, as in reservation=mine; can be repeated.",
    ),
    _slurm(
        "--slurm_setup",
        multiple=True,
        help="Line of shell that runs first, as in 'module load cuda'; can be repeated.",
    ),
    _slurm("--no_submit", is_flag=True, help="Write the scripts, print the commands, and hand over nothing."),
)


def taken_slurm(flags: dict[str, Any]) -> tuple[SlurmSettings | None, bool]:
    """Take what is Slurm's out of the flags: what it is asked for, None where the study is done here; and whether jobs
    are to be handed over at once.

    Raises:
        ConfigError: options of Slurm without --launcher slurm, or a file that cannot be read.
    """
    launcher, file, no_submit = (flags.pop(name) for name in ("launcher", "slurm", "no_submit"))
    taken = {name: flags.pop(name) for name in _NAMES}
    given = {name: value for name, value in taken.items() if value not in (None, ())}
    if launcher == "slurm":
        from hierarchical_reasoning.compare.launch import slurm_settings

        try:
            return slurm_settings(file, {_NAMES[name]: value for name, value in given.items()}), not no_submit
        except ValidationError as error:
            raise ConfigError(mistakes(error, {name: flag for flag, name in _NAMES.items()})) from error
    others = [*given, *(["slurm"] if file else []), *(["no_submit"] if no_submit else [])]
    if others:
        raise ConfigError(f"--{others[0]} is for --launcher slurm, which was not given")
    return None, False


def hand_over(directory: Path, plan: StudyPlan, settings: SlurmSettings, *, submit: bool) -> None:
    """Hand a study that was begun over to Slurm, or print the commands that would; and say what comes next."""
    from hierarchical_reasoning.compare import launch, rounds

    cache_dir, n = plan.common.cache_dir, rounds(plan)
    if not submit:
        for command in launch.commands(directory, settings, cache_dir=cache_dir, rounds=n):
            click.echo(command)
        return
    for job in launch.submit(directory, settings, cache_dir=cache_dir, rounds=n):
        click.echo(f"job {job.id}: {_said(job)}")
    click.echo(f"logs: {directory / 'launch' / 'logs'}")
    click.echo(f"how far it is: hierarchical-reasoning status {directory}")


def refuse_queued(directory: Path) -> None:
    """Raises ConfigError where jobs of the study are queued: this machine would do what they are to do. Where there is
    no Slurm, as on a machine that the study was copied to, nothing is queued."""
    from hierarchical_reasoning.compare import launch

    if shutil.which("squeue"):
        launch.check_not_queued(directory)


def tell_queued(directory: Path) -> None:
    """What Slurm still has of a study that was handed over to it."""
    from hierarchical_reasoning.compare import launch

    jobs = launch.submitted_jobs(directory)
    if not jobs:
        return
    try:
        tasks = launch.queued(directory)
    except ConfigError as error:
        click.echo(f"Slurm's queue is not known: {error}")
        return
    for job in jobs:
        found = Counter(
            f"{task.state.lower()} ({task.reason})" if task.state == "PENDING" else task.state.lower()
            for task in tasks
            if task.job == job.id
        )
        if found:
            click.echo(
                f"Slurm job {job.id}, {job.what}: {', '.join(f'{n} {what}' for what, n in found.items())}"
            )
    if not tasks:
        click.echo(f"Slurm has nothing queued; the last job was {jobs[-1].id}")


def _said(job: Job) -> str:
    if job.what == "shards":
        return f"{job.shards} shards"
    if job.what == "twins":
        return f"after that, the {job.shards} shards of compute-matched baselines"
    return "after that, the merge"
