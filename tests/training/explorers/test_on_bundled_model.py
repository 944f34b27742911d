"""Trees of the bundled model under the preset that is made for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from hierarchical_reasoning.assets import MODEL, TRAIN_PROBLEMS
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.training.explorers import PRESETS, EntropyTreeExplorer, Grown, Origin
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.verifiers import verifier_for
from llm_backends.local import LocalBackend, LocalTokenSampler

pytestmark = pytest.mark.model
PRESET = PRESETS["bundled"]


async def grow(problems: Sequence[Problem], *, max_streams: int = 128) -> list[Grown]:
    async with LocalBackend(str(MODEL), dtype="float32") as backend:
        chat = backend._model.chat
        explorer = EntropyTreeExplorer(
            LocalTokenSampler(backend), chat, PRESET.sampling, PRESET.tree, max_streams=max_streams
        )
        prompts = [chat.prompt_ids(Prompts(answer_form="a number").vanilla(problem)) for problem in problems]
        pairs = zip(problems, prompts, strict=True)
        return await asyncio.gather(*(explorer.grow(Origin(0, 1, each.id), ids) for each, ids in pairs))


def spreads(tree: ReasoningTree, rewards: dict[int, bool]) -> list[bool]:
    """Of each group of siblings, whether their mean rewards differ."""
    found = []
    for node in tree.nodes:
        groups = [tree.descendant_leaves(child) for child in tree.children(node)]
        if len(groups) > 1:
            means = [sum(rewards[leaf] for leaf in leaves) / len(leaves) for leaves in groups]
            found.append(max(means) > min(means))
    return found


async def test_trees_have_4_to_16_leaves_and_enough_groups_with_spread() -> None:
    problems = read_problems(TRAIN_PROBLEMS, n_rows=16).problems
    verifier, _ = verifier_for(None, problems)
    leaves: list[int] = []
    spread: list[bool] = []
    for problem, grown in zip(problems, await grow(problems), strict=True):
        tree = grown.tree
        texts = {
            leaf: "".join(tree.node(each).text for each in tree.path(leaf)[1:]) for leaf in tree.leaves()
        }
        rewards = {
            leaf: (await verifier.grade(problem, text)).outcome.is_correct is True
            for leaf, text in texts.items()
        }
        leaves.append(len(rewards))
        spread += spreads(tree, rewards)
    assert 4 <= sum(leaves) / len(leaves) <= 16
    assert max(leaves) <= 2**PRESET.tree.max_depth
    assert sum(spread) / len(spread) >= 0.2, "35 % of 249 groups, measured once; 16 problems vary"


async def test_a_tree_does_not_depend_on_what_else_grows() -> None:
    problems = read_problems(TRAIN_PROBLEMS, n_rows=3).problems
    together = await grow(problems)
    (alone,) = await grow(problems[:1], max_streams=2)
    assert [(node.id, node.parent, node.tokens) for node in together[0].tree.nodes.values()] == [
        (node.id, node.parent, node.tokens) for node in alone.tree.nodes.values()
    ]
