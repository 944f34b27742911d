"""``hierarchical-reasoning train report``."""

from __future__ import annotations

from pathlib import Path

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT
from hierarchical_reasoning.wording import counted


@click.command(
    context_settings=COMMAND_CONTEXT,
)
@click.argument("output_dir", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Directory to write to. [default: report/ in OUTPUT_DIR]",
)
def report(output_dir: Path, output: Path | None) -> None:
    """Show what a training run did: curves, thought types, transitions before and after.

    OUTPUT_DIR is the --output_dir of the run, which may still be going. One HTML file is written, index.html, and a PNG
    of each figure beside it.
    """
    from hierarchical_reasoning.training.report import write_report

    with reported():
        written = write_report(output_dir, target=output)
        for note in written.notes:
            click.echo(f"note: {note}")
        beside = f", and {counted(len(written.pngs), 'PNG file')} beside it" if written.pngs else ""
        click.echo(f"the report is in {written.html}{beside}")
