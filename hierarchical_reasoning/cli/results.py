"""``hierarchical-reasoning results``: look at what runs found, and take it elsewhere."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from hierarchical_reasoning.cli.failures import UserMistake, reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT
from hierarchical_reasoning.cli.results_view import (
    Row,
    differing_line,
    figures_tables,
    list_heading,
    list_line,
    problem_name,
    run_table,
)
from hierarchical_reasoning.cli.trace_view import show_trace
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader import (
    ENTRY_COLUMNS,
    STEP_COLUMNS,
    Comparison,
    RunFile,
    check_export_path,
    open_run,
    selected,
    table_rows,
    write_csv,
    write_table,
)
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.results.tally import Tally
from taxonomy.terminal import visible

ALL = "all"
_STDOUT = Path("-")
_FILE_WIDTH = 400
"""Columns of a table where the output is no terminal."""


@click.command(
    context_settings=COMMAND_CONTEXT,
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([*(outcome.value for outcome in Outcome), ALL]),
    help="List the problems that ended so; may be given several times.",
)
@click.option("--category", help="Take the problems of this category alone.")
@click.option("--disagree", is_flag=True, help="List the problems that did not end alike in all files.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Lines of a list; 0: all."
)
@click.option("--trace", metavar="ID", help="Show what was thought on one problem.")
@click.option(
    "--sample", type=click.IntRange(min=0), default=0, show_default=True, help="Which of its samples."
)
@click.option(
    "--export",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write a row a problem to a .csv, .jsonl or .parquet file; -: CSV to stdout.",
)
@click.option("--steps", is_flag=True, help="Write a row a step instead (--export).")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists (--export).")
def results(files: tuple[Path, ...], **options: Any) -> None:
    """Show what runs found: FILE is a results file, or the journal (.jsonl) of a run that is not finished.

    A table has a row a file; the options list problems, show one, or export them.
    """
    asked = _Asked(**options)
    asked.check(len(files))
    with reported():
        runs = [open_run(path) for path in files]
        if asked.trace is not None:
            _show(runs, asked.trace, asked.sample)
        elif asked.export is not None:
            _export(runs, asked, asked.export)
        elif asked.outcomes:
            _list(runs, asked)
        else:
            _compare(runs, asked)


@dataclass(frozen=True)
class _Asked:
    """The options, as given."""

    outcomes: tuple[str, ...]
    category: str | None
    disagree: bool
    limit: int
    trace: str | None
    sample: int
    export: Path | None
    steps: bool
    overwrite: bool

    def check(self, n_files: int) -> None:
        """Refuse options of which one would be passed over."""
        if self.disagree and n_files < 2:
            raise UserMistake("--disagree compares files; give two or more")
        one_only = {"--trace": self.trace is not None, "--disagree": self.disagree, "--export": self.export}
        given = [flag for flag, is_given in one_only.items() if is_given]
        if len(given) > 1:
            raise UserMistake(f"{' and '.join(given)} do not go together; give one of them")
        selects = {"--outcome": self.outcomes, "--category": self.category is not None}
        for flag, is_given in selects.items():
            if is_given and (self.trace is not None or (self.disagree and flag == "--outcome")):
                raise UserMistake(f"{flag} does not go with {given[0]}; leave one of them out")
        for flag, is_given in {"--steps": self.steps, "--overwrite": self.overwrite}.items():
            if is_given and self.export is None:
                raise UserMistake(f"{flag} says how to export; give --export too")
        if self.sample and self.trace is None:
            raise UserMistake("--sample says which trace to show; give --trace too")

    @property
    def wanted(self) -> tuple[Outcome, ...]:
        """The outcomes to take; none: any."""
        return () if ALL in self.outcomes else tuple(map(Outcome, self.outcomes))

    def selected(self, run: RunFile) -> Iterator[ResultEntry]:
        """The entries of a run that are asked for."""
        return selected(run, outcomes=self.wanted, category=self.category)


def _compare(runs: Sequence[RunFile], asked: _Asked) -> None:
    tallies = [Tally(run.facts.config.seed) for run in runs]
    comparison = Comparison(len(runs))
    for number, (run, tally) in enumerate(zip(runs, tallies, strict=True)):
        for entry in asked.selected(run):
            tally.add(entry)
            if len(runs) > 1:
                comparison.add(number, entry)
    if asked.disagree:
        _list_differing(runs, comparison, asked.limit)
    else:
        rows = []
        for number, (run, tally) in enumerate(zip(runs, tallies, strict=True)):
            whole = run.facts.summary if asked.category is None else None
            cost = tally.total_usage.cost_usd if whole is None else whole.cost_usd
            rows.append(Row(run, tally, cost, comparison.agreement(number, 0) if number else None))
        _console().print(run_table(rows))
        for table in figures_tables(runs) if asked.category is None else ():
            _console().print(table)
    if comparison.mistaken:
        _note(f"{comparison.mistaken:,} ids stand for another problem in another file; they are not compared")


def _list_differing(runs: Sequence[RunFile], comparison: Comparison, limit: int) -> None:
    for number, run in enumerate(runs, start=1):
        _say(f"file {number}: {run.path}")
    _say(differing_line("problem", [f"file {number}" for number in range(1, len(runs) + 1)]))
    n = 0
    for (problem_id, sample), outcomes in comparison.differing():
        n += 1
        if not limit or n <= limit:
            _say(differing_line(problem_name(problem_id, sample), outcomes))
    _say_total(n, limit, "problems did not end alike")


def _list(runs: Sequence[RunFile], asked: _Asked) -> None:
    for run in runs:
        _say(f"{run.path}: {run.facts.model_name}")
        _say(list_heading())
        n = 0
        for entry in asked.selected(run):
            n += 1
            if not asked.limit or n <= asked.limit:
                _say(list_line(entry))
        _say_total(n, asked.limit, "problems")


def _show(runs: Sequence[RunFile], problem_id: str, sample: int) -> None:
    found = False
    others: Counter[str] = Counter()
    for run in runs:
        for entry in run.entries():
            if (entry.problem_id, entry.sample) == (problem_id, sample):
                show_trace(_console(), run, entry)
                found = True
                break
            others[entry.problem_id] += 1
        else:
            _note(f"{run.path} has no problem {problem_name(problem_id, sample)}")
    if not found:
        if problem_id in others:
            raise UserMistake(f"--trace {problem_id}: no sample {sample} (--sample)")
        near = ", ".join(difflib.get_close_matches(problem_id, others)) or "nothing like it"
        raise UserMistake(f"--trace {problem_id}: no such problem; there is {near}")


def _export(runs: Sequence[RunFile], asked: _Asked, path: Path) -> None:
    columns = STEP_COLUMNS if asked.steps else ENTRY_COLUMNS
    rows = table_rows(runs, steps=asked.steps, outcomes=asked.wanted, category=asked.category)
    if path == _STDOUT:
        write_csv(sys.stdout.buffer, rows, columns)
        return
    check_export_path(path, [run.path for run in runs], overwrite=asked.overwrite)
    n = write_table(path, rows, columns)
    _say(f"{n:,} rows written to {path}")


def _say_total(n: int, limit: int, what: str) -> None:
    more = f", {limit:,} of them shown (--limit)" if limit and n > limit else ""
    _say(f"{n:,} {what}{more}\n")


def _console() -> Console:
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    return console


def _say(text: str) -> None:
    click.echo(visible(text))


def _note(text: str) -> None:
    click.echo(visible(f"note: {text}"), err=True)
