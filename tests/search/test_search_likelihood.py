"""The local reward ``likelihood``: what the reasoner's own tokens say of a path."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_run import config_for, run_with
from scripted_world import World, searched

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.search.likelihood import EMPTY_PATH
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import Completion, Request, ScriptedBackend, TokenLogprob

LIKELIHOOD: dict[str, Any] = {"local_reward": "likelihood", "max_depth": 3}


def log_prob(word: str) -> float:
    """Of a word of `LikelyWorld`, known from the word alone."""
    return -(1 + sum(map(ord, word)) % 7) / 10


class LikelyWorld(World):
    """Says how likely its words are, where it is asked."""

    def _world(self, request: Request) -> Completion:
        completion = super()._world(request)
        if request.logprobs is None:
            return completion
        words = tuple(TokenLogprob(word, log_prob(word)) for word in completion.text.split())
        return replace(completion, token_logprobs=words)


def along(tree: ReasoningTree, node: int) -> list[float]:
    found = []
    for each in map(tree.node, tree.path(node)[1:]):
        assert each.scores is not None
        found += [math.log(each.scores.prior)] if each.scores.prior else []
        found += [log_prob(word) for word in each.text.split()]
    return found


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "untyped"])
@pytest.mark.parametrize("search", ["beam", "mcts"])
async def test_a_node_is_worth_the_mean_probability_of_what_was_drawn_on_its_path(
    search: str, typed: bool
) -> None:
    solution = await searched(LikelyWorld(), typed=typed, search=search, no_pruning=True, **LIKELIHOOD)
    tree = solution.tree
    assert tree is not None
    nodes = [node for node in tree.nodes if node != tree.root]
    assert {tree.node(node).kind for node in nodes} == {"thought", "answer"}
    for node in nodes:
        scores = tree.node(node).scores
        assert scores is not None
        log_probs = along(tree, node)
        assert (scores.prior is not None) or not typed or tree.node(node).kind == "answer"
        assert scores.local == pytest.approx(math.exp(sum(log_probs) / len(log_probs)), rel=1e-12)


async def test_log_probabilities_are_asked_for_only_where_they_are_read() -> None:
    for local_reward, asked in (("likelihood", {0}), ("heuristic", {None})):
        world = LikelyWorld()
        await searched(world, local_reward=local_reward)
        assert {request.logprobs for request in world.requests if request.choices is None} == asked
        assert {request.logprobs for request in world.requests if request.choices is not None} == {None}


class Silent(ScriptedBackend):
    """Gives no log probabilities."""

    supports_logprobs = False


async def test_a_model_that_gives_none_ends_the_run_with_what_to_do(tmp_path: Path) -> None:
    config = config_for(tmp_path, search="beam", temperature=0.7, uncertainty="none", **LIKELIHOOD)
    with pytest.raises(ConfigError, match="take another --local_reward"):
        await run_with(config, Silent(World()._world))


@given(st.lists(st.lists(st.floats(-50, 0), max_size=5), max_size=6))
def test_it_does_not_matter_where_a_path_is_divided(parts: list[list[float]]) -> None:
    likelihood = EMPTY_PATH
    for part in parts:
        likelihood = likelihood.followed_by(None, part)
    whole = EMPTY_PATH.followed_by(None, [each for part in parts for each in part])
    assert likelihood.n_draws == whole.n_draws
    assert likelihood.per_draw == pytest.approx(whole.per_draw, rel=1e-12)
    assert 0 <= likelihood.per_draw <= 1


def test_a_type_counts_as_one_draw() -> None:
    assert EMPTY_PATH.followed_by(0.25, [0.0]).per_draw == pytest.approx(0.5)
    assert EMPTY_PATH.followed_by(None, [0.0]).per_draw == 1
