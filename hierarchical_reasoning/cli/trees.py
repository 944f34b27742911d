"""``hierarchical-reasoning trees``: look at the trees that rollouts grew."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from hierarchical_reasoning.cli.failures import UserMistake, reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT
from hierarchical_reasoning.wording import counted
from taxonomy.terminal import visible

if TYPE_CHECKING:
    from hierarchical_reasoning.trees.file import PlacedTree
    from hierarchical_reasoning.trees.metrics import TreeMetrics
    from hierarchical_reasoning.trees.statistics import TreeStatistics

_FILE_WIDTH = 160
"""Columns of a line where the output is no terminal."""


@click.command(
    context_settings=COMMAND_CONTEXT,
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "problem_id", metavar="ID", help="Show the trees of this problem, node by node.")
@click.option("--update", type=int, help="Take the trees grown for this update of training alone.")
@click.option("--line", type=click.IntRange(min=1), help="Show the tree of this line of FILE, node by node.")
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write a page to look at in a browser to this .html file."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw the tree to this .png or .svg file; where there are several, choose with --line.",
)
@click.option(
    "--hide_pruned", is_flag=True, help="Leave out what a search pruned; it is counted all the same."
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Trees to show; 0: all."
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists (--html, --plot).")
def trees(
    file: Path,
    problem_id: str | None,
    update: int | None,
    line: int | None,
    html: Path | None,
    plot: Path | None,
    hide_pruned: bool,
    limit: int,
    overwrite: bool,
) -> None:
    """Show the trees in FILE, a .jsonl file with a tree a line, as training on trees and searches write it.

    A table has a row a tree; --id and --line show trees, a line a node; --html writes them to a page, --plot draws one.
    """
    from hierarchical_reasoning.cli.tree_view import show_tree, tree_table
    from hierarchical_reasoning.trees.statistics import added

    wanted = _Wanted(file, problem_id, update, line)
    one_by_one = problem_id is not None or line is not None
    written = [each for each in (html, plot) if each is not None]
    if overwrite and not written:
        raise UserMistake("--overwrite says how to write a page or a picture; give --html or --plot too")
    if hide_pruned and not (written or one_by_one):
        raise UserMistake("--hide_pruned says how to show a tree; give --id, --line, --html or --plot too")
    with reported():
        _check_outputs(html, plot, overwrite)
        shown, statistics, metrics = _selected(wanted, limit)
        total = added(statistics)
        left_out = total.trees - len(shown)
        if plot is not None:
            _draw(shown, total.trees, plot, hide_pruned)
        if html is not None:
            _write_page(html, shown, file.name, total, hide_pruned)
        if one_by_one and not written:
            for placed in shown:
                show_tree(_console(), placed, hide_pruned=hide_pruned)
        elif not written:
            _console().print(tree_table(zip(shown, statistics, strict=False)))
            click.echo(total.in_words())
            click.echo(metrics.in_words())
        if left_out:
            click.echo(f"{total.trees:,} trees, {len(shown):,} of them shown (--limit)")


@dataclass(frozen=True)
class _Wanted:
    """Which trees are asked for; None where any will do."""

    path: Path
    problem_id: str | None
    update: int | None
    line: int | None

    def has(self, placed: PlacedTree) -> bool:
        return (
            self.problem_id in (None, placed.tree.problem_id)
            and self.update in (None, placed.tree.update)
            and self.line in (None, placed.line)
        )

    def not_found(self, others: set[str], lines: int) -> str:
        """The message where there is none.

        Args:
            others: the problems that there are trees of.
            lines: how many trees there are.
        """
        if self.line is not None and self.line > lines:
            return f"{self.path}: --line {self.line}: there are {counted(lines, 'tree')}, one a line"
        if self.problem_id is None or self.problem_id in others:
            of = "" if self.problem_id is None else f" of problem {self.problem_id!r}"
            asked = [("--update", self.update), ("--line", self.line)]
            given = " and ".join(f"{flag} {value}" for flag, value in asked if value is not None)
            return f"{self.path}: no tree{of} is of {given}"
        near = ", ".join(map(repr, difflib.get_close_matches(self.problem_id, others))) or "nothing like it"
        return f"{self.path}: --id {self.problem_id!r}: no such problem; there is {near}"


def _check_outputs(html: Path | None, plot: Path | None, overwrite: bool) -> None:
    from hierarchical_reasoning.trees.picture import require_matplotlib
    from taxonomy.looking.output import check_output_file

    if html is not None:
        check_output_file(html, (".html",), overwrite=overwrite, flag="--html")
    if plot is not None:
        check_output_file(plot, (".png", ".svg"), overwrite=overwrite, flag="--plot")
        require_matplotlib()


def _selected(wanted: _Wanted, limit: int) -> tuple[list[PlacedTree], list[TreeStatistics], TreeMetrics]:
    """The first trees of those asked for, and the statistics and metrics of all of these."""
    from hierarchical_reasoning.trees.below import leaves_below, sibling_rewards
    from hierarchical_reasoning.trees.file import TreeFile
    from hierarchical_reasoning.trees.metrics import SeenNgrams, TreeMetrics, tree_metrics
    from hierarchical_reasoning.trees.statistics import tree_statistics

    metrics, seen = TreeMetrics(), SeenNgrams()
    found: list[PlacedTree] = []
    statistics: list[TreeStatistics] = []
    others: set[str] = set()
    lines = 0
    file = TreeFile(wanted.path)
    for placed in file:
        lines += 1
        tree = placed.tree
        if not wanted.has(placed):
            others.add(tree.problem_id)
            continue
        metrics += tree_metrics(tree, seen=seen)
        seen.add(tree)
        statistics.append(tree_statistics(tree, sibling_rewards(tree, leaves_below(tree))))
        if not limit or len(found) < limit:
            found.append(placed)
    if file.torn:
        click.echo(
            visible(
                f"note: the last line of {wanted.path} does not end, and is left out: it is being written, or was "
                "when its writer was killed"
            ),
            err=True,
        )
    if wanted != _Wanted(wanted.path, None, None, None) and not found:
        raise UserMistake(wanted.not_found(others, lines))
    return found, statistics, metrics


def _write_page(
    path: Path, shown: list[PlacedTree], title: str, total: TreeStatistics, hide_pruned: bool
) -> None:
    from hierarchical_reasoning.trees.page import trees_page
    from taxonomy.looking.output import write_output_file

    left_out = total.trees - len(shown)
    page = trees_page(shown, title=title, statistics=total, left_out=left_out, hide_pruned=hide_pruned)
    write_output_file(path, page, flag="--html")
    click.echo(visible(f"{counted(len(shown), 'tree')} written to {path}"))


def _draw(shown: list[PlacedTree], found: int, path: Path, hide_pruned: bool) -> None:
    from hierarchical_reasoning.trees.picture import tree_picture
    from hierarchical_reasoning.trees.view import TreeView
    from taxonomy.looking.output import write_output_file

    if found != 1:
        raise UserMistake(f"--plot draws one tree, and there are {found:,}; choose one with --line")
    view = TreeView(shown[0].tree, hide_pruned=hide_pruned)
    write_output_file(
        path, tree_picture(view, "svg" if path.suffix.lower() == ".svg" else "png"), flag="--plot"
    )
    click.echo(visible(f"{counted(len(view), 'node')} drawn to {path}"))


def _console() -> Console:
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    return console
