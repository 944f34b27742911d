"""Trees on a model whose entropies are made to order."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from played_back import END, EVEN, Distribution, PlayedBack, Words, script

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.explorers import (
    EntropyTreeExplorer,
    EntropyTreeSettings,
    Grown,
    LinearExplorer,
    LinearSettings,
    Origin,
)
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import BackendClosedError
from llm_backends.token_streams import StreamSettings, TokenStream

ORIGIN = Origin(seed=7, update=3, problem_id="p")
PROMPT = (9,)
SETTINGS = EntropyTreeSettings(
    max_depth=3,
    min_segment_len=3,
    entropy_threshold=1.0,
    entropy_topk=20,
    coverage_min_chars=1000,
    coverage_children_max=2,
    max_new_tokens=40,
)
PAIR: Distribution = {4: 0.5, 5: 0.5}
"""ln 2 nats: below the threshold."""


async def grown(
    sampler: PlayedBack, settings: EntropyTreeSettings = SETTINGS, origin: Origin = ORIGIN
) -> Grown:
    explorer = EntropyTreeExplorer(sampler, Words(), StreamSettings(), settings)
    return await explorer.grow(origin, PROMPT)


def shape(tree: ReasoningTree, node: int = ReasoningTree.root) -> list[Any]:
    """Kinds and lengths, children nested."""
    return [
        (tree.node(child).kind, len(tree.node(child).tokens), *shape(tree, child))
        for child in tree.children(node)
    ]


async def test_the_root_splits_at_once_into_what_was_drawn_and_an_alternative() -> None:
    found = await grown(PlayedBack(script(PAIR, 6)))
    tree = found.tree
    assert shape(tree) == [("drawn", 3), ("alternative", 3)]
    drawn, other = (tree.node(child) for child in tree.children(tree.root))
    assert {drawn.tokens[0], other.tokens[0]} == {4, 5}
    assert drawn.tokens[1:] == other.tokens[1:] == (6, END)
    assert (drawn.given, other.given) == (0, 1)
    assert (len(drawn.log_probs), len(other.log_probs)) == (3, 2)
    assert drawn.ended
    assert other.ended
    assert (found.growth.streams, found.growth.generated_tokens) == (2, 5)
    assert found.growth.entropy_splits == 0


async def test_a_stream_splits_where_the_rules_say_and_nowhere_else() -> None:
    #        root  .  too soon  sure      . no delimiter  . PAIR  .  here
    model = script(PAIR, 1, EVEN, 4, 1, 4, EVEN, 1, PAIR, 1, EVEN, 4)
    tree = (await grown(PlayedBack(model))).tree
    ten = [("drawn", 3), ("alternative", 3)]
    assert shape(tree) == [("drawn", 10, *ten), ("alternative", 10, *ten)]


async def test_a_segment_counts_from_its_own_first_token() -> None:
    # After the split before token 4, the next place with a delimiter is 2 tokens on, the one after it 4.
    model = script(PAIR, 4, 4, 1, EVEN, 1, EVEN, 1, EVEN, END)
    tree = (await grown(PlayedBack(model))).tree
    last = [("drawn", 2), ("alternative", 2)]
    middle = [("drawn", 4, *last), ("alternative", 4, *last)]
    assert shape(tree) == [("drawn", 4, *middle), ("alternative", 4, *middle)]


async def test_depth_is_bounded() -> None:
    model = script(PAIR, *(4, 4, 1, EVEN) * 6)
    for max_depth in (1, 2, 3):
        tree = (await grown(PlayedBack(model), replace(SETTINGS, max_depth=max_depth))).tree
        assert max(map(tree.depth, tree.leaves())) == max_depth
        assert len(tree.leaves()) == 2**max_depth


async def test_an_alternative_that_ends_the_answer_is_a_leaf_without_a_draw() -> None:
    sampler = PlayedBack(script({4: 1 - 1e-9, END: 1e-9}, 5))
    found = await grown(sampler)
    drawn, other = (found.tree.node(child) for child in found.tree.children(0))
    assert drawn.tokens == (4, 5, END)
    assert other.tokens == (END,)
    assert other.ended
    assert len(sampler.calls) == found.growth.streams == 1


async def test_where_no_other_token_is_possible_nothing_splits() -> None:
    tree = (await grown(PlayedBack(script(4, 5)))).tree
    assert shape(tree) == [("drawn", 3)]


async def test_a_finished_stream_is_cut_back_and_continued() -> None:
    settings = replace(SETTINGS, coverage_min_chars=4)
    model = script(PAIR, 4, 4, 1, PAIR, PAIR, PAIR, PAIR, 2, PAIR)
    found = await grown(PlayedBack(model), settings)
    tail = [("coverage", 7)] * 2
    assert shape(found.tree) == [("drawn", 4, *tail), ("alternative", 4, *tail)]
    heads = [found.tree.node(child) for child in found.tree.children(0)]
    assert not any(head.ended for head in heads)
    assert len({found.tree.path_tokens(leaf) for leaf in found.tree.leaves()}) > 2, "they are drawn apart"
    assert found.growth.coverage_splits == 2
    assert found.growth.dropped_tokens == 14
    assert found.growth.generated_tokens == 11 + 10 + 4 * 7


async def test_continuations_never_split_again() -> None:
    drawn: list[int] = []

    def unsure_later(before: tuple[int, ...]) -> Distribution:
        """Sure of every token the first two times, so that what is cut back is whole; then unsure behind the cut."""
        drawn.append(len(before))
        continued = drawn.count(len(before)) > 2
        return EVEN if continued and len(before) in (5, 9) else places(before)

    places = script(PAIR, 4, 4, 1, 4, 5, 6, 1, 4, 5, 6)
    settings = replace(SETTINGS, coverage_min_chars=7, coverage_children_max=4)
    found = await grown(PlayedBack(unsure_later), settings)
    continuations = [node for node in found.tree.nodes.values() if node.kind == "coverage"]
    assert len(continuations) == 8
    assert all(found.tree.is_leaf(node.id) for node in continuations)
    assert len({node.tokens for node in continuations}) > 2, "they were unsure"
    assert found.growth.entropy_splits == 0


async def test_streams_and_answers_keep_to_their_bounds() -> None:
    endless = PlayedBack(lambda before: EVEN if before[-1] == 1 else {4: 0.3, 5: 0.3, 1: 0.4})
    settings = replace(SETTINGS, max_new_tokens=20, max_answer_tokens=31, max_depth=6)
    found = await grown(endless, settings)
    lengths = {len(found.tree.path_tokens(leaf)) - 1 for leaf in found.tree.leaves()}
    assert max(lengths) <= 31
    assert max(lengths) > 20
    assert not any(found.tree.node(leaf).ended for leaf in found.tree.leaves())
    for prefix, _, limit in endless.calls:
        assert len(prefix) - 1 + limit <= 31
        assert limit + (len(prefix) > 1) <= 20


async def test_the_context_bounds_answers_and_must_leave_room() -> None:
    endless = PlayedBack(lambda before: PAIR, context_length=12)
    tree = (await grown(endless)).tree
    assert {len(tree.path_tokens(leaf)) for leaf in tree.leaves()} == {12}
    for context in (1, 2):
        with pytest.raises(ConfigError, match=rf"1 tokens and an answer needs 2 .* holds {context};"):
            await grown(PlayedBack(script(4), context_length=context))
    with pytest.raises(ConfigError, match="no tokens"):
        await EntropyTreeExplorer(PlayedBack(script(4)), Words(), StreamSettings(), SETTINGS).grow(ORIGIN, ())


def at_random(seed: int) -> PlayedBack:
    """A model that is as unsure as it happens, and whose draws take as long as they happen."""
    clock = random.Random(seed)

    def model(before: tuple[int, ...]) -> Distribution:
        rng = random.Random(str(before))
        tokens = rng.sample(range(4, 12), rng.randint(1, 6)) + rng.sample([END, 1, 2, 3], rng.randint(0, 2))
        return {token: rng.random() + 0.01 for token in tokens}

    return PlayedBack(model, delay=lambda: clock.choice([0.0, 0.0, 0.001]))


RULES = st.builds(
    EntropyTreeSettings,
    max_depth=st.integers(1, 5),
    min_segment_len=st.integers(1, 6),
    entropy_threshold=st.sampled_from([0.0, 0.5, 1.0, 1.5]),
    entropy_topk=st.integers(2, 8),
    coverage_min_chars=st.integers(1, 12),
    coverage_children_max=st.integers(0, 3),
    max_new_tokens=st.integers(2, 30),
    max_answer_tokens=st.none() | st.integers(2, 50),
)


@given(RULES, st.integers(0, 99))
@hypothesis_settings(max_examples=60)
def test_what_holds_for_every_tree(settings: EntropyTreeSettings, seed: int) -> None:
    origin = replace(ORIGIN, seed=seed)
    sampler = at_random(seed)
    found = asyncio.run(grown(sampler, settings, origin))
    tree = found.tree
    for node in list(tree.nodes.values())[1:]:
        children = [tree.node(child) for child in tree.children(node.id)]
        assert node.tokens
        assert len(node.log_probs) == node.drawn
        assert node.given == (node.kind == "alternative")
        assert tree.depth(node.id) <= settings.max_depth + (node.kind == "coverage")
        assert not (children and node.ended)
        assert node.ended == (node.tokens[-1] == END)
        if children and children[0].kind != "coverage":
            drawn, other = children
            assert (drawn.kind, other.kind) == ("drawn", "alternative")
            assert drawn.tokens[0] != other.tokens[0]
            assert len(node.tokens) >= settings.min_segment_len
            assert Words().token_text(node.tokens[-1]).endswith(settings.delimiters)
        if children and children[0].kind == "coverage":
            assert len(children) == settings.coverage_children_max
            assert all(tree.is_leaf(child.id) for child in children)
            assert len(node.text) >= settings.min_segment_len
    for leaf in tree.leaves():
        assert len(tree.path_tokens(leaf)) - 1 <= settings.answer_tokens
    drawn_tokens = sum(node.drawn for node in tree.nodes.values())
    assert found.growth.generated_tokens == drawn_tokens + found.growth.dropped_tokens
    assert found.growth.streams == len(sampler.calls)
    assert len({seed for _, seed, _ in sampler.calls}) == len(sampler.calls), (
        "every stream has a seed of its own"
    )


@given(RULES, st.integers(0, 99), st.integers(1, 5))
@hypothesis_settings(max_examples=25)
def test_a_tree_depends_on_its_origin_alone(
    settings: EntropyTreeSettings, seed: int, max_streams: int
) -> None:
    origins = [Origin(seed, 1, f"p{number}") for number in range(4)]

    async def together(order: list[Origin], clock: int, at_once: int) -> dict[str, ReasoningTree]:
        sampler = at_random(clock)
        explorer = EntropyTreeExplorer(sampler, Words(), StreamSettings(), settings, max_streams=at_once)
        found = await asyncio.gather(*(explorer.grow(origin, PROMPT) for origin in order))
        assert sampler.most_in_flight <= at_once
        return {each.tree.problem_id: each.tree for each in found}

    one = asyncio.run(together(origins, seed, 128))
    other = asyncio.run(together(origins[::-1], seed + 1, max_streams))
    alone = asyncio.run(together(origins[:1], seed + 2, 1))
    assert one == other
    assert alone["p0"] == one["p0"]


async def test_seed_update_and_problem_each_change_the_draws() -> None:
    def model(before: tuple[int, ...]) -> Distribution:
        return EVEN if len(before) < 30 else {END: 1.0}

    trees = []
    for origin in (
        ORIGIN,
        replace(ORIGIN, seed=8),
        replace(ORIGIN, update=4),
        replace(ORIGIN, problem_id="q"),
    ):
        tree = (await grown(PlayedBack(model), origin=origin)).tree
        trees.append(tuple(node.tokens for node in tree.nodes.values()))
    assert len(set(trees)) == 4


async def test_when_a_call_fails_the_others_are_cancelled() -> None:
    cancelled: list[int] = []

    class Fails(PlayedBack):
        async def draw(self, prefix: Any, settings: Any, **more: Any) -> TokenStream:
            if len(prefix) == 1:
                return await super().draw(prefix, settings, **more)
            if len(prefix) == 6:
                await asyncio.sleep(0)
                raise BackendClosedError("closed")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(len(prefix))
                raise
            raise AssertionError("cancelled before that")

    with pytest.raises(BackendClosedError):
        await grown(Fails(script(PAIR, 5, 5, 1, EVEN)))
    assert cancelled == [2], "the alternative to the first token"


async def test_linear_rollouts_share_the_prompt_alone() -> None:
    sampler = PlayedBack(script(EVEN, EVEN, EVEN))
    explorer = LinearExplorer(
        sampler, Words(), StreamSettings(), LinearSettings(n_rollouts=6, max_new_tokens=9), max_streams=2
    )
    found = await explorer.grow(ORIGIN, PROMPT)
    assert shape(found.tree) == [("drawn", 4)] * 6
    assert len({found.tree.path_tokens(leaf) for leaf in found.tree.leaves()}) > 1
    assert all(found.tree.node(leaf).ended for leaf in found.tree.leaves())
    assert sampler.most_in_flight == 2
    assert found.growth.generated_tokens == 24
    again = await explorer.grow(ORIGIN, PROMPT)
    assert again.tree == found.tree
    short = LinearExplorer(sampler, Words(), StreamSettings(), LinearSettings(2, max_new_tokens=2))
    assert not any(node.ended for node in (await short.grow(ORIGIN, PROMPT)).tree.nodes.values())
