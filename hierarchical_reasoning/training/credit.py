"""How the rewards of leaves reach the tokens of a tree: pure functions, from a tree to an advantage a node.

Axes: N nodes, in the order of `ReasoningTree.nodes`; B rows that are compared; T tokens of a node. Everything is
float64 and takes linear time, but for sorting into groups.

A leaf whose reward is None, since grading failed, is in no mean, no maximum and no group; a node with no other leaf
below teaches nothing. So does the root: it is the prompt, and nobody's sibling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hierarchical_reasoning.rewards import RewardWeights, hierarchical_scores
from hierarchical_reasoning.training.estimators import Estimator, Floats, Integers, centred, scaled
from hierarchical_reasoning.trees.leaf_means import leaf_means
from hierarchical_reasoning.trees.tree import ReasoningTree

NO_GROUP = -1


@dataclass(frozen=True)
class Credit:
    """What each node of a tree is worth."""

    node_N: tuple[int, ...]
    """Ids."""
    reward_N: Floats
    """Mean over the leaves at and below it that have a reward, or with `HierarchicalCredit` its total reward; NaN where
    no leaf has one."""
    advantage_N: Floats
    """Of every drawn token of the node."""
    negative_N: Floats
    """What of it comes from negative advantages, which clipping treats otherwise than positive ones: of the paths that
    share a node, some may have gained and others lost."""
    weight_N: Floats
    """How often these tokens count in a loss."""
    group_N: Integers
    """The group whose rewards the node's is compared with; `NO_GROUP` for one that is not compared itself."""

    def grouped_rewards(self) -> list[list[float]]:
        """Of each group, the rewards that were compared."""
        found: dict[int, list[float]] = {}
        for group, reward in zip(self.group_N.tolist(), self.reward_N.tolist(), strict=True):
            if group != NO_GROUP:
                found.setdefault(group, []).append(reward)
        return list(found.values())


class CreditRule(Protocol):
    """A way of giving credit.

    Raises:
        ValueError: the keys of `rewards` are not the leaves of the tree.
    """

    def __call__(
        self, tree: ReasoningTree, rewards: Mapping[int, float | None], estimator: Estimator
    ) -> Credit: ...


@dataclass(frozen=True)
class TokenCredit:
    """Of the tokens of one node; all are 0 at tokens that were given."""

    advantage_T: Floats
    negative_T: Floats
    weight_T: Floats


def outcome_credit(tree: ReasoningTree, rewards: Mapping[int, float | None], estimator: Estimator) -> Credit:
    """GRPO's credit: rows are leaves, the tree is the group, a leaf's advantage is that of every token on its path.

    A node that several leaves share has the mean of their advantages, that of the negative ones among them apart, and
    their number as its weight. So an objective that is linear in A of either sign, as a clipped one is, sums over nodes
    to what it sums to over paths, one a row.
    """
    means = _mean_rewards(tree, rewards)
    rows = [leaf for leaf, reward in rewards.items() if reward is not None]
    advantages_B = estimator(
        _rewards(means, rows), _drawn_on_paths(tree, rows), np.zeros(len(rows), dtype=np.int64)
    )
    by_leaf = {**dict.fromkeys(rewards), **dict(zip(rows, advantages_B.tolist(), strict=True))}
    shared, negative = (
        leaf_means(tree, values)
        for values in (by_leaf, {leaf: None if a is None else min(a, 0.0) for leaf, a in by_leaf.items()})
    )
    del shared[tree.root]
    return _credit(
        tree,
        means,
        advantages={node: mean.mean for node, mean in shared.items() if mean.mean is not None},
        negatives={node: negative[node].mean or 0.0 for node in shared},
        weights={node: mean.count for node, mean in shared.items()},
        groups=dict.fromkeys(rows, 0),
    )


def descendant_mean_credit(
    tree: ReasoningTree, rewards: Mapping[int, float | None], estimator: Estimator = centred
) -> Credit:
    """TreeRPO's credit: a node's reward is the mean over the leaves below it, not over its children.

    It is compared with those of the other children of its parent, and the advantage is that of the node's own tokens.
    """
    return _among_siblings(tree, _mean_rewards(tree, rewards), estimator)


@dataclass(frozen=True)
class HierarchicalCredit:
    """HATO's credit (spec/000): a node's reward is its total of local, path and causal reward.

    It is compared with those of the other children of its parent, and the advantage is that of the node's own tokens.
    With `scaled` as the estimator this is HATO's group-normalised advantage. Local rewards are those in the scores of
    the tree's nodes, 0 where there are none; path and causal rewards come from `rewards`, whatever the scores say.

    Deviations from spec/000: the standard deviation is the population's, as everywhere here, not the unbiased one.
    """

    weights: RewardWeights

    def __call__(
        self, tree: ReasoningTree, rewards: Mapping[int, float | None], estimator: Estimator = scaled
    ) -> Credit:
        means = leaf_means(tree, rewards)
        scores = hierarchical_scores(tree, rewards, self.weights)
        totals = {node: scores[node].total if mean.count else None for node, mean in means.items()}
        return _among_siblings(tree, totals, estimator)


def token_advantages(tree: ReasoningTree, credit: Credit) -> dict[int, TokenCredit]:
    """By node id, of each of its tokens."""
    found = {}
    for i, node_id in enumerate(credit.node_N):
        node = tree.node(node_id)
        drawn_T = np.arange(len(node.tokens)) >= node.given
        found[node_id] = TokenCredit(
            *(
                np.where(drawn_T, of_nodes[i], 0.0)
                for of_nodes in (credit.advantage_N, credit.negative_N, credit.weight_N)
            )
        )
    return found


def _mean_rewards(tree: ReasoningTree, rewards: Mapping[int, float | None]) -> dict[int, float | None]:
    return {node: mean.mean for node, mean in leaf_means(tree, rewards).items()}


def _among_siblings(tree: ReasoningTree, rewards: Mapping[int, float | None], estimator: Estimator) -> Credit:
    """Each node against the other children of its parent.

    Args:
        rewards: by node; one with None is not compared.
    """
    groups = {
        node.id: node.parent
        for node in tree.nodes.values()
        if node.parent is not None and rewards[node.id] is not None
    }
    rows = list(groups)
    drawn_B = np.array([tree.node(row).drawn for row in rows], dtype=np.int64)
    group_B = np.array(list(groups.values()), dtype=np.int64)
    advantages_B = estimator(_rewards(rewards, rows), drawn_B, group_B)
    return _credit(
        tree,
        rewards,
        advantages=dict(zip(rows, advantages_B.tolist(), strict=True)),
        negatives=dict(zip(rows, np.minimum(advantages_B, 0.0).tolist(), strict=True)),
        weights=dict.fromkeys(rows, 1),
        groups=groups,
    )


def _credit(
    tree: ReasoningTree,
    rewards: Mapping[int, float | None],
    *,
    advantages: Mapping[int, float],
    negatives: Mapping[int, float],
    weights: Mapping[int, int],
    groups: Mapping[int, int],
) -> Credit:
    """Nodes that are not named have no advantage, no weight, no group."""
    node_N = tuple(tree.nodes)
    return Credit(
        node_N=node_N,
        reward_N=_rewards(rewards, node_N),
        advantage_N=np.array([advantages.get(node, 0.0) for node in node_N], dtype=np.float64),
        negative_N=np.array([negatives.get(node, 0.0) for node in node_N], dtype=np.float64),
        weight_N=np.array([weights.get(node, 0) for node in node_N], dtype=np.float64),
        group_N=np.array([groups.get(node, NO_GROUP) for node in node_N], dtype=np.int64),
    )


def _rewards(rewards: Mapping[int, float | None], nodes: list[int] | tuple[int, ...]) -> Floats:
    return np.array([rewards[node] for node in nodes], dtype=np.float64)  # None becomes NaN


def _drawn_on_paths(tree: ReasoningTree, leaves: list[int]) -> Integers:
    """How many tokens were drawn from the root to each leaf."""
    drawn_to = {tree.root: 0}
    for node_id in tree.walk():
        for child in tree.children(node_id):
            drawn_to[child] = drawn_to[node_id] + tree.node(child).drawn
    return np.array([drawn_to[leaf] for leaf in leaves], dtype=np.int64)
