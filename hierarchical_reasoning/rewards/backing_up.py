"""From the rewards of leaves to those of every node (HATO, spec/000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hierarchical_reasoning.rewards.base import RewardWeights
from hierarchical_reasoning.rewards.causal import causal_rewards
from hierarchical_reasoning.rewards.path import path_rewards as best_below
from hierarchical_reasoning.trees import ReasoningTree, Scores


def back_up(
    tree: ReasoningTree,
    path_rewards: Mapping[int, float | None],
    weights: RewardWeights = RewardWeights(),  # noqa: B008 - frozen
) -> None:
    """Set path, causal and total of every node that was not pruned, in linear time; other scores stay.

    Arguments and errors are those of `hierarchical_scores`.
    """
    for node_id, scores in hierarchical_scores(tree, path_rewards, weights).items():
        tree.score(node_id, scores)


def hierarchical_scores(
    tree: ReasoningTree, path_rewards: Mapping[int, float | None], weights: RewardWeights
) -> dict[int, Scores]:
    """What `back_up` sets, by node, with the scores that stay; a node that has none yet has a local reward of 0.

    Args:
        path_rewards: by leaf. One that is left out, or has None, is in no maximum and no mean; a node without any other
            below has a path and a causal reward of 0.
        weights: of the total.

    Raises:
        ValueError: a key is no leaf of the tree, as where it was pruned.
    """
    if strange := [node for node in path_rewards if node not in tree.nodes or not tree.is_leaf(node)]:
        raise ValueError(f"node {min(strange)} has a path reward and is no leaf of the tree")
    path = best_below(tree, path_rewards)
    causal = causal_rewards(tree, path_rewards)
    found = {}
    for node in tree.nodes.values():
        before = node.scores or Scores()
        reward = path[node.id]
        best = 0.0 if reward is None else reward
        found[node.id] = replace(
            before,
            path=best,
            causal=causal[node.id],
            total=weights.total(before.local, best, causal[node.id]),
        )
    return found
