"""Runs side by side in a table, and problems in lists with a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.table import Table

from hierarchical_reasoning.cli.figures import (
    accuracy_text,
    cost_text,
    memory_text,
    sampling_cells,
    trees_cells,
    visible_cell,
)
from hierarchical_reasoning.cli.trace_view import truth_text
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader import Agreement, RunFile
from hierarchical_reasoning.results.reader.run_files import RunFacts
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.results.tally import Tally

_COMPARED = (
    "tree_model_path",
    "planner",
    "planner_model_name",
    "joint",
    "prompt_style",
    "num_icl_examples",
    "temperature",
    "planner_temperature",
    "samples",
    "seed",
    "input_file",
    "category",
    "answer_format",
)
"""Settings that have a column where runs differ in them."""
_OF_PLANNING = frozenset(
    ("tree_model_path", "planner", "planner_model_name", "planner_temperature", "joint", "num_icl_examples")
)
_WIDTHS = {"problem": 24, "outcome": 9, "extracted": 20, "truth": 20, "steps": 5, "reason": 100}
"""Of the columns of a list; what is longer ends in "…"."""


@dataclass(frozen=True)
class Row:
    """One file of the table."""

    run: RunFile
    tally: Tally
    cost_usd: float | None
    agreement: Agreement | None
    """With the first file; None for that itself."""


def run_table(rows: Sequence[Row]) -> Table:
    """A row a file."""
    columns: dict[str, list[str]] = {}
    errors = any(row.tally.outcomes[Outcome.ERROR] for row in rows)
    differing = [name for name in _COMPARED if len({_setting(row.run.facts, name) for row in rows}) > 1]
    for row in rows:
        for heading, cell in _cells(row, differing, errors=errors, others=len(rows) > 1).items():
            columns.setdefault(heading, []).append(visible_cell(cell))
    table = Table(title="Results", title_justify="left")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def figures_tables(runs: Sequence[RunFile]) -> list[Table]:
    """What several samples a problem, and the trees of searches, come to: a row a figure and a column a file."""
    summaries = {str(run.path): run.facts.summary for run in runs if run.facts.summary is not None}
    samples = {path: sampling_cells(one.sampling) for path, one in summaries.items() if one.sampling}
    trees = {path: trees_cells(one.trees) for path, one in summaries.items() if one.trees}
    return [
        _figures_table(title, found) for title, found in (("Samples", samples), ("Trees", trees)) if found
    ]


def _figures_table(title: str, cells: Mapping[str, Sequence[tuple[str, str]]]) -> Table:
    """By the path of a file, what stands in its column: the name of a row, and a value."""
    columns = {path: dict(of_file) for path, of_file in cells.items()}
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    for path in columns:
        table.add_column(visible_cell(path), justify="right", overflow="fold")
    for name in dict.fromkeys(name for cells in columns.values() for name in cells):
        table.add_row(name, *(cells.get(name, "-") for cells in columns.values()))
    return table


def _setting(facts: RunFacts, name: str) -> str:
    """A setting as a cell shows it: of a path, its last part; of those of planning, none where nothing was planned."""
    setting = facts.config.recorded.get(name)
    if setting is None or (name in _OF_PLANNING and not facts.use_hierarchical_reasoning):
        return "-"
    return str(setting).rstrip("/").rpartition("/")[2]


def _cells(row: Row, differing: Sequence[str], *, errors: bool, others: bool) -> dict[str, str]:
    facts, tally = row.run.facts, row.tally
    tokens, seconds = tally.tokens_per_problem, tally.seconds_per_problem
    outcomes = (f"{tally.outcomes[outcome]:,} {outcome}" for outcome in Outcome if tally.outcomes[outcome])
    return {
        "file": str(row.run.path),
        "model": facts.model_name,
        "mode": f"level {facts.label_level}" if facts.use_hierarchical_reasoning else "vanilla",
        **{name: _setting(facts, name) for name in differing},
        "n": f"{tally.n:,}"
        if tally.samples <= 1
        else f"{tally.n:,} (up to {tally.samples} samples a problem)",
        "accuracy, all": accuracy_text(tally.accuracy),
        **({"accuracy, without errors": accuracy_text(tally.accuracy_completed)} if errors else {}),
        "outcomes": ", ".join(outcomes) or "none",
        "tokens a problem": "-" if tokens is None else f"{tokens:,.0f}",
        "cost": cost_text(row.cost_usd),
        "seconds a problem": "-" if seconds is None else f"{seconds:.1f}",
        "peak memory": "-" if tally.peak_bytes is None else memory_text(tally.peak_bytes),
        **({"beside the first file": _beside(row.agreement)} if others else {}),
    }


def _beside(agreement: Agreement | None) -> str:
    if agreement is None:
        return "-"
    return (
        f"same outcome on {agreement.same_outcome:,} of {agreement.shared:,}; "
        f"{agreement.gained:,} gained, {agreement.lost:,} lost"
    )


def list_heading() -> str:
    """The heading of a list of problems."""
    return " ".join(_fit(name, width) for name, width in _WIDTHS.items()).rstrip()


def list_line(entry: ResultEntry) -> str:
    """A problem in a line of a list."""
    cells = (
        problem_name(entry.problem_id, entry.sample),
        entry.outcome.value,
        "-" if entry.extracted_answer is None else entry.extracted_answer,
        truth_text(entry),
        f"{len(entry.steps)}",
        entry.reason,
    )
    return " ".join(_fit(cell, width) for cell, width in zip(cells, _WIDTHS.values(), strict=True)).rstrip()


def differing_line(name: str, outcomes: Sequence[str]) -> str:
    """A problem, or a heading, with a column for each file."""
    return " ".join((_fit(name, _WIDTHS["problem"]), *(_fit(text, 9) for text in outcomes))).rstrip()


def problem_name(problem_id: str, sample: int) -> str:
    """What a list calls a problem; a sample but the first is told."""
    return f"{problem_id}#{sample}" if sample else problem_id


def _fit(text: str, width: int) -> str:
    line = " ".join(visible_cell(text).split())
    return set_cell_size(line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…", width)
