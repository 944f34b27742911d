"""A tree in the terminal: a line a node, what branches off is indented, what goes on alone is not.

A line ends at the width of the terminal. ``●`` marks what leads to a correct answer, ``○`` what does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hierarchical_reasoning.cli.figures import visible_cell
from hierarchical_reasoning.cli.trace_view import colour_of
from hierarchical_reasoning.trees import Node, ReasoningTree
from hierarchical_reasoning.trees.below import Below, leaves_below, sibling_rewards
from hierarchical_reasoning.trees.file import PlacedTree
from hierarchical_reasoning.trees.statistics import TreeStatistics, tree_statistics
from hierarchical_reasoning.wording import counted

_INDENTED_SHARE = 0.4
"""Of the width; deeper branches are told by their depth and not indented further."""


def show_tree(console: Console, placed: PlacedTree) -> None:
    """Print one tree."""
    tree = placed.tree
    below = leaves_below(tree)
    update = "" if tree.update is None else f", update {tree.update:,}"
    console.print(Text(f"problem {_one_line(tree.problem_id)}{update}, line {placed.line:,}", "bold"))
    console.print(Text(tree_statistics(tree, sibling_rewards(tree, below)).in_words(), "dim"))
    for line in _lines(tree, below, console.width):
        console.print(line, no_wrap=True, overflow="ellipsis")
    console.print()


def tree_table(rows: Iterable[tuple[PlacedTree, TreeStatistics]]) -> Table:
    """A row a tree."""
    table = Table(title="Trees", title_justify="left")
    for heading in (
        "line",
        "problem",
        "update",
        "leaves",
        "correct",
        "depth",
        "unique tokens",
        "groups with spread",
    ):
        table.add_column(heading, justify="left" if heading == "problem" else "right", overflow="fold")
    for placed, statistics in rows:
        tree = placed.tree
        table.add_row(
            f"{placed.line:,}",
            _one_line(tree.problem_id),
            "-" if tree.update is None else f"{tree.update:,}",
            f"{statistics.leaves:,}",
            f"{leaves_below(tree)[tree.root].correct:,}",
            f"{statistics.max_depth:,}",
            "-" if statistics.unique_share is None else f"{100 * statistics.unique_share:.1f} %",
            f"{statistics.groups_with_spread:,} of {statistics.groups:,}",
        )
    return table


def _lines(tree: ReasoningTree, below: dict[int, Below], width: int) -> Iterator[Text]:
    most = int(width * _INDENTED_SHARE)
    waiting = [(tree.root, 0, "", "")]
    while waiting:
        node_id, depth, before, before_children = waiting.pop()
        line = Text(before, "dim")
        line.append("● " if below[node_id].correct else "○ ", "green" if below[node_id].correct else "")
        deep = len(before_children) >= most
        line.append_text(_described(tree.node(node_id), below[node_id], depth if deep else None))
        yield line
        children = tree.children(node_id)
        for child in reversed(children):
            if len(children) == 1:
                waiting.append((child, depth + 1, before_children, before_children))
                continue
            is_last = child == children[-1]
            further = before_children if deep else before_children + ("  " if is_last else "│ ")
            waiting.append((child, depth + 1, before_children + ("└─" if is_last else "├─"), further))


def _described(node: Node, below: Below, depth: int | None) -> Text:
    line = Text(f"#{node.id} ", "bold").append(node.kind, "dim")
    if depth is not None:
        line.append(f", depth {depth:,}", "dim")
    if node.thought_type is not None:
        thought_type = _one_line(node.thought_type)
        line.append(f" [{thought_type}]", colour_of(thought_type))
    given = f", {node.given:,} given" if node.given and node.parent is not None else ""
    line.append(f" {counted(len(node.tokens), 'token')}{given}", "dim")
    if below.reward is not None:
        line.append(f" reward {below.reward:.2f}", "green" if below.correct else "red")
    if node.leaf is not None:
        answer = "" if node.leaf.extracted is None else f" {_one_line(node.leaf.extracted)}"
        line.append(f" {node.leaf.outcome}{answer}", "bold")
    return line.append(f"  {_one_line(node.text)}")


def _one_line(text: str) -> str:
    """Safe in a line; a lone surrogate, which no UTF-8 can hold, is written out too."""
    printable = text.encode("utf-8", "backslashreplace").decode()
    return " ".join(visible_cell(printable).split())
