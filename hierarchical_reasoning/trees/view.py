"""A tree as it is looked at: what a search pruned hangs where it was, behind what stayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees.below import Below, leaves_below
from hierarchical_reasoning.trees.node import Node, Scores
from hierarchical_reasoning.trees.tree import ReasoningTree

GRADE_MARKS = {Outcome.CORRECT: "✓", Outcome.WRONG: "✗"}
"""Of leaves; all other outcomes have `NO_GRADE_MARK`."""
NO_GRADE_MARK = "–"
CHOSEN_MARK = "★"


@dataclass(frozen=True)
class ScoreFigure:
    """A number of a node as it is shown."""

    name: str
    text: str
    share: float | None = None
    """From 0 to 1, for a bar; None for what has no scale."""


class TreeView:
    """What views show of a tree, in linear time. It is made of the tree as it is, and does not follow its changes."""

    def __init__(self, tree: ReasoningTree, *, hide_pruned: bool = False) -> None:
        self.tree = tree
        self.hidden = len(tree.pruned) if hide_pruned else 0
        """How many nodes are left out since they were pruned."""
        self.below = leaves_below(tree)
        """Of the nodes that were not pruned."""
        self.chosen_path = frozenset(() if tree.chosen is None else tree.path(tree.chosen))
        self._pruned = {} if hide_pruned else dict(tree.pruned)
        self._pruned_children: dict[int, list[int]] = {}
        for node in self._pruned.values():
            if node.parent is not None:
                self._pruned_children.setdefault(node.parent, []).append(node.id)

    def __len__(self) -> int:
        """How many nodes are shown."""
        return len(self.tree) + len(self._pruned)

    def node(self, node_id: int) -> Node:
        return self._pruned[node_id] if node_id in self._pruned else self.tree.node(node_id)

    def kept(self, node_id: int) -> tuple[int, ...]:
        """The children that were not pruned."""
        return () if node_id in self._pruned else self.tree.children(node_id)

    def pruned(self, node_id: int) -> tuple[int, ...]:
        """The children that were."""
        return tuple(self._pruned_children.get(node_id, ()))

    def children(self, node_id: int) -> tuple[int, ...]:
        """Both, those that were pruned last."""
        return self.kept(node_id) + self.pruned(node_id)

    def walk(self, node_id: int = ReasoningTree.root) -> Iterator[int]:
        """The node and all below it; a node before its children, children in order."""
        waiting = [node_id]
        while waiting:
            found = waiting.pop()
            yield found
            waiting.extend(reversed(self.children(found)))

    def leads_to_correct(self, node_id: int) -> bool:
        """Whether a leaf at or below the node, that was not pruned, is correct."""
        return node_id in self.below and self.below[node_id].correct > 0

    def promise(self, node_id: int) -> float | None:
        """From 0 to 1: the total of its scores; without scores, the mean reward of the leaves below it; None where
        there is neither. What is beyond is shown as the end that it is beyond."""
        node = self.node(node_id)
        below = self.below.get(node_id, _NOTHING_BELOW)
        found = below.reward if node.scores is None else node.scores.total
        return None if found is None else min(max(found, 0.0), 1.0)

    def why_pruned(self) -> list[tuple[str, int]]:
        """The reasons for which nodes were pruned, hidden ones too, and how many were; the most frequent first."""
        return Counter(node.pruned or "" for node in self.tree.pruned.values()).most_common()


_NOTHING_BELOW = Below(0, 0, None)


def grade_mark(node: Node) -> str | None:
    """What marks how a leaf was graded; None where it was not."""
    if node.leaf is None or node.leaf.outcome is Outcome.UNGRADED:
        return None
    return GRADE_MARKS.get(node.leaf.outcome, NO_GRADE_MARK)


def score_figures(scores: Scores) -> list[ScoreFigure]:
    """The numbers in the order in which they are read; what is not known is left out."""
    shares = {
        "total": scores.total,
        "local": scores.local,
        "path": scores.path,
        "causal": scores.causal,
        "value": scores.value,
        "uncertainty": scores.uncertainty,
        "prior": scores.prior,
    }
    found = [
        ScoreFigure(name, f"{share:.2f}", min(max(share, 0.0), 1.0))
        for name, share in shares.items()
        if share is not None
    ]
    return [*found, ScoreFigure("visits", f"{scores.visits:,}")]
