"""`python -m taxonomy`: with `cli_build` and `cli_looking` the only places of this package that print or exit.

Labels, descriptions and paths come from files that may be untrusted, so all that is printed passes `visible`.
"""

from pathlib import Path
from typing import Any

import click

from llm_backends import BackendError, PermanentError
from taxonomy.cli_build import build
from taxonomy.cli_looking import COMMANDS
from taxonomy.directory import load_taxonomy
from taxonomy.errors import TaxonomyError
from taxonomy.model import Taxonomy, TaxonomyNode
from taxonomy.terminal import one_line, visible

_FILE_WIDTH = 1000
"""Columns where the output is no terminal: nothing is wrapped."""


class _UserError(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Turns the packages' errors into one line on stderr: exit status 2 for a mistake, 1 for a model that failed."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (TaxonomyError, PermanentError) as error:
            raise _UserError(visible(str(error))) from error
        except BackendError as error:
            raise click.ClickException(visible(f"{type(error).__name__}: {error}")) from error
        except click.UsageError as error:
            message = error.format_message()
            if visible(message) == message:
                raise
            raise click.UsageError(visible(message), error.ctx) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Thought-type taxonomies from rollouts."""


for command in (build, *COMMANDS):
    main.add_command(command)


@main.command()
@click.argument("tree_path", type=click.Path(path_type=Path))
@click.option("--level", type=int, default=None, help="Show the options of one level instead of the tree.")
def show(tree_path: Path, level: int | None) -> None:
    """Show the taxonomy of TREE_PATH, a directory or a .gml file."""
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    if level is None:
        _show_tree(taxonomy)
    else:
        _show_level(taxonomy, taxonomy.check_level(level, flag="--level"))


def _show_level(taxonomy: Taxonomy, level: int) -> None:
    for thought_type in taxonomy.at_level(level):
        size = _size(taxonomy.node(thought_type.node_id))
        _say(f'"{thought_type.name}"{size}: {one_line(thought_type.description)}')


def _show_tree(taxonomy: Taxonomy) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    branches: dict[str, Tree] = {}
    tree = Tree("")
    for node in taxonomy.walk():
        if _is_repeated(taxonomy, node):
            branches[node.node_id] = branches[str(node.parent_id)]
            continue
        line = Text(one_line(node.label)).append(_size(node) + _levels(taxonomy, node), style="dim")
        tree = branches[node.parent_id].add(line) if node.parent_id is not None else Tree(line)
        branches[node.node_id] = tree
    tree = branches[taxonomy.root.node_id]
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_FILE_WIDTH)
    console.print(tree)
    sizes = ", ".join(str(len(taxonomy.at_level(level))) for level in taxonomy.levels)
    _say(f"levels {taxonomy.levels[0]} to {taxonomy.levels[-1]}, with {sizes} thought types")


def _is_repeated(taxonomy: Taxonomy, node: TaxonomyNode) -> bool:
    """Whether a node is its parent, which no cut divided, once more."""
    if node.parent_id is None:
        return False
    parent = taxonomy.node(node.parent_id)
    same = (parent.label, parent.size) == (node.label, node.size)
    return same and len(taxonomy.children(parent.node_id)) == 1


def _levels(taxonomy: Taxonomy, node: TaxonomyNode) -> str:
    """The levels on which a node is there unchanged, where these are several."""
    first = last = taxonomy.depth(node.node_id)
    below = taxonomy.children(node.node_id)
    while len(below) == 1 and _is_repeated(taxonomy, below[0]):
        last += 1
        below = taxonomy.children(below[0].node_id)
    return f", levels {first} to {last}" if last > first else ""


def _size(node: TaxonomyNode) -> str:
    return "" if node.size is None else f" ({node.size})"


def _say(text: str) -> None:
    click.echo(visible(text))
