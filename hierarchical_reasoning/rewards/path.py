"""Where the best rollout through a node led."""

from __future__ import annotations

from collections.abc import Mapping

from hierarchical_reasoning.trees import ReasoningTree


def path_rewards(tree: ReasoningTree, rewards: Mapping[int, float | None]) -> dict[int, float | None]:
    """Of each node, the highest reward of the leaves at and below it; in linear time.

    It is HATO's backup with max along the path to the root (spec/000), but begins with nothing instead of 0, so that a
    negative reward is not lost.

    Args:
        rewards: by leaf; a leaf that is left out, or has None, counts nowhere.

    Returns:
        None for a node without a reward below.
    """
    best: dict[int, float | None] = dict.fromkeys(tree.nodes)
    best.update(rewards)
    for node_id in reversed(list(tree.walk())):
        parent, reward = tree.node(node_id).parent, best[node_id]
        if parent is not None and reward is not None:
            so_far = best[parent]
            best[parent] = reward if so_far is None else max(so_far, reward)
    return best
