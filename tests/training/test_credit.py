"""Credit and estimators, against the same formulas written out path by path, and on trees of many nodes."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_trees import path_tree, trees

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.rewards import RewardWeights, back_up
from hierarchical_reasoning.training.credit import (
    NO_GROUP,
    Credit,
    CreditRule,
    HierarchicalCredit,
    descendant_mean_credit,
    outcome_credit,
    token_advantages,
)
from hierarchical_reasoning.training.estimators import Estimator, centred, scaled, token_level
from hierarchical_reasoning.trees import Leaf, ReasoningTree, Scores

RULES: list[CreditRule] = [outcome_credit, descendant_mean_credit, HierarchicalCredit(RewardWeights())]
ESTIMATORS: dict[str, Estimator] = {
    "centred": centred,
    "scaled": scaled,
    "token_level": token_level,
    "token_level without std": partial(token_level, norm_by_std=False),
}
Rewards = Mapping[int, float | None]


def plain(name: str, rewards: list[float], lengths: list[int]) -> list[float]:
    """The advantages of one group."""
    if max(rewards) == min(rewards):
        return [0.0] * len(rewards)
    mean = statistics.fmean(rewards)
    if name == "centred":
        return [r - mean for r in rewards]
    if name == "scaled":
        return [(r - mean) / max(statistics.pstdev(rewards), 1e-6) for r in rewards]
    tokens = [r for r, length in zip(rewards, lengths, strict=True) for _ in range(length)]
    if not tokens or max(tokens) == min(tokens):
        return [0.0] * len(rewards)
    norm = name == "token_level"

    def by(mean: float, std: float) -> list[float]:
        return [(r - mean) / (std + 1e-6) if norm else r - mean for r in rewards]

    found = by(statistics.fmean(tokens), statistics.pstdev(tokens))
    if any(abs(a) >= 5 and length for a, length in zip(found, lengths, strict=True)):
        return by(mean, statistics.stdev(rewards))
    return found


REWARD = st.sampled_from([0.0, 1.0, 0.1]) | st.floats(-8, 8, width=32)
ROWS = st.lists(st.tuples(st.integers(-2, 3), REWARD, st.integers(0, 60)), min_size=1, max_size=14)


@pytest.mark.parametrize("name", ESTIMATORS)
@given(rows=ROWS)
def test_an_estimator_is_its_formula_in_each_group(name: str, rows: list[tuple[int, float, int]]) -> None:
    group, rewards, lengths = (list(column) for column in zip(*rows, strict=True))
    found = ESTIMATORS[name](np.array(rewards), np.array(lengths), np.array(group))
    assert found.dtype == np.float64
    for each in set(group):
        members = [i for i, other in enumerate(group) if other == each]
        expected = plain(name, [rewards[i] for i in members], [lengths[i] for i in members])
        assert found[members].tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_without_spread_advantages_are_exactly_zero(name: str) -> None:
    rewards = np.array([0.1, 0.1, 0.1, 0.7, 1.0, 0.0])
    found = ESTIMATORS[name](rewards, np.array([3, 1, 7, 5, 4, 4]), np.array([5, 5, 5, 2, 9, 9]))
    assert found[:4].tolist() == [0.0] * 4
    assert found[4] == -found[5] > 0
    assert ESTIMATORS[name](np.array([]), np.array([], dtype=int), np.array([], dtype=int)).tolist() == []


def test_token_level_counts_rows_by_their_tokens_and_falls_back_where_one_would_weigh_too_much() -> None:
    group = np.zeros(2, dtype=int)
    found = token_level(np.array([1.0, 0.0]), np.array([3, 1]), group)
    assert found.tolist() == pytest.approx(
        [0.25 / (math.sqrt(3) / 4 + 1e-6), -0.75 / (math.sqrt(3) / 4 + 1e-6)]
    )
    # With a share s of tokens in the right row, that row's advantage is sqrt((1 - s) / s): 5 at s = 1/26.
    within, beyond = (token_level(np.array([1.0, 0.0]), np.array([1, n]), group) for n in (24, 26))
    assert within[0] == pytest.approx(math.sqrt(24), rel=1e-4)
    assert beyond.tolist() == pytest.approx([math.sqrt(0.5), -math.sqrt(0.5)], rel=1e-4)
    # A row without tokens does not make its group fall back, and two others without spread learn nothing.
    rewards, group = np.array([1.0, 0.0, 20.0]), np.zeros(3, dtype=int)
    assert token_level(rewards, np.array([1, 1, 0]), group)[:2].tolist() == pytest.approx(
        [1.0, -1.0], abs=1e-5
    )
    assert token_level(np.array([1.0, 1.0, 0.0]), np.array([2, 1, 0]), group).tolist() == [0.0] * 3
    assert token_level(rewards, np.zeros(3, dtype=int), group).tolist() == [0.0] * 3


def test_a_difference_of_rewards_of_5_falls_back_without_division_too() -> None:
    rewards, lengths, group = np.array([6.0, 0.0]), np.array([1, 9]), np.zeros(2, dtype=int)
    assert token_level(rewards, lengths, group, norm_by_std=False).tolist() == [3.0, -3.0]
    assert token_level(rewards / 2, lengths, group, norm_by_std=False).tolist() == pytest.approx([2.7, -0.3])


def by_path(tree: ReasoningTree, rewards: Rewards, name: str) -> list[tuple[int, int, float]]:
    """(node, place, advantage) of every drawn token of every row, where each leaf is a row with its whole path."""
    rows = [leaf for leaf in tree.leaves() if rewards[leaf] is not None]
    if not rows:
        return []
    lengths = [sum(tree.node(node).drawn for node in tree.path(leaf)) for leaf in rows]
    advantages = plain(name, [r for leaf in rows if (r := rewards[leaf]) is not None], lengths)
    return [
        (node, place, advantage)
        for leaf, advantage in zip(rows, advantages, strict=True)
        for node in tree.path(leaf)
        for place in range(tree.node(node).given, len(tree.node(node).tokens))
    ]


@pytest.mark.parametrize("name", ESTIMATORS)
@given(tree=trees())
@settings(max_examples=60)
def test_outcome_credit_is_that_of_a_row_for_each_path(name: str, tree: ReasoningTree) -> None:
    rewards = tree.rewards()
    credit = token_advantages(tree, outcome_credit(tree, rewards, ESTIMATORS[name]))
    values = random.Random(7)
    f = {(node, place): values.random() for node in tree.nodes for place in range(99)}
    rows = by_path(tree, rewards, name)
    packed = sum(
        float(weight * advantage) * f[node, place]
        for node, of_node in credit.items()
        for place, (advantage, weight) in enumerate(zip(of_node.advantage_T, of_node.weight_T, strict=True))
    )
    assert packed == pytest.approx(sum(a * f[node, place] for node, place, a in rows), rel=1e-9, abs=1e-9)
    assert sum(float(of_node.weight_T.sum()) for of_node in credit.values()) == len(rows)


@pytest.mark.parametrize("name", ESTIMATORS)
@given(tree=trees())
@settings(max_examples=60)
def test_descendant_mean_credit_compares_siblings_by_their_leaves(name: str, tree: ReasoningTree) -> None:
    rewards = tree.rewards()
    credit = descendant_mean_credit(tree, rewards, ESTIMATORS[name])
    found = dict(zip(credit.node_N, credit.advantage_N.tolist(), strict=True))
    means = {
        node: statistics.fmean(known)
        for node in tree.nodes
        if (known := [r for leaf in tree.descendant_leaves(node) if (r := rewards[leaf]) is not None])
    }
    expected = dict.fromkeys(tree.nodes, 0.0)
    for parent in tree.nodes:
        children = [child for child in tree.children(parent) if child in means]
        if len(children) > 1:
            # Rounded, since means that are equal as fractions may differ in their last digit here.
            of_children = [round(means[child], 12) for child in children]
            drawn = [tree.node(child).drawn for child in children]
            expected.update(zip(children, plain(name, of_children, drawn), strict=True))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    for i, node in enumerate(credit.node_N):
        compared = node in means and node != tree.root
        assert credit.group_N[i] == (tree.node(node).parent if compared else NO_GROUP)
        assert credit.weight_N[i] == compared
        assert credit.reward_N[i] == pytest.approx(means.get(node, math.nan), nan_ok=True)


@pytest.mark.parametrize("name", ESTIMATORS)
@given(tree=trees())
@settings(max_examples=60)
def test_hierarchical_credit_compares_the_totals_of_siblings(name: str, tree: ReasoningTree) -> None:
    rewards, weights = tree.rewards(), RewardWeights(0.3, 0.6, 0.4)
    before = list(tree.nodes.values())
    credit = HierarchicalCredit(weights)(tree, rewards, ESTIMATORS[name])
    assert list(tree.nodes.values()) == before  # it only looks
    back_up(tree, rewards, weights)
    totals = {
        node.id: node.scores.total
        for node in tree.nodes.values()
        if node.scores and any(rewards[leaf] is not None for leaf in tree.descendant_leaves(node.id))
    }
    expected = dict.fromkeys(tree.nodes, 0.0)
    for parent in tree.nodes:
        children = [child for child in tree.children(parent) if child in totals]
        if len(children) > 1:
            drawn = [tree.node(child).drawn for child in children]
            expected.update(
                zip(children, plain(name, [totals[child] for child in children], drawn), strict=True)
            )
    found = dict(zip(credit.node_N, credit.advantage_N.tolist(), strict=True))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    for i, node in enumerate(credit.node_N):
        compared = node in totals and node != tree.root
        assert credit.group_N[i] == (tree.node(node).parent if compared else NO_GROUP)
        assert credit.weight_N[i] == compared
        assert credit.reward_N[i] == pytest.approx(totals.get(node, math.nan), nan_ok=True)


def test_hierarchical_credit_by_hand() -> None:
    """A branch with a right and a wrong leaf, and one with two wrong ones."""
    tree = tree_of([1.0, 0.0], [0.0, 0.0])
    for node, local in {1: 0.2, 2: 0.5, 4: 0.7, 5: 0.5, 6: 0.5}.items():
        tree.score(node, Scores(local=local, path=9.0, causal=9.0, total=9.0))
    credit = HierarchicalCredit(RewardWeights())(tree, tree.rewards(), centred)
    # Of node 1: local 0.2, path 1, causal 1/2 - 0. Of its leaf 2: causal 1 - 0. Of the others path and causal are 0.
    totals = [0.5 + 0.1 / 4, 0.08 + 0.5 + 0.05, 0.2 + 0.5 + 0.1, 0.0, 0.28, 0.2, 0.2]
    assert credit.reward_N.tolist() == pytest.approx(totals)
    half, of_leaves = (0.63 - 0.28) / 2, (0.8 - 0.0) / 2
    assert credit.advantage_N.tolist() == pytest.approx([0, half, of_leaves, -of_leaves, -half, 0, 0])
    assert credit.advantage_N[5:].tolist() == [0.0, 0.0]  # no spread


def test_local_rewards_alone_can_tell_siblings_apart_and_need_a_weight_for_it() -> None:
    tree = tree_of([1.0], [1.0])
    for node, local in {1: 0.9, 3: 0.1}.items():
        tree.score(node, Scores(local=local))
    for weights, expected in ((RewardWeights(), [1.0, -1.0]), (RewardWeights(alpha=0.0), [0.0, 0.0])):
        credit = HierarchicalCredit(weights)(tree, tree.rewards())
        assert credit.advantage_N[[1, 3]].tolist() == pytest.approx(expected)
        assert credit.advantage_N[[0, 2, 4]].tolist() == [0.0] * 3  # the root, and leaves that are alone


def tree_of(*rewards: list[float | None]) -> ReasoningTree:
    """A branch for each list, below it a leaf for each reward."""
    tree = ReasoningTree("p", [1, 2], "?")
    for leaves in rewards:
        branch = tree.add(tree.root, [3, 4, 5], "abc", kind="alternative", given=1)
        for reward in leaves:
            outcome = Outcome.ERROR if reward is None else Outcome.CORRECT if reward else Outcome.WRONG
            tree.grade(tree.add(branch, [6, 7], "de"), Leaf(outcome, reward))
    return tree


def test_a_nodes_reward_is_the_mean_over_leaves_not_over_children() -> None:
    tree = tree_of([1.0])
    deep = tree.add(0, [3], "")
    tree.grade(tree.add(deep, [1], ""), Leaf(Outcome.CORRECT, 1.0))
    fork = tree.add(deep, [1], "")
    for reward in (0.0, 0.0):
        tree.grade(tree.add(fork, [1], ""), Leaf(Outcome.WRONG, reward))
    credit = descendant_mean_credit(tree, tree.rewards())
    assert dict(zip(credit.node_N, credit.reward_N.tolist(), strict=True))[deep] == 1 / 3  # not 1/2
    assert credit.advantage_N.tolist() == pytest.approx([0, 1 / 3, 0, -1 / 3, 2 / 3 - 1 / 6, -0.5, 0, 0])
    assert sorted(map(sorted, credit.grouped_rewards())) == [[0.0, 0.0], [0.0, 1.0], [1 / 3, 1.0], [1.0]]


def test_shared_tokens_have_the_mean_advantage_of_their_leaves_and_their_number() -> None:
    tree = tree_of([1.0, 1.0], [0.0, 1.0])
    credit = outcome_credit(tree, tree.rewards(), centred)
    assert credit.node_N == (0, 1, 2, 3, 4, 5, 6)
    assert credit.advantage_N.tolist() == [0, 0.25, 0.25, 0.25, -0.25, -0.75, 0.25]
    assert credit.negative_N.tolist() == [0, 0, 0, 0, -0.375, -0.75, 0]
    assert credit.weight_N.tolist() == [0, 2, 1, 1, 2, 1, 1]
    assert credit.group_N.tolist() == [-1, -1, 0, 0, -1, 0, 0]
    assert credit.grouped_rewards() == [[1.0, 1.0, 0.0, 1.0]]
    tokens = token_advantages(tree, credit)
    assert tokens[4].advantage_T.tolist() == [0, -0.25, -0.25]  # the first was given
    assert tokens[4].negative_T.tolist() == [0, -0.375, -0.375]
    assert tokens[4].weight_T.tolist() == [0, 2, 2]
    assert tokens[0].weight_T.tolist() == [0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_a_leaf_that_could_not_be_graded_counts_nowhere(rule: CreditRule) -> None:
    without, with_it = tree_of([1.0], [0.0], []), tree_of([1.0, None], [0.0], [None])
    without.remove_subtree(5)
    credit = rule(with_it, with_it.rewards(), centred)
    expected = rule(without, without.rewards(), centred)
    found = dict(zip(credit.node_N, zip(credit.advantage_N, credit.weight_N, strict=True), strict=True))
    assert [found[node] for node in (0, 1, 2, 4, 5)] == list(
        zip(expected.advantage_N, expected.weight_N, strict=True)
    )
    assert found[3] == found[6] == found[7] == (0, 0)
    assert np.isnan(credit.reward_N[[3, 6, 7]]).all()
    nothing = tree_of([None], [None, None])
    credit = rule(nothing, nothing.rewards(), scaled)
    assert not credit.advantage_N.any()
    assert not credit.weight_N.any()
    assert credit.grouped_rewards() == []


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rewards", [[[0.1] * 3, [0.1]], [[0.7, 0.1, 1 / 3], [1 / 3, 0.7, 0.1]]])
def test_equal_means_are_equal_however_they_were_summed(rule: CreditRule, rewards: list[list[float]]) -> None:
    tree = tree_of(*rewards)
    advantages = dict(zip(range(9), rule(tree, tree.rewards(), scaled).advantage_N.tolist(), strict=False))
    second = len(rewards[0]) + 2
    assert advantages[1] == advantages[second]
    assert rule is outcome_credit or advantages[1] == 0.0


@pytest.mark.parametrize("rule", RULES)
def test_rewards_are_given_for_the_leaves_and_nothing_else(rule: CreditRule) -> None:
    tree = tree_of([1.0], [0.0])
    with pytest.raises(ValueError, match="node 4 is a leaf without a value"):
        rule(tree, {2: 1.0}, centred)
    with pytest.raises(ValueError, match=r"node 1 .* has a value and is no leaf"):
        rule(tree, {1: 1.0, 2: 1.0, 4: 0.0}, centred)
    alone = ReasoningTree("p", [1], "?")
    assert rule(alone, {}, centred).advantage_N.tolist() == [0.0]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("estimator", [centred, scaled, token_level])
def test_what_holds_on_trees_of_10_000_nodes(deep: bool, estimator: Estimator) -> None:
    chance = random.Random(6)
    tree = ReasoningTree("large", [1, 2], "?")
    for node in range(10_000):
        parent = node if deep and chance.random() < 0.95 else chance.randint(0, node)
        tree.add(parent, [1] * chance.randint(1, 3), "")
    for leaf in tree.leaves():
        tree.grade(leaf, Leaf(Outcome.CORRECT, chance.choice([0.0, 1.0])))
    rewards = tree.rewards()
    by_outcome = outcome_credit(tree, rewards, estimator)
    depths = {leaf: tree.depth(leaf) for leaf in tree.leaves()}
    assert by_outcome.weight_N.sum() == sum(depths.values())
    assert len(by_outcome.grouped_rewards()[0]) == len(depths)
    for rule in (descendant_mean_credit, HierarchicalCredit(RewardWeights())):
        holds_among_siblings(tree, rule(tree, rewards, estimator), estimator)


def holds_among_siblings(tree: ReasoningTree, by_siblings: Credit, estimator: Estimator) -> None:
    advantage = dict(zip(by_siblings.node_N, by_siblings.advantage_N.tolist(), strict=True))
    reward = dict(zip(by_siblings.node_N, by_siblings.reward_N.tolist(), strict=True))
    for parent in tree.nodes:
        children = tree.children(parent)
        if estimator is not token_level:
            assert sum(advantage[child] for child in children) == pytest.approx(0.0, abs=1e-7)
        if len({reward[child] for child in children}) <= 1:
            assert all(advantage[child] == 0.0 for child in children)
        else:
            best = max(children, key=lambda child: reward[child])
            assert advantage[best] > 0
    assert sum(of_node.weight_T.sum() for of_node in token_advantages(tree, by_siblings).values()) == sum(
        node.drawn for node in tree.nodes.values()
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_path_of_100_000_nodes_has_credit(rule: CreditRule) -> None:
    tree = path_tree(100_000)
    credit = rule(tree, tree.rewards(), centred)
    assert not credit.advantage_N.any()
    assert credit.weight_N.sum() == 100_000
