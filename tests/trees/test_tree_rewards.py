"""Rewards of nodes: the invariants that must hold on any tree, and the same formulas written out path by path."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_trees import path_tree, trees

from hierarchical_reasoning.rewards import RewardWeights, back_up, hierarchical_scores
from hierarchical_reasoning.rewards.causal import causal_rewards
from hierarchical_reasoning.rewards.path import path_rewards
from hierarchical_reasoning.trees import ReasoningTree, Scores

Rewards = dict[int, float | None]


def some_rewards(tree: ReasoningTree, chance: random.Random) -> Rewards:
    """Of most leaves; some are left out, some have None."""
    values = [0.0, 1.0, 0.1, 0.7, 1 / 3, None]
    return {leaf: chance.choice(values) for leaf in tree.leaves() if chance.random() < 0.9}


def plain_path(tree: ReasoningTree, rewards: Rewards, node: int) -> float | None:
    below = [reward for leaf in tree.descendant_leaves(node) if (reward := rewards.get(leaf)) is not None]
    return max(below, default=None)


def plain_causal(tree: ReasoningTree, rewards: Rewards, node: int) -> float:
    """Path by path."""
    paths = {leaf: reward for leaf, reward in rewards.items() if reward is not None}
    with_it = [reward for leaf, reward in paths.items() if node in tree.path(leaf)]
    without = [reward for leaf, reward in paths.items() if node not in tree.path(leaf)]
    if not with_it:
        return 0.0
    if not without:
        return statistics.fmean(with_it)
    return max(0.0, statistics.fmean(with_it) - statistics.fmean(without))


@given(tree=trees(), chance=st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_rewards_are_their_formulas_path_by_path(tree: ReasoningTree, chance: random.Random) -> None:
    rewards = some_rewards(tree, chance)
    assert path_rewards(tree, rewards) == {node: plain_path(tree, rewards, node) for node in tree.nodes}
    causal = causal_rewards(tree, rewards)
    assert causal == pytest.approx({node: plain_causal(tree, rewards, node) for node in tree.nodes})
    weights = RewardWeights(0.3, 0.6, 0.2)
    before = {node.id: node.scores or Scores() for node in tree.nodes.values()}
    back_up(tree, rewards, weights)
    for node in tree.nodes.values():
        path = plain_path(tree, rewards, node.id) or 0.0
        assert node.scores is not None
        total = 0.3 * node.scores.local + 0.6 * path + 0.2 * causal[node.id]
        assert node.scores.total == pytest.approx(total)
        kept = replace(node.scores, total=before[node.id].total)
        assert kept == replace(before[node.id], path=path, causal=causal[node.id])


def large_tree(seed: int, *, deep: bool) -> ReasoningTree:
    """10,000 nodes, all with a local reward; some are pruned."""
    chance = random.Random(seed)
    tree = ReasoningTree("large", [], "?")
    for number in range(10_000):
        known = [number] if deep and chance.random() < 0.95 else [chance.randint(0, number)]
        tree.score(tree.add(known[0], (), "a thought"), Scores(local=chance.random(), prior=0.5))
    for node in chance.sample(range(5000, 10_000), 60):
        if node in tree.nodes:
            tree.prune(node, "beam")
    return tree


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_holds_on_trees_of_10_000_nodes(seed: int, deep: bool) -> None:
    tree, chance = large_tree(seed, deep=deep), random.Random(seed)
    rewards = {leaf: chance.random() for leaf in tree.leaves() if chance.random() < 0.8}
    weights = RewardWeights()
    pruned = dict(tree.pruned)
    back_up(tree, rewards, weights)
    scores = {node.id: node.scores or Scores() for node in tree.nodes.values()}
    best = path_rewards(tree, rewards)
    for node_id, own in scores.items():
        children = [best[child] for child in tree.children(node_id)]
        if children:
            assert best[node_id] == max((reward for reward in children if reward is not None), default=None)
        assert 0 <= own.causal <= own.path <= 1
        assert 0 <= own.total <= 0.4 * own.local + (0.5 + 0.1) * own.path + 1e-12
    assert scores[tree.root].path == max(rewards.values())
    assert scores[tree.root].causal == pytest.approx(statistics.fmean(rewards.values()))
    assert dict(tree.pruned) == pruned

    # Pruned nodes play no part: without them, everything is the same.
    bare = ReasoningTree.from_nodes("bare", tree.nodes.values(), next_id=tree.next_id)
    assert hierarchical_scores(bare, rewards, weights) == scores

    # One more leaf changes the paths of its ancestors alone.
    parent = chance.choice(list(rewards))
    del rewards[parent]
    before = path_rewards(tree, rewards)
    added = tree.add(parent, (), "an answer", kind="answer")
    after = path_rewards(tree, rewards | {added: 2.0})
    changed = {node for node in tree.nodes if after[node] != before.get(node)}
    assert changed == set(tree.path(added))
    assert {after[node] for node in changed} == {2.0}


def test_a_path_of_20_000_nodes_has_rewards() -> None:
    tree = path_tree(20_000)
    (leaf,) = tree.leaves()
    found = hierarchical_scores(tree, {leaf: 0.5}, RewardWeights(0.0, 1.0, 1.0))
    assert {scores.total for scores in found.values()} == {1.0}  # the only path: causal is its mean


def test_a_node_is_told_by_its_identity_and_a_negative_reward_is_not_lost() -> None:
    tree = ReasoningTree("p", [], "?")
    leaves = [tree.add(tree.root, (), "the same") for _ in range(3)]
    rewards = dict(zip(leaves, (1.0, 0.0, -1.0), strict=True))
    assert list(causal_rewards(tree, rewards).values()) == [0.0, 1.5, 0.0, 0.0]
    assert list(path_rewards(tree, rewards).values()) == [1.0, 1.0, 0.0, -1.0]
    assert path_rewards(tree, {leaves[2]: -1.0})[tree.root] == -1.0
    assert set(causal_rewards(tree, {}).values()) == {0.0}


def test_equal_paths_have_equal_rewards_however_they_were_summed() -> None:
    tree = ReasoningTree("p", [], "?")
    rewards = {}
    branches = [tree.add(tree.root, (), "") for _ in range(2)]
    for branch, values in zip(branches, ([0.7, 0.1, 1 / 3], [1 / 3, 0.7, 0.1]), strict=True):
        rewards.update({tree.add(branch, (), ""): value for value in values})
    found = hierarchical_scores(tree, rewards, RewardWeights())
    assert found[branches[0]] == found[branches[1]]
    assert found[branches[0]].causal == 0.0


def test_a_reward_of_what_is_no_leaf_is_refused() -> None:
    tree = ReasoningTree("p", [], "?")
    branch = tree.add(tree.root, (), "")
    leaf, dropped = tree.add(branch, (), ""), tree.add(branch, (), "")
    tree.prune(dropped, "beam")
    for node in (tree.root, branch, dropped, 99):
        with pytest.raises(ValueError, match=f"node {node} has a path reward and is no leaf"):
            back_up(tree, {leaf: 1.0, node: 1.0})
    assert tree.node(leaf).scores is None


@pytest.mark.parametrize(
    ("weights", "what"),
    [((-0.1, 1, 1), "`alpha` is -0.1"), ((1, float("nan"), 1), "`beta` is nan"), ((0, 0, 0), "all nodes")],
)
def test_weights_are_checked(weights: tuple[float, float, float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        RewardWeights(*weights)
