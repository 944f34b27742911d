"""`python -m taxonomy build|show`: the only place of this package that prints or exits.

Labels, descriptions and paths come from files that may be untrusted, so all that is printed passes `visible`.
"""

from pathlib import Path
from typing import Any

import click

from taxonomy.directory import load_taxonomy
from taxonomy.errors import TaxonomyError
from taxonomy.model import Taxonomy, TaxonomyNode
from taxonomy.rollouts import read_rollouts
from taxonomy.terminal import visible

_FILE_WIDTH = 1000
"""Columns where the output is no terminal: nothing is wrapped."""


class _UserError(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Turns this package's errors into one line on stderr and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except TaxonomyError as error:
            raise _UserError(visible(str(error))) from error
        except click.UsageError as error:
            message = error.format_message()
            if visible(message) == message:
                raise
            raise click.UsageError(visible(message), error.ctx) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Thought-type taxonomies from labeled rollouts."""


def _sizes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: allowed are whole numbers with commas, as in 1,2,4,8,15"
        ) from None


@main.command(context_settings={"max_content_width": 110})
@click.argument("rollouts", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Directory to write.")
@click.option("--overwrite", is_flag=True, help="Replace a taxonomy that was written there before.")
@click.option("--levels", default=7, show_default=True, help="Levels, the root's included.")
@click.option(
    "--level_sizes",
    callback=lambda context, option, value: _sizes(value),
    help="Thought types at each level, as in 1,2,4,8,15, instead of sizes chosen by silhouette.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the dimension reduction.")
@click.option("--dimensions", default=100, show_default=True, help="Dimensions kept of the chunk texts.")
@click.option(
    "--description_weight",
    default=0.5,
    show_default=True,
    help="Weight of a label's description against its chunks, 0 to 1.",
)
def build(rollouts: Path, output: Path, overwrite: bool, **parameters: Any) -> None:
    """Build a taxonomy directory from labeled ROLLOUTS: .jsonl or .jsonl.gz, with a rollout on every line, or .json,
    with a list of them. A rollout, here on four lines:

    \b
    {"id": "r1", "problem": "What is 12 * 4 + 2?", "is_correct": true, "chunks": [
      {"idx": 0, "label": "Multiplication", "label_description": "Multiply two numbers.", "text": "12 * 4 is 48."},
      {"idx": 1, "label": "Addition", "label_description": "Add two numbers.", "text": "48 + 2 is 50."},
      {"idx": 2, "label": "Answer Statement", "label_description": "State the answer.", "text": "It is 50."}]}

    id, problem, chunks and the text of each chunk are needed; chunks without a label are left out.
    """
    from taxonomy.build import build_taxonomy
    from taxonomy.directory_writer import check_output_directory, write_taxonomy_directory

    check_output_directory(output, overwrite=overwrite)
    built = build_taxonomy(read_rollouts(rollouts, flag="ROLLOUTS"), **parameters)
    write_taxonomy_directory(built, output, inputs=[rollouts], overwrite=overwrite)
    for warning in built.warnings:
        _say(f"warning: {warning}", err=True)
    sizes = ", ".join(str(cut.n_clusters) for cut in built.cuts)
    _say(f"{len(built.chunks)} labeled chunks, {len(built.taxonomy.given_labels)} given labels")
    _say(f"level sizes: {sizes}")
    _say(f"written to {output}")


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
        _say(f'"{thought_type.name}"{size}: {_one_line(thought_type.description)}')


def _show_tree(taxonomy: Taxonomy) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    branches: dict[str, Tree] = {}
    tree = Tree("")
    for node in taxonomy.walk():
        line = Text(_one_line(node.label)).append(_size(node), style="dim")
        if node.parent_id is None:
            tree = Tree(line)
            branches[node.node_id] = tree
        else:
            branches[node.node_id] = branches[node.parent_id].add(line)
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_FILE_WIDTH)
    console.print(tree)
    sizes = ", ".join(str(len(taxonomy.at_level(level))) for level in taxonomy.levels)
    _say(f"levels {taxonomy.levels[0]} to {taxonomy.levels[-1]}, with {sizes} thought types")


def _size(node: TaxonomyNode) -> str:
    return "" if node.size is None else f" ({node.size})"


def _one_line(text: str) -> str:
    """White space collapsed after control characters are written out, since some count as white space."""
    return " ".join(visible(text).split())


def _say(text: str, *, err: bool = False) -> None:
    click.echo(visible(text), err=err)
