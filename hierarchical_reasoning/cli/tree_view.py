"""A tree in the terminal: a line a node, what branches off is indented, what goes on alone is not.

A line ends at the width of the terminal. ``●`` marks what leads to a correct answer, ``○`` what does not, ``◌`` what
was pruned, and ``★`` the path of the chosen answer. Of scores there is the total, with the uncertainty; where there is
room, the three rewards and the visits too. The page has all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hierarchical_reasoning.cli.figures import visible_cell
from hierarchical_reasoning.cli.trace_view import colour_of
from hierarchical_reasoning.trees import Node, ReasoningTree, Scores
from hierarchical_reasoning.trees.below import leaves_below, sibling_rewards
from hierarchical_reasoning.trees.file import PlacedTree
from hierarchical_reasoning.trees.statistics import TreeStatistics, tree_statistics
from hierarchical_reasoning.trees.view import CHOSEN_MARK, TreeView, grade_mark
from hierarchical_reasoning.wording import counted

_INDENTED_SHARE = 0.4
"""Of the width; deeper branches are told by their depth and not indented further."""
_ALL_REWARDS_WIDTH = 120
"""From here on, a line has room for more than the total."""
_READ = 2000
"""Characters of a text that are looked at; a line shows no more."""


def show_tree(console: Console, placed: PlacedTree, *, hide_pruned: bool = False) -> None:
    """Print one tree."""
    tree = placed.tree
    view = TreeView(tree, hide_pruned=hide_pruned)
    update = "" if tree.update is None else f", update {tree.update:,}"
    console.print(Text(f"problem {_one_line(tree.problem_id)}{update}, line {placed.line:,}", "bold"))
    console.print(Text(tree_statistics(tree, sibling_rewards(tree, view.below)).in_words(), "dim"))
    for line in _lines(view, console.width):
        console.print(line, no_wrap=True, overflow="ellipsis")
    for said in _afterwards(view):
        console.print(Text(said, "dim"))
    console.print()


def _afterwards(view: TreeView) -> Iterator[str]:
    if view.tree.chosen is not None:
        yield f"{CHOSEN_MARK} path of the chosen answer, #{view.tree.chosen}"
    if view.tree.pruned:
        reasons = "; ".join(f"{_one_line(why)}: {count:,}" for why, count in view.why_pruned())
        shown = (
            f"hidden (--hide_pruned): {view.hidden:,}"
            if view.hidden
            else f"◌ pruned: {len(view.tree.pruned):,}"
        )
        yield f"{shown} ({reasons})"


def tree_table(rows: Iterable[tuple[PlacedTree, TreeStatistics]]) -> Table:
    """A row a tree; what only a search has is a column where a tree has it."""
    rows = list(rows)
    searched = any(placed.tree.pruned or placed.tree.chosen is not None for placed, _ in rows)
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
        *(("pruned", "chosen") if searched else ()),
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
            *((f"{len(tree.pruned):,}", _chosen(tree)) if searched else ()),
        )
    return table


def _chosen(tree: ReasoningTree) -> str:
    if tree.chosen is None:
        return "-"
    return f"#{tree.chosen}{_grade(tree.node(tree.chosen)).plain}"


def _lines(view: TreeView, width: int) -> Iterator[Text]:
    most = int(width * _INDENTED_SHARE)
    waiting = [(view.tree.root, 0, "", "")]
    while waiting:
        node_id, depth, before, before_children = waiting.pop()
        deep = len(before_children) >= most
        line = Text(before, "dim").append_text(_mark(view, node_id))
        yield line.append_text(_described(view, node_id, depth if deep else None, width))
        children = view.children(node_id)
        for child in reversed(children):
            if len(children) == 1:
                waiting.append((child, depth + 1, before_children, before_children))
                continue
            is_last = child == children[-1]
            further = before_children if deep else before_children + ("  " if is_last else "│ ")
            waiting.append((child, depth + 1, before_children + ("└─" if is_last else "├─"), further))


def _mark(view: TreeView, node_id: int) -> Text:
    if view.node(node_id).pruned is not None:
        return Text("◌ ", "dim")
    return Text("● ", "green") if view.leads_to_correct(node_id) else Text("○ ")


def _described(view: TreeView, node_id: int, depth: int | None, width: int) -> Text:
    node = view.node(node_id)
    line = Text(f"#{node_id} ", "bold")
    if node_id in view.chosen_path:
        line.append(f"{CHOSEN_MARK} ", "bold yellow")
    line.append(node.kind, "dim")
    if depth is not None:
        line.append(f", depth {depth:,}", "dim")
    if node.pruned is not None:
        line.append(f" pruned: {_one_line(node.pruned)}")
    if node.thought_type is not None:
        thought_type = _one_line(node.thought_type)
        line.append(f" [{thought_type}]", colour_of(thought_type))
    if node.tokens:
        given = f", {node.given:,} given" if node.given and node.parent is not None else ""
        line.append(f" {counted(len(node.tokens), 'token')}{given}", "dim")
    if node.scores is not None:
        line.append(f" {_scores(node.scores, width)}")
    below = view.below.get(node_id)
    if below is not None and below.reward is not None:
        line.append(f" reward {below.reward:.2f}", "green" if below.correct else "red")
    line.append_text(_grade(node)).append(f"  {_one_line(node.text)}")
    if node.pruned is not None:
        line.stylize("dim")
    return line


def _grade(node: Node) -> Text:
    if node.leaf is None:
        return Text()
    mark = grade_mark(node)
    answer = "" if node.leaf.extracted is None else f" {_one_line(node.leaf.extracted)}"
    return Text(f" {'' if mark is None else f'{mark} '}{node.leaf.outcome}{answer}", "bold")


def _scores(scores: Scores, width: int) -> str:
    total = f"total {scores.total:.2f}"
    if scores.uncertainty is not None:
        total += f"±{scores.uncertainty:.2f}"
    if width < _ALL_REWARDS_WIDTH:
        return total
    rewards = f"local {scores.local:.2f}, path {scores.path:.2f}, causal {scores.causal:.2f}"
    return f"{total} ({rewards}), {counted(scores.visits, 'visit')}"


def _one_line(text: str) -> str:
    """Safe in a line; a lone surrogate, which no UTF-8 can hold, is written out too."""
    printable = text[:_READ].encode("utf-8", "backslashreplace").decode()
    return " ".join(visible_cell(printable).split())
