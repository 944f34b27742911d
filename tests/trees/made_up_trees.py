"""Trees of any shape, grown in every way that trees grow."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees import Leaf, NodeKind, ReasoningTree, Scores

TEXTS = ("one two", "x\u0301y\n", "\x1b[31mred\u202e", "<b>&amp;</b>", "思考 \ud800", "")
KINDS: tuple[NodeKind, ...] = ("drawn", "alternative", "coverage", "thought", "answer")
REWARDS = (0.0, 1.0, 0.1, 0.7, 1 / 3)


def grown(random: Random, size: int, *, deep: bool = False, graded: bool = True) -> ReasoningTree:
    """A tree to which `size` nodes were added, some of them cut in two or removed again.

    Args:
        random: what decides everything.
        size: how many nodes are added below the root.
        deep: whether most nodes are added below the one that came before.
        graded: whether leaves are.
    """
    tree = ReasoningTree(
        f"p {random.choice(TEXTS)}",
        tokens_of(random, 5),
        random.choice(TEXTS),
        update=random.choice([None, 0, 7]),
    )
    for _ in range(size):
        known = list(tree.nodes)
        parent = known[-1] if deep and random.random() < 0.95 else random.choice(known)
        added = add_any(tree, parent, random)
        length = len(tree.node(added).tokens)
        if length > 1 and random.random() < 0.2:
            tree.split(added, random.randint(1, length - 1), random.randint(0, len(tree.node(added).text)))
        if random.random() < 0.1:
            tree.score(random.choice(list(tree.nodes)), any_scores(random))
        for remove in (tree.remove_subtree, lambda node: tree.prune(node, random.choice(["beam", "value"]))):
            if len(tree) > 1 and random.random() < 0.05:
                remove(random.choice(list(tree.nodes)[1:]))
    if graded:
        for leaf in tree.leaves():
            tree.grade(leaf, any_leaf(random))
    if random.random() < 0.5 and len(tree) > 1:
        tree.choose(random.choice(tree.leaves()))
    return tree


def add_any(tree: ReasoningTree, parent: int, random: Random) -> int:
    """Add a node with anything in it."""
    tokens = tokens_of(random, 6)
    given = random.choice([0, 0, min(1, len(tokens)), len(tokens)])
    known = random.random() < 0.7
    return tree.add(
        parent,
        tokens,
        random.choice(TEXTS),
        kind=random.choice(KINDS),
        given=given,
        thought_type=random.choice([None, "Check the sum", "\x07bell"]),
        log_probs=[-random.random() * 9 for _ in tokens[given:]] if known else [],
        ended=random.random() < 0.3,
    )


def any_scores(random: Random) -> Scores:
    local, path, causal, total = (random.choice(REWARDS) for _ in range(4))
    known = random.random() < 0.5
    return Scores(
        local, path, causal, total, *([0.25, 1 / 3, 0.5] if known else []), visits=random.randrange(9)
    )


def tokens_of(random: Random, most: int) -> list[int]:
    return [random.randrange(10 ** random.randint(1, 6)) for _ in range(random.randint(0, most))]


def any_leaf(random: Random) -> Leaf:
    if random.random() < 0.1:
        return Leaf(Outcome.ERROR, None)
    reward = random.choice(REWARDS)
    return Leaf(
        Outcome.CORRECT if reward == 1 else Outcome.WRONG, reward, random.choice([None, "42", "\x00"])
    )


def trees(max_size: int = 25, *, graded: bool = True) -> st.SearchStrategy[ReasoningTree]:
    return st.builds(
        grown,
        st.randoms(use_true_random=False),
        st.integers(0, max_size),
        deep=st.booleans(),
        graded=st.just(graded),
    )


def path_tree(length: int) -> ReasoningTree:
    """One path of `length` nodes below the root, a token each; its leaf is right."""
    tree = ReasoningTree("long", [1], "?")
    node = tree.root
    for _ in range(length):
        node = tree.add(node, [2], "a", log_probs=[-0.5])
    tree.grade(node, Leaf(Outcome.CORRECT, 1.0, "a"))
    return tree


def searched_tree() -> ReasoningTree:
    """What a search leaves: 0 - 1 - (3 wrong, 5 correct and chosen); 0 - 2, below which 4 - 6 were pruned."""
    tree = ReasoningTree("p", [], "2 + 2?")
    tree.add(0, (), "two and two", kind="thought", thought_type="Check the sum")
    tree.add(0, (), "maybe five", kind="thought", thought_type="Guess")
    tree.add(1, (), "It is 5.", kind="answer", ended=True)
    tree.add(2, (), "no more", kind="thought", thought_type="Guess")
    tree.add(1, (), "It is 4.", kind="answer", ended=True)
    tree.add(4, (), "nor this", kind="thought", thought_type="Check the sum")
    tree.score(1, Scores(0.5, 0.8, 0.1, 0.61, value=0.7, uncertainty=0.12, prior=0.3, visits=4))
    tree.score(2, Scores(0.2, 0.1, 0.0, 0.13, visits=1))
    tree.score(5, Scores(path=1.0, total=0.7))
    tree.grade(3, Leaf(Outcome.WRONG, 0.0, "5"))
    tree.grade(5, Leaf(Outcome.CORRECT, 1.0, "4"))
    tree.prune(4, "beam")
    tree.choose(5)
    return tree
