"""``hierarchical-reasoning trees``: look at the trees that rollouts grew."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from hierarchical_reasoning.cli.failures import UserMistake, reported
from hierarchical_reasoning.wording import counted
from taxonomy.terminal import visible

if TYPE_CHECKING:
    from hierarchical_reasoning.trees.file import PlacedTree
    from hierarchical_reasoning.trees.statistics import TreeStatistics

_FILE_WIDTH = 160
"""Columns of a line where the output is no terminal."""


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("-", "_"),
        "max_content_width": 110,
    }
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "problem_id", metavar="ID", help="Show the trees of this problem, node by node.")
@click.option("--update", type=int, help="Take the trees grown for this update of training alone.")
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write a page to look at in a browser to this .html file."
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Trees to show; 0: all."
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists (--html).")
def trees(
    file: Path, problem_id: str | None, update: int | None, html: Path | None, limit: int, overwrite: bool
) -> None:
    """Show the trees in FILE, a .jsonl file with a tree a line, as training on trees writes it.

    A table has a row a tree; --id shows trees, a line a node; --html writes them to a page.
    """
    from hierarchical_reasoning.cli.tree_view import show_tree, tree_table
    from hierarchical_reasoning.trees.page import trees_page
    from hierarchical_reasoning.trees.statistics import added
    from taxonomy.looking.output import check_output_file, write_output_file

    if overwrite and html is None:
        raise UserMistake("--overwrite says how to write a page; give --html too")
    with reported():
        if html is not None:
            check_output_file(html, (".html",), overwrite=overwrite, flag="--html")
        shown, statistics = _selected(file, problem_id, update, limit)
        total = added(statistics)
        left_out = total.trees - len(shown)
        if html is not None:
            page = trees_page(shown, title=file.name, statistics=total, left_out=left_out)
            write_output_file(html, page, flag="--html")
            click.echo(visible(f"{counted(len(shown), 'tree')} written to {html}"))
        elif problem_id is not None:
            for placed in shown:
                show_tree(_console(), placed)
        else:
            _console().print(tree_table(zip(shown, statistics, strict=False)))
            click.echo(total.in_words())
        if left_out:
            click.echo(f"{total.trees:,} trees, {len(shown):,} of them shown (--limit)")


def _selected(
    path: Path, problem_id: str | None, update: int | None, limit: int
) -> tuple[list[PlacedTree], list[TreeStatistics]]:
    """The first trees of those asked for, and the statistics of all of these."""
    from hierarchical_reasoning.trees.below import leaves_below, sibling_rewards
    from hierarchical_reasoning.trees.file import TreeFile
    from hierarchical_reasoning.trees.statistics import tree_statistics

    found: list[PlacedTree] = []
    statistics: list[TreeStatistics] = []
    others: set[str] = set()
    file = TreeFile(path)
    for placed in file:
        tree = placed.tree
        if problem_id not in (None, tree.problem_id) or update not in (None, tree.update):
            others.add(tree.problem_id)
            continue
        statistics.append(tree_statistics(tree, sibling_rewards(tree, leaves_below(tree))))
        if not limit or len(found) < limit:
            found.append(placed)
    if file.torn:
        click.echo(
            visible(
                f"note: the last line of {path} does not end, and is left out: it is being written, or was when its "
                "writer was killed"
            ),
            err=True,
        )
    if (problem_id, update) != (None, None) and not found:
        raise UserMistake(_not_found(path, problem_id, update, others))
    return found, statistics


def _not_found(path: Path, problem_id: str | None, update: int | None, others: set[str]) -> str:
    if problem_id is None or problem_id in others:
        of = "" if problem_id is None else f" of problem {problem_id!r}"
        return f"{path}: no tree{of} is of --update {update}"
    near = ", ".join(map(repr, difflib.get_close_matches(problem_id, others))) or "nothing like it"
    return f"{path}: --id {problem_id!r}: no such problem; there is {near}"


def _console() -> Console:
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    return console
