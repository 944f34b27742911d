"""``hierarchical-reasoning compare-report``."""

from __future__ import annotations

from pathlib import Path

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT
from hierarchical_reasoning.wording import counted


@click.command(
    context_settings=COMMAND_CONTEXT,
)
@click.argument("study_dir", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Directory to write to. [default: report/ in STUDY_DIR]",
)
@click.option("--no_figures", is_flag=True, help="Leave out the PNG and SVG files, which take the most time.")
def compare_report(study_dir: Path, output: Path | None, no_figures: bool) -> None:
    """Write the report of a comparison study: one HTML file that opens without a network.

    STUDY_DIR is the --output of the study, which must have been merged. Beside index.html lie summary.md for a paper's
    appendix, each figure as PNG and SVG, and each table as CSV and parquet.
    """
    from hierarchical_reasoning.compare.report import write_reported
    from hierarchical_reasoning.compare.study import open_study

    with reported():
        study = open_study(study_dir)
        target = study.files.report if output is None else output
        report = write_reported(study.reported(), target, pictures=not no_figures)
        for note in report.notes:
            click.echo(f"note: {note}")
        beside = [counted(len(report.pictures), "picture")] if report.pictures else []
        beside += [counted(len(report.tables), "table"), report.summary.name]
        click.echo(f"the report is in {report.html}; beside it {', '.join(beside)}")
