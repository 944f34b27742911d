"""What is kept of a search: its record in the results, and its tree with every answer graded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hierarchical_reasoning.errors import VerifierError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import SearchedAnswer, SearchRecord
from hierarchical_reasoning.search.budget import Cost
from hierarchical_reasoning.search.grown import Answer, Grown
from hierarchical_reasoning.search.selection import weights_of_answers
from hierarchical_reasoning.trees import Leaf, Node, ReasoningTree
from hierarchical_reasoning.verifiers import Verifier


def record_of(grown: Grown, chosen: Answer, spent: Cost, *, ended: str, seconds: float) -> SearchRecord:
    """What a search did."""
    tree, weights = grown.tree, weights_of_answers(grown)
    nodes = {**tree.nodes, **tree.pruned}

    def recorded(answer: Answer) -> SearchedAnswer:
        scores, pruned = nodes[answer.id].scores, answer.id in tree.pruned
        counts = answer.ballot is not None and not pruned
        return SearchedAnswer(
            node=answer.id,
            answer=answer.extracted,
            path_reward=answer.reward,
            total=0.0 if scores is None else scores.total,
            vote=weights[answer.ballot] if counts and answer.ballot is not None else 0.0,
            pruned=pruned,
        )

    return SearchRecord(
        nodes=grown.n_nodes,
        pruned=len(tree.pruned),
        depth=_depth(nodes),
        calls=spent.calls,
        tokens=spent.tokens,
        answers=tuple(map(recorded, grown.answers.values())),
        chosen=chosen.id,
        ended=ended,
        seconds=seconds,
    )


def with_rewards(grown: Grown) -> ReasoningTree:
    """The tree with what each answer was worth to the search, pruned ones too; none of them is graded yet."""
    leaves = {
        answer.id: Leaf(Outcome.UNGRADED, answer.reward, answer.extracted)
        for answer in grown.answers.values()
    }
    return _with_leaves(grown.tree, leaves)


async def graded(tree: ReasoningTree, problem: Problem, verifier: Verifier) -> ReasoningTree:
    """The tree of a search that is over, with which of its answers are right, pruned ones too.

    Args:
        problem: with its ground truth.
        verifier: one that computes. Where it fails at an answer, the outcome of that is an error.
    """
    leaves = {}
    for node in (*tree.nodes.values(), *tree.pruned.values()):
        if node.leaf is not None:
            try:
                outcome = (await verifier.grade(problem, node.text, truncated=not node.ended)).outcome
            except VerifierError:  # the attempt is graded by its own answer, and this is another one
                outcome = Outcome.ERROR
            leaves[node.id] = replace(node.leaf, outcome=outcome)
    return _with_leaves(tree, leaves)


def _with_leaves(tree: ReasoningTree, leaves: Mapping[int, Leaf]) -> ReasoningTree:
    def with_leaf(node: Node) -> Node:
        return replace(node, leaf=leaves.get(node.id, node.leaf))

    return ReasoningTree.from_nodes(
        tree.problem_id,
        map(with_leaf, tree.nodes.values()),
        pruned=map(with_leaf, tree.pruned.values()),
        next_id=tree.next_id,
        update=tree.update,
        sample=tree.sample,
        chosen=tree.chosen,
    )


def _depth(nodes: dict[int, Node]) -> int:
    depths = {ReasoningTree.root: 0}
    for node in sorted(nodes.values(), key=lambda node: node.id):
        if node.parent is not None:
            depths[node.id] = depths[node.parent] + (node.kind == "thought")
    return max(depths.values())
