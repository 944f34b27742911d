"""Local rewards that need no further model: overlap of words, and the value that an estimator gives a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.rewards.base import LocalReward
from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.trees import Node, ReasoningTree, Scores

if TYPE_CHECKING:
    from hierarchical_reasoning.values.base import ValueEstimator


class HeuristicLocalReward:
    """HATO's heuristic (spec/000), over sets of lower-cased words, cut at blank space::

        0.5 * |step & parent| / max(1, |parent|) + 0.5 * |(step - parent) & problem| / max(1, |problem|)

    The first half is coherence with the step before, the second progress: words of the problem that it takes up newly.
    """

    async def __call__(self, problem: Problem, parent_text: str, text: str) -> float:
        of_problem, of_parent, own = (_words(each) for each in (problem.text, parent_text, text))
        coherence = len(own & of_parent) / max(1, len(of_parent))
        progress = len((own - of_parent) & of_problem) / max(1, len(of_problem))
        return 0.5 * coherence + 0.5 * progress


class ValueLocalReward:
    """The path reward that an estimator predicts of a step, which it sees with the one step before, as a local reward
    does. Where the whole trace is at hand, the estimate of that is the better one."""

    def __init__(self, estimator: ValueEstimator) -> None:
        self._estimator = estimator

    async def __call__(self, problem: Problem, parent_text: str, text: str) -> float:
        from hierarchical_reasoning.values.base import Place

        thoughts = (text,) if parent_text == problem.text else (parent_text, text)
        (estimate,) = await self._estimator.estimate([Place(problem, thoughts)])
        return estimate.value


async def score_local(
    tree: ReasoningTree, problem: Problem, local: LocalReward, text_of: Callable[[Node], str]
) -> None:
    """Set `Scores.local` of every node but the root, all in flight together; other scores stay.

    Args:
        text_of: what a node adds to its trace; the root stands for the problem's text.

    Raises:
        BackendError: as `LocalReward`; no node has changed then.
    """
    texts = {node.id: text_of(node) for node in tree.nodes.values() if node.parent is not None}
    texts[tree.root] = problem.text
    parents = {node.id: node.parent for node in tree.nodes.values() if node.parent is not None}
    rewards = await all_or_none(
        [local(problem, texts[parent], texts[node]) for node, parent in parents.items()]
    )
    for node, reward in zip(parents, rewards, strict=True):
        tree.score(node, replace(tree.node(node).scores or Scores(), local=reward))


def _words(text: str) -> set[str]:
    return set(text.lower().split())
