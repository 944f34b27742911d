"""``hierarchical-reasoning slurm-job -- COMMAND``: what the job scripts start."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT

_DEFAULT_GRACE_S = 225.0
_DEFAULT_REQUEUES = 20


@click.command(
    context_settings=COMMAND_CONTEXT,
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=_DEFAULT_GRACE_S,
    show_default=True,
    help="Seconds that what is in flight may take to finish.",
)
@click.option(
    "--requeues",
    type=click.IntRange(min=0),
    default=_DEFAULT_REQUEUES,
    show_default=True,
    help="How often the job goes back into the queue at most.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def slurm_job(grace: float, requeues: int, command: tuple[str, ...]) -> None:
    """Run COMMAND in a Slurm job that goes back into the queue before its time is over.

    The job script execs this, and is handed over with --signal=B:USR1@300 and --requeue. At SIGUSR1 or SIGUSR2 the
    command gets SIGTERM, and may finish what is in flight; then the job is queued again. The vLLM servers that were
    started in the job are stopped when it ends.
    """
    from hierarchical_reasoning.compare.launch.in_job import SlurmJob, run_in_job

    with reported():
        job = SlurmJob.from_environment(os.environ)
        status = asyncio.run(run_in_job(command, job, _say, grace_s=grace, requeues=requeues))
    sys.exit(status)


def _say(line: str) -> None:
    click.echo(f"slurm-job: {line}", err=True)
