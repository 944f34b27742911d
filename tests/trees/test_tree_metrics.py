"""Metrics of trees: by hand on a small one, and the same definitions written out on trees of any shape."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_trees import path_tree, trees

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, ReasoningTree, Scores
from hierarchical_reasoning.trees.metrics import (
    Ratio,
    SeenNgrams,
    TreeMetrics,
    agreement,
    all_at_k,
    estimates_and_rewards,
    tree_metrics,
)


def search_tree(right: str = "12") -> ReasoningTree:
    """Two thoughts; below the first an answer, and a second thought with two answers; a third thought was pruned."""
    tree = ReasoningTree("p", [], "?")

    def add(parent: int, text: str, total: float, *, of_type: str | None = None) -> int:
        kind: Any = "answer" if of_type is None else "thought"
        node = tree.add(parent, (), text, kind=kind, thought_type=of_type)
        tree.score(node, Scores(path=total / 2, total=total))
        return node

    first = add(tree.root, "Add one and two", 0.8, of_type="Add")
    other = add(tree.root, "Add one and three", 0.4, of_type="Add")
    dropped = add(tree.root, "Guess one and three", 0.1, of_type="Guess")
    below = add(dropped, "Guess again", 0.1, of_type="Guess")
    second = add(first, "Check it", 0.6, of_type="Check")
    for parent, answer in ((first, "12"), (second, "13"), (second, right), (other, None)):
        leaf = add(parent, f"It is {answer}", 0.2)
        outcome = Outcome.CORRECT if answer == "12" else Outcome.WRONG if answer else Outcome.NO_ANSWER
        tree.grade(leaf, Leaf(outcome, float(answer == "12"), answer))
    tree.prune(dropped, "its total is low")
    assert below in tree.pruned
    return tree


def test_a_small_tree_by_hand() -> None:
    found = tree_metrics(search_tree(), ks=(1, 2, 4, 5))
    assert found.pass_at_k == {1: Ratio(0.5, 1), 2: Ratio(1 - 1 / 6, 1), 4: Ratio(1.0, 1)}
    assert found.all_at_k == {1: Ratio(0.5, 1), 2: Ratio(1 / 6, 1), 4: Ratio(0.0, 1)}
    assert found.solved == Ratio(1, 1)
    assert found.robustness.value == pytest.approx(1 / 6)  # of 6 pairs, one says 12 twice
    assert found.node_reward.value == pytest.approx((0.8 + 0.4 + 0.6 + 4 * 0.2) / 7)
    assert found.path_reward.value == pytest.approx(0.1)
    assert found.shallowest == Ratio(1, 1)  # one thought, then the answer
    assert found.right_depth == Ratio(1 + 2, 2)
    assert found.branching_solved == Ratio(3, 2)  # the root and the first thought; answers are no branches
    assert found.pruned_solved == Ratio(1, 2)
    assert found.branching_failed == found.pruned_failed == found.novelty == Ratio()
    # "add one", "one and" twice, "and two", "and three"; "check it", "it is", "is 12"; "it is" twice, "is 13", "is 12".
    assert found.diversity == Ratio(4 + 3 + 3, 6 + 3 + 4)
    assert found.type_paths == Ratio(2, 4)  # Add; Add, Check
    assert found.in_words() == (
        "1 tree; solved 100.0 %; pass@1 50.0 %; pass@2 83.3 %; pass@4 100.0 %; all@1 50.0 %; all@2 16.7 %; "
        "all@4 0.0 %; agreement of answers 16.7 %; diversity of siblings 76.9 %; ways of thinking per answer 50.0 %; "
        "reward of a node 0.37; reward of a path 0.10; depth of right answers 1.50; depth of a tree's first right "
        "answer 1.00; branching where solved 1.50; pruned children where solved 0.50"
    )


def test_a_failed_tree_and_a_solved_one_add_up() -> None:
    solved, failed = search_tree(), search_tree("14")
    for leaf in failed.leaves():
        if (grade := failed.node(leaf).leaf) and grade.outcome is Outcome.CORRECT:
            failed.remove_subtree(leaf)
    both = tree_metrics(solved) + tree_metrics(failed)
    assert (both.trees, both.solved) == (2, Ratio(1, 2))
    assert both.branching_solved == both.branching_failed == Ratio(3, 2)
    assert both.pass_at_k[2] == Ratio(1 - 1 / 6, 2)
    assert both.pass_at_k[4] == Ratio(1.0, 1)  # the other one has three answers
    assert both.figures()["pass_at_4"] == 1.0
    assert both.figures()["solved"] == 0.5
    assert sum([TreeMetrics()] * 3, both) == both
    assert TreeMetrics().figures() == {"trees": 0.0}
    assert TreeMetrics().in_words() == "0 trees"


def test_without_a_ground_truth_there_is_agreement_and_no_pass_at_k() -> None:
    tree = ReasoningTree("p", [], "?")
    for answer in ("1/2", "0.5", None, None):
        tree.grade(tree.add(tree.root, (), "", kind="answer"), Leaf(Outcome.UNGRADED, None, answer))
    tree.grade(tree.add(tree.root, (), "", kind="answer"), Leaf(Outcome.ERROR, None))
    tree.add(tree.root, (), "not answered")
    found = tree_metrics(tree, ballot=lambda answer: str(Fraction(answer)))
    assert found.robustness == Ratio(1 / 6, 1)
    assert found.solved == found.shallowest == Ratio()
    assert found.pass_at_k == {}
    assert tree_metrics(tree).robustness == Ratio(0.0, 1)


def plain(tree: ReasoningTree) -> dict[str, tuple[float, float]]:
    """Some of the definitions, written out."""
    answers = [
        (leaf, grade)
        for leaf in tree.leaves()
        if (grade := tree.node(leaf).leaf) and grade.outcome is not Outcome.ERROR
    ]
    thoughts = {
        node: sum(tree.node(at).kind not in ("prompt", "answer") for at in tree.path(node))
        for node in tree.nodes
    }
    right = [thoughts[leaf] for leaf, grade in answers if grade.outcome is Outcome.CORRECT]
    inner = kept = pruned = 0
    for node in tree.nodes:
        alive = sum(tree.node(child).kind != "answer" for child in tree.children(node))
        gone = sum(other.parent == node and other.kind != "answer" for other in tree.pruned.values())
        inner, kept, pruned = inner + bool(alive or gone), kept + alive, pruned + gone
    ways = [
        tuple(name for at in tree.path(leaf) if (name := tree.node(at).thought_type)) for leaf, _ in answers
    ]
    typed = any(node.thought_type for node in tree.nodes.values())
    same = [
        a.extracted is not None and a.extracted == b.extracted
        for (_, a), (_, b) in itertools.combinations(answers, 2)
    ]
    bigrams = [
        [
            pair
            for child in tree.children(node)
            for said in [drawn(tree, child)]
            for pair in itertools.pairwise(said)
        ]
        for node in tree.nodes
        if len(tree.children(node)) > 1
    ]
    of = "solved" if right else "failed" if answers else ""
    return {
        "right_depth": (sum(right), len(right)),
        "shallowest": (min(right, default=0), bool(right)),
        f"branching_{of}": (kept, inner),
        f"pruned_{of}": (pruned, inner),
        "type_paths": (len(set(ways)), len(ways)) if typed else (0, 0),
        "robustness": (sum(same) / len(same), 1) if same else (0, 0),
        "diversity": (sum(len(set(pairs)) for pairs in bigrams), sum(map(len, bigrams))),
    }


def drawn(tree: ReasoningTree, node_id: int) -> list[Any]:
    node = tree.node(node_id)
    return list(node.tokens[node.given :]) if node.tokens else node.text.lower().split()


@given(tree=trees())
@settings(max_examples=150)
def test_metrics_are_their_definitions(tree: ReasoningTree) -> None:
    found = tree_metrics(tree)
    for name, (above, below) in plain(tree).items():
        if not name.endswith("_"):
            assert getattr(found, name) == Ratio(pytest.approx(above), below), name
    assert all(0 <= value <= 1 for name, value in found.figures().items() if "_at_" in name)
    bare = ReasoningTree.from_nodes(tree.problem_id, tree.nodes.values(), next_id=tree.next_id)
    assert {**vars(tree_metrics(bare)), **dict.fromkeys(PRUNING)} == {**vars(found), **dict.fromkeys(PRUNING)}


PRUNING = ("pruned_solved", "pruned_failed", "branching_solved", "branching_failed")
"""What pruned nodes play a part in: a node whose children were all pruned was an inner one."""


def test_novelty_is_against_what_was_seen() -> None:
    seen = SeenNgrams(n=2)
    tree = search_tree()
    novel = tree_metrics(tree, seen=seen).novelty
    assert novel == Ratio(3 + 3 + 1 + 4 * 2, 3 + 3 + 1 + 4 * 2)  # with nothing seen, all is new
    seen.add(tree)
    assert tree_metrics(tree, seen=seen).novelty == Ratio(0, 15)
    tree.add(tree.root, (), "ADD one and four")
    assert tree_metrics(tree, seen=seen).novelty == Ratio(1, 18)
    few = SeenNgrams(n=2, limit=2)
    few.add(tree)
    assert few.is_full
    assert not seen.is_full
    assert tree_metrics(tree, seen=few).novelty == Ratio(
        18 - 6, 18
    )  # "add one" and "one and", three times each
    of_tokens = ReasoningTree("p", [1, 2, 3], "?")
    of_tokens.add(of_tokens.root, [9, 5, 6, 7], "add one and two", given=1)
    assert tree_metrics(of_tokens, seen=seen).novelty == Ratio(2, 2)


@given(answers=st.lists(st.sampled_from(["a", "b", "c", None]), max_size=9))
def test_agreement_is_the_share_of_pairs(answers: list[str | None]) -> None:
    pairs = [left is not None and left == right for left, right in itertools.combinations(answers, 2)]
    assert agreement(answers) == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_all_at_k_is_the_share_of_sets_that_are_right(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    sets = [all(chosen) for chosen in itertools.combinations(right, k)]
    assert all_at_k(len(right), sum(right), k) == pytest.approx(Counter(sets)[True] / len(sets))


@pytest.mark.parametrize(("n", "correct", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)])
def test_all_at_k_is_defined_within_bounds(n: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"not n={n}, correct={correct}, k={k}"):
        all_at_k(n, correct, k)


def test_a_path_of_20_000_nodes_and_a_node_of_20_000_children_have_metrics() -> None:
    deep = tree_metrics(path_tree(20_000))
    assert (deep.right_depth.value, deep.branching_solved.value) == (20_000, 1)
    chance, wide = random.Random(1), ReasoningTree("wide", [], "?")
    for _ in range(20_000):
        outcome = chance.choice([Outcome.CORRECT, Outcome.WRONG])
        wide.grade(wide.add(wide.root, (), "one two"), Leaf(outcome, 0.5, chance.choice("ab")))
    found = tree_metrics(wide, ks=(1, 16))
    assert found.diversity == Ratio(1, 20_000)
    assert found.robustness.value == pytest.approx(0.5, abs=0.02)
    assert found.pass_at_k[16].value == pytest.approx(1, abs=1e-4)


def test_every_estimate_stands_beside_every_reward_below_it_pruned_ones_too() -> None:
    tree = ReasoningTree("p", [], "?")
    first = tree.add(tree.root, (), "a", kind="thought", thought_type="Add")
    second = tree.add(first, (), "b", kind="thought", thought_type="Add")
    tree.score(first, Scores(value=0.25, uncertainty=0.1))
    tree.score(second, Scores(value=0.75, uncertainty=0.1))
    for parent, reward in ((first, 0.0), (second, 1.0), (second, None)):
        tree.grade(tree.add(parent, (), "c", kind="answer"), Leaf(Outcome.UNGRADED, reward))
    never_estimated = tree.add(tree.root, (), "d", kind="thought", thought_type="Add")
    tree.grade(tree.add(never_estimated, (), "e", kind="answer"), Leaf(Outcome.UNGRADED, 1.0))
    assert estimates_and_rewards(tree) == [(0.25, 0.0), (0.75, 1.0), (0.25, 1.0)]
    tree.prune(second, "for want of promise")
    assert estimates_and_rewards(tree) == [(0.25, 0.0), (0.75, 1.0), (0.25, 1.0)]
