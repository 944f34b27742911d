"""What the rollouts that pass through a node came to: what views show of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees.leaf_means import leaf_means
from hierarchical_reasoning.trees.tree import ReasoningTree


@dataclass(frozen=True)
class Below:
    """Of the leaves at and below a node."""

    leaves: int
    correct: int
    reward: float | None
    """Mean over those that have one; None where none has, as before they are graded."""


def leaves_below(tree: ReasoningTree) -> dict[int, Below]:
    """Of each node; leaves need not be graded."""
    leaves = {leaf: tree.node(leaf).leaf for leaf in tree.leaves()}
    rewards = leaf_means(
        tree, {leaf: None if grade is None else grade.reward for leaf, grade in leaves.items()}
    )
    counts = leaf_means(tree, dict.fromkeys(leaves, 1.0))
    correct = leaf_means(
        tree,
        {
            leaf: 1.0 if grade is not None and grade.outcome is Outcome.CORRECT else None
            for leaf, grade in leaves.items()
        },
    )
    return {node: Below(counts[node].count, correct[node].count, rewards[node].mean) for node in tree.nodes}


def sibling_rewards(tree: ReasoningTree, below: Mapping[int, Below]) -> list[list[float]]:
    """The rewards of the children of each node: the groups that TreeRPO compares."""
    return [
        [reward for child in tree.children(node) if (reward := below[child].reward) is not None]
        for node in tree.nodes
    ]
