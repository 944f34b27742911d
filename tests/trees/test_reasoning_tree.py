"""Trees: what may be added, where, and what is then on every path."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_trees import any_leaf, grown, path_tree, trees

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, Node, ReasoningTree, Scores

RIGHT = Leaf(Outcome.CORRECT, 1.0, "4")


@pytest.fixture
def forked() -> ReasoningTree:
    """0 - 1 - (2, 3); 0 - 4."""
    tree = ReasoningTree("p", [1, 2, 3], "2 + 2?")
    first = tree.add(0, [4, 5], "so ")
    tree.add(first, [6], "4", log_probs=[-0.1], ended=True)
    tree.add(first, [7, 8], "5!", kind="alternative", given=1, log_probs=[-0.2])
    tree.add(0, [9], "?")
    return tree


def test_nodes_know_where_they_stand(forked: ReasoningTree) -> None:
    assert forked.children(0) == (1, 4)
    assert forked.children(1) == (2, 3)
    assert forked.siblings(2) == (3,)
    assert forked.siblings(0) == ()
    assert forked.leaves() == (2, 3, 4)
    assert forked.descendant_leaves(1) == (2, 3)
    assert forked.descendant_leaves(4) == (4,)
    assert forked.path(3) == (0, 1, 3)
    assert forked.path_tokens(3) == (1, 2, 3, 4, 5, 7, 8)
    assert [forked.depth(node) for node in forked.nodes] == [0, 1, 2, 2, 1]
    assert list(forked.walk()) == [0, 1, 2, 3, 4]
    assert forked.node(0).drawn == 0
    assert forked.node(3).drawn == 1


def test_a_prompt_alone_has_no_leaf() -> None:
    tree = ReasoningTree("p", [1], "?")
    assert tree.leaves() == ()
    assert not tree.is_leaf(tree.root)
    assert tree.rewards() == {}


def test_a_split_keeps_every_path(forked: ReasoningTree) -> None:
    paths = {leaf: forked.path_tokens(leaf) for leaf in forked.leaves()}
    tail = forked.split(1, 1, 2)
    assert {leaf: forked.path_tokens(leaf) for leaf in forked.leaves()} == paths
    assert forked.children(1) == (tail,)
    assert forked.children(tail) == (2, 3)
    assert (forked.node(1).text, forked.node(tail).text) == ("so", " ")
    assert forked.node(2).parent == tail


def test_a_split_divides_what_was_given_and_how_it_ended(forked: ReasoningTree) -> None:
    forked.grade(3, RIGHT)
    tail = forked.node(forked.split(3, 1, 1))
    head = forked.node(3)
    assert (head.kind, head.given, head.log_probs, head.leaf) == ("alternative", 1, (), None)
    assert (tail.kind, tail.given, tail.log_probs, tail.leaf) == ("drawn", 0, (-0.2,), RIGHT)
    ended = forked.add(4, [1, 2, 3], "abc", given=2, log_probs=[-0.5], ended=True)
    tail = forked.node(forked.split(ended, 1, 0))
    head = forked.node(ended)
    assert (head.given, head.log_probs, head.ended, head.text) == (1, (), False, "")
    assert (tail.given, tail.log_probs, tail.ended, tail.text) == (1, (-0.5,), True, "abc")


def test_a_removed_subtree_is_gone_and_its_ids_with_it(forked: ReasoningTree) -> None:
    forked.remove_subtree(1)
    assert list(forked.nodes) == [0, 4]
    assert forked.children(0) == (4,)
    assert forked.add(0, [1], "") == 5
    with pytest.raises(KeyError, match="'p' has no node 2"):
        forked.node(2)


def test_what_is_pruned_is_out_of_the_tree_and_remembered(forked: ReasoningTree) -> None:
    forked.score(2, Scores(total=0.1))
    assert forked.prune(2, "beam") == 1
    assert forked.leaves() == (3, 4)
    assert forked.prune(1, "value") == 2
    assert list(forked.nodes) == [0, 4]
    assert {id_: node.pruned for id_, node in forked.pruned.items()} == {2: "beam", 1: "value", 3: "value"}
    assert forked.pruned[2].scores == Scores(total=0.1)
    assert forked.add(0, [1], "") == 5
    with pytest.raises(ValueError, match="root cannot be removed"):
        forked.prune(0, "beam")
    with pytest.raises(ValueError, match="without a reason"):
        forked.prune(4, "")


def test_what_was_pruned_goes_with_what_it_hung_on(forked: ReasoningTree) -> None:
    forked.prune(2, "beam")
    tail = forked.split(1, 1, 2)
    assert forked.pruned[2].parent == tail
    forked.prune(3, "beam")
    forked.prune(4, "beam")
    forked.remove_subtree(1)
    assert list(forked.pruned) == [4]


def test_one_leaf_is_chosen_and_stays(forked: ReasoningTree) -> None:
    assert forked.chosen is None
    forked.choose(4)
    forked.choose(3)
    assert forked.chosen == 3
    for node_id in (0, 1):
        with pytest.raises(ValueError, match=f"node {node_id} is no leaf, and cannot be chosen"):
            forked.choose(node_id)
    with pytest.raises(ValueError, match="node 3 is chosen, and takes no children"):
        forked.add(3, [1], "")
    for remove in (forked.remove_subtree, lambda node: forked.prune(node, "beam")):
        with pytest.raises(ValueError, match="node 3 is chosen, and node 1 on its path"):
            remove(1)
    assert len(forked) == 5
    forked.prune(2, "beam")
    with pytest.raises(KeyError, match="no node 2"):
        forked.choose(2)
    assert forked.split(3, 1, 1) == forked.chosen == 5
    forked.choose(None)
    forked.remove_subtree(1)
    assert forked.chosen is None
    assert ReasoningTree.from_nodes("p", forked.nodes.values(), next_id=6) == forked
    forked.choose(4)
    assert ReasoningTree.from_nodes("p", forked.nodes.values(), next_id=6) != forked


def test_a_leaf_is_graded_once_and_takes_no_children(forked: ReasoningTree) -> None:
    forked.grade(2, RIGHT)
    assert forked.node(2).leaf == RIGHT
    with pytest.raises(ValueError, match="node 2 is graded already"):
        forked.grade(2, RIGHT)
    with pytest.raises(ValueError, match="node 1 is no leaf"):
        forked.grade(1, RIGHT)
    with pytest.raises(ValueError, match="node 0 is no leaf"):
        ReasoningTree("p", [1], "?").grade(0, RIGHT)
    with pytest.raises(ValueError, match="node 2 is graded, and takes no children"):
        forked.add(2, [1], "")
    with pytest.raises(ValueError, match="leaf 3 of the tree of problem 'p' is not graded"):
        forked.rewards()
    forked.grade(3, Leaf(Outcome.ERROR, None))
    forked.grade(4, Leaf(Outcome.WRONG, 0.0))
    assert forked.rewards() == {2: 1.0, 3: None, 4: 0.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tokens": [-1]}, "`tokens` has -1"),
        ({"given": 2}, "`given` is 2, expected 0 to 1"),
        ({"given": -1}, "`given` is -1"),
        ({"log_probs": [-1.0, -1.0]}, "`log_probs` has 2 numbers, expected none, or 1"),
        ({"log_probs": [float("nan")]}, "`log_probs` holds a number that is not finite"),
        ({"kind": "prompt"}, "the root alone is a prompt"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(wrong: dict[str, object], said: str) -> None:
    tree = ReasoningTree("p", [1], "?")
    with pytest.raises(ValueError, match=said):
        tree.add(0, **{"tokens": [1], "text": "", **wrong})  # type: ignore[arg-type]
    assert list(tree.nodes) == [0]
    assert tree.add(0, [1], "") == 1


def test_what_cannot_be_done_is_refused(forked: ReasoningTree) -> None:
    for at_token, at_character, said in (
        (0, 0, "token 0, expected 1 to 1"),
        (2, 0, "token 2"),
        (1, 4, "to 3"),
    ):
        with pytest.raises(ValueError, match=said):
            forked.split(1, at_token, at_character)
    with pytest.raises(ValueError, match="root is the prompt"):
        forked.split(0, 1, 1)
    with pytest.raises(ValueError, match="root cannot be removed"):
        forked.remove_subtree(0)
    with pytest.raises(KeyError, match="no node 99"):
        forked.add(99, [1], "")
    with pytest.raises(ValueError, match="`reward` is inf"):
        Leaf(Outcome.CORRECT, float("inf"))
    with pytest.raises(ValueError, match="`causal` is nan"):
        Scores(causal=float("nan"))
    with pytest.raises(ValueError, match="`pruned` is empty"):
        Node(1, 0, (), "", pruned="")
    with pytest.raises(ValueError, match="given whole"):
        Node(0, None, (1,), "?", kind="prompt")
    assert forked.leaves() == (2, 3, 4)


@given(trees(graded=False), st.randoms(use_true_random=False))
def test_whatever_is_done_paths_parents_and_children_agree(
    tree: ReasoningTree, chance: random.Random
) -> None:
    assert sorted(tree.walk()) == sorted(tree.nodes)
    for node_id, node in tree.nodes.items():
        assert node.id == node_id < tree.next_id
        assert all(tree.node(child).parent == node_id for child in tree.children(node_id))
        assert tree.path(node_id)[0] == tree.root
        assert len(tree.path(node_id)) == tree.depth(node_id) + 1
        assert tree.is_leaf(node_id) == (not tree.children(node_id) and node_id != 0)
        below = {leaf for leaf in tree.leaves() if node_id in tree.path(leaf)}
        assert below == set(tree.descendant_leaves(node_id))
    cut = [node for node in tree.nodes.values() if node.parent is not None and len(node.tokens) > 1]
    if cut:
        node = chance.choice(cut)
        before = {leaf: tree.path_tokens(leaf) for leaf in tree.leaves()}
        text = "".join(each.text for each in tree.nodes.values())
        tail = tree.split(node.id, chance.randint(1, len(node.tokens) - 1), chance.randint(0, len(node.text)))
        after = {leaf: tree.path_tokens(leaf) for leaf in tree.leaves()}
        assert sorted(after.values()) == sorted(before.values())
        assert sorted("".join(each.text for each in tree.nodes.values())) == sorted(text)
        assert tree.node(node.id).drawn + tree.node(tail).drawn == node.drawn
        assert tree.node(node.id).log_probs + tree.node(tail).log_probs == node.log_probs


def test_a_path_may_have_any_number_of_nodes() -> None:
    tree = path_tree(100_000)
    (leaf,) = tree.leaves()
    assert tree.depth(leaf) == 100_000
    assert len(tree.path_tokens(leaf)) == 100_001
    assert ReasoningTree.from_nodes("long", tree.nodes.values(), next_id=tree.next_id) == tree
    tree.remove_subtree(1)
    assert len(tree) == 1


def test_trees_are_equal_where_everything_is() -> None:
    first, second = (grown(random.Random(3), 20) for _ in range(2))
    assert first == second
    second.remove_subtree(second.leaves()[0])
    assert first != second
    assert first != "a tree"
    alone, grown_once = ReasoningTree("p", [1], "?"), ReasoningTree("p", [1], "?")
    grown_once.remove_subtree(grown_once.add(0, [1], ""))
    assert alone != grown_once
    with pytest.raises(TypeError):
        hash(alone)
    assert any_leaf(random.Random(0)) == any_leaf(random.Random(0))


def test_trees_need_no_model_library() -> None:
    code = (
        "import sys, hierarchical_reasoning.trees.file, hierarchical_reasoning.trees.statistics\n"
        "import hierarchical_reasoning.training.credit\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'scipy', 'networkx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
