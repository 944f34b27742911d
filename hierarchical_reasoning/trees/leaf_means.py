"""What leaves have, added up and averaged over those below each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from hierarchical_reasoning.trees.tree import ReasoningTree


@dataclass(frozen=True)
class LeafMean:
    """Over the leaves at and below a node that have a value."""

    count: int
    mean: float | None
    """None where no leaf has one."""


@dataclass(frozen=True)
class LeafSum:
    """Over the leaves at and below a node that have a value."""

    count: int
    total: Fraction
    """Exact."""


def leaf_means(tree: ReasoningTree, values: Mapping[int, float | None]) -> dict[int, LeafMean]:
    """For each node; in linear time.

    Sums are exact and rounded once: nodes whose leaves have equal means have equal floats, in whatever order and number
    they were summed.

    Args:
        values: by leaf; None for a leaf that is in no mean.

    Raises:
        ValueError: the keys are not the leaves of the tree.
    """
    if differing := set(tree.leaves()) ^ values.keys():
        raise ValueError(f"node {min(differing)} is a leaf without a value, or has a value and is no leaf")
    return {
        node_id: LeafMean(own.count, float(own.total / own.count) if own.count else None)
        for node_id, own in leaf_sums(tree, values).items()
    }


def leaf_sums(tree: ReasoningTree, values: Mapping[int, float | None]) -> dict[int, LeafSum]:
    """For each node; in linear time.

    Args:
        values: by leaf; a leaf that is left out, or has None, is in no sum.
    """
    counts = dict.fromkeys(tree.nodes, 0)
    sums = dict.fromkeys(tree.nodes, Fraction(0))
    for leaf, value in values.items():
        if value is not None:
            counts[leaf], sums[leaf] = 1, Fraction(value)
    for node_id in reversed(list(tree.walk())):
        parent = tree.node(node_id).parent
        if parent is not None:
            counts[parent] += counts[node_id]
            sums[parent] += sums[node_id]
    return {node_id: LeafSum(count, sums[node_id]) for node_id, count in counts.items()}
