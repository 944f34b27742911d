"""What rollouts with a node have over those without it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.leaf_means import leaf_sums


def causal_rewards(tree: ReasoningTree, rewards: Mapping[int, float | None]) -> dict[int, float]:
    """Of each node, max(0, mean reward of the paths with it - mean reward of those without it); in linear time.

    With no path without it, the former mean, also where that is below 0; with none with it, 0. Sums are exact and
    rounded once, so that nodes with equal paths have equal rewards. Deviation from spec/000, which looks up the rewards
    of both kinds of paths in one list by position: each mean is over its own paths. A node is told by its identity: two
    branches that say the same are two nodes.

    Args:
        rewards: by leaf; a leaf that is left out, or has None, is no path.
    """
    sums = leaf_sums(tree, rewards)
    everything = sums[tree.root]
    found = {}
    for node_id, own in sums.items():
        if not own.count:
            found[node_id] = 0.0
        elif own.count == everything.count:
            found[node_id] = float(own.total / own.count)
        else:
            without = (everything.total - own.total) / (everything.count - own.count)
            found[node_id] = float(max(Fraction(0), own.total / own.count - without))
    return found
