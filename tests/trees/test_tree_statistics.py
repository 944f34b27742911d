"""Statistics of trees against the same counted path by path, and means over leaves against fractions."""

from __future__ import annotations

import statistics
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_trees import path_tree, trees

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.training.credit import descendant_mean_credit
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.below import leaves_below, sibling_rewards
from hierarchical_reasoning.trees.leaf_means import leaf_means
from hierarchical_reasoning.trees.statistics import TreeStatistics, added, tree_statistics


@given(trees())
def test_statistics_are_those_counted_path_by_path(tree: ReasoningTree) -> None:
    found = tree_statistics(tree, [[1.0], [0.0, 1.0], [0.5, 0.5, 0.5]])
    leaves = tree.leaves()
    assert found.trees == 1
    assert found.nodes == len(tree.nodes)
    assert found.leaves == len(leaves)
    assert found.tokens_on_paths == sum(len(tree.path_tokens(leaf)) for leaf in leaves)
    assert found.unique_tokens == sum(len(node.tokens) for node in tree.nodes.values())
    assert found.max_depth == max(tree.depth(node) for node in tree.nodes)
    assert (found.groups, found.groups_with_spread) == (2, 1)
    assert found.spread_share == 0.5
    if leaves:
        assert found.mean_depth == pytest.approx(statistics.fmean(tree.depth(leaf) for leaf in leaves))
        if found.tokens_on_paths:
            assert found.unique_share == found.unique_tokens / found.tokens_on_paths


@given(st.lists(trees(8), max_size=5))
def test_statistics_of_many_are_those_of_each_added_up(found: list[ReasoningTree]) -> None:
    each = [tree_statistics(tree) for tree in found]
    together = added(each)
    assert together.trees == len(found)
    assert together.leaves == sum(one.leaves for one in each)
    assert together.tokens_on_paths == sum(one.tokens_on_paths for one in each)
    assert together.max_depth == max((one.max_depth for one in each), default=0)
    assert together.mean_leaves == (statistics.fmean(one.leaves for one in each) if each else None)


def test_of_nothing_there_is_no_mean_and_no_share() -> None:
    for nothing in (added([]), TreeStatistics(), tree_statistics(ReasoningTree("p", [1], "?"))):
        assert (nothing.mean_depth, nothing.unique_share, nothing.spread_share) == (None, None, None)
    assert added([]) == TreeStatistics()


@given(trees())
def test_what_is_below_a_node_is_counted_leaf_by_leaf(tree: ReasoningTree) -> None:
    below = leaves_below(tree)
    for node in tree.nodes:
        grades = [grade for leaf in tree.descendant_leaves(node) if (grade := tree.node(leaf).leaf)]
        assert below[node].leaves == len(grades)
        assert below[node].correct == sum(grade.outcome is Outcome.CORRECT for grade in grades)
        known = [grade.reward for grade in grades if grade.reward is not None]
        assert below[node].reward == (pytest.approx(statistics.fmean(known)) if known else None)
    groups = sibling_rewards(tree, below)
    compared = descendant_mean_credit(tree, tree.rewards()).grouped_rewards()
    assert sorted(filter(None, groups)) == sorted(compared)


def test_statistics_are_said_in_one_line() -> None:
    found = replace(tree_statistics(path_tree(3), [[0.0, 1.0], [1.0, 1.0]]), trees=2)
    assert found.in_words() == (
        "2 trees; 1 leaf; depth 3.0, at most 3; 4 of 4 tokens on paths are unique (100.0 %); "
        "1 of 2 groups have spread (50.0 %)"
    )
    assert TreeStatistics().in_words() == "0 trees; 0 leaves"


def test_one_path_shares_nothing() -> None:
    found = tree_statistics(path_tree(100_000))
    assert found.unique_share == 1.0
    assert found.max_depth == 100_000


@given(trees())
def test_a_nodes_mean_is_over_its_leaves_exactly(tree: ReasoningTree) -> None:
    rewards = tree.rewards()
    found = leaf_means(tree, rewards)
    for node in tree.nodes:
        known = [Fraction(r) for leaf in tree.descendant_leaves(node) if (r := rewards[leaf]) is not None]
        assert found[node].count == len(known)
        assert found[node].mean == (float(sum(known) / len(known)) if known else None)


def test_values_of_other_nodes_than_the_leaves_are_refused() -> None:
    tree = path_tree(2)
    with pytest.raises(ValueError, match="node 1 is a leaf without a value, or has a value and is no leaf"):
        leaf_means(tree, {1: 1.0, 2: 1.0})
    with pytest.raises(ValueError, match="node 2"):
        leaf_means(tree, {})
