"""``hierarchical-reasoning status``: how far a study is, whoever is at it."""

from __future__ import annotations

from pathlib import Path

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT


@click.command(context_settings=COMMAND_CONTEXT)
@click.argument("directory", type=click.Path(path_type=Path))
def status(directory: Path) -> None:
    """Show how far the study in DIRECTORY is: arms and shards, what is done, failed and owed."""
    from hierarchical_reasoning.cli.compare_display import CompareDisplay
    from hierarchical_reasoning.cli.slurm_options import tell_queued
    from hierarchical_reasoning.compare.layout import StudyFiles
    from hierarchical_reasoning.compare.status import study_status

    with reported():
        CompareDisplay().status(StudyFiles(directory), study_status(directory))
        tell_queued(directory)
