"""Each strategy visits what its definition says, on trees made by hand and in a scripted world."""

from __future__ import annotations

import math
from typing import Any

import pytest
from made_by_hand import Made
from scripted_world import World, searched, settings

from hierarchical_reasoning.search.branching import width
from hierarchical_reasoning.search.strategies import STRATEGIES
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.values.base import Estimate


def two_levels(**given: Any) -> Made:
    """a and b below the root, a's children a1 and a2; open are b, a1 and a2."""
    made = Made(**given)
    made.thought("root", "a", local=0.5)
    made.thought("root", "b", local=0.9)
    made.thought("a", "a1", local=0.1)
    made.thought("a", "a2", local=0.6)
    return made


@pytest.mark.parametrize("search", STRATEGIES)
def test_the_root_is_expanded_first_and_without_open_nodes_nothing_is(search: str) -> None:
    made = Made(search=search)
    assert made.next() == (["root"], [])
    made.grown.open.clear()
    assert made.next() == ([], [])


def test_breadth_first_takes_the_highest_level_whole() -> None:
    made = two_levels(search="bfs")
    assert made.next() == (["b"], [])
    made.close("b")
    assert made.next() == (["a1", "a2"], [])


def test_depth_first_takes_the_best_of_the_deepest() -> None:
    made = two_levels(search="dfs")
    for name in ("a2", "a1", "b"):
        assert made.next() == ([name], [])
        made.close(name)


def test_best_first_takes_the_highest_exploration_score_wherever_it_is() -> None:
    made = two_levels(search="best_first")
    for name in ("b", "a2", "a1"):
        assert made.next() == ([name], [])
        made.close(name)


def test_the_exploration_score_is_the_total_and_twice_the_uncertainty() -> None:
    made = Made(search="best_first", reward_weights=(0.4, 0.5, 0.1))
    made.thought("root", "sure", local=0.5, expected=Estimate(0.8, 0.0))
    made.thought("root", "unsure", local=0.5, expected=Estimate(0.2, 0.25))
    scores = {name: made.grown.exploration(made.ids[name]) for name in ("sure", "unsure")}
    assert scores == {"sure": pytest.approx(0.2 + 0.4), "unsure": pytest.approx(0.2 + 0.1 + 0.5)}
    assert made.next() == (["unsure"], [])
    made.answer("unsure", "x", 0.3)
    assert made.grown.promise(made.ids["unsure"]) == pytest.approx(0.2 + 0.15 + 0.03)


def test_the_beam_keeps_the_best_of_a_level_and_drops_the_others() -> None:
    made = Made(search="beam", max_nodes_per_level=2)
    for name, local in (("a", 0.1), ("b", 0.9), ("c", 0.5), ("d", 0.9)):
        made.thought("root", name, local=local)
    assert made.next() == (["b", "d"], ["c", "a"])


def test_the_beam_keeps_all_of_the_deepest_level() -> None:
    made = Made(search="beam", max_nodes_per_level=1, max_depth=1)
    for name in ("a", "b", "c"):
        made.thought("root", name)
    assert made.next() == (["a", "b", "c"], [])


def test_the_beam_does_not_drop_the_way_to_the_best_answer_so_far() -> None:
    made = Made(search="beam", max_nodes_per_level=1)
    made.thought("root", "a", local=0.0)
    made.thought("root", "b", local=1.0)
    made.answer("a", "x", 0.0)
    made.answer("b", "y", None)
    made.grown.prune(made.ids["y"], "gone")
    assert made.next() == (["a"], ["b"])


def test_mcts_goes_by_mean_reward_prior_and_visits() -> None:
    made = Made(search="mcts", mcts_c=1.0)
    made.thought("root", "likely", prior=0.6)
    made.thought("root", "unlikely", prior=0.2)
    assert made.next() == (["likely"], [])
    made.thought("likely", "l1", prior=0.5)
    made.thought("likely", "l2", prior=0.25)
    made.answer("likely", "x", 0.0)
    # N: root 1, likely 1, unlikely 0. Q of the unvisited one is that of the root, 0.
    scores = {"likely": 0 + 0.75 * math.sqrt(2) / 2, "unlikely": 0 + 0.25 * math.sqrt(2) / 1}
    assert scores["likely"] > scores["unlikely"]
    assert made.next() == (["l1"], [])
    made.answer("l1", "y", 0.0)
    made.answer("l1", "z", 0.0)
    # N: root 3, likely 3: 0.75 * 2 / 4 < 0.25 * 2 / 1
    assert made.next() == (["unlikely"], [])
    made.answer("l2", "w", 1.0)
    # Q of likely is 1/4 now: 0.25 + 0.75 * sqrt(5) / 5 < 0.25 + 0.25 * sqrt(5), the unvisited one having Q of the root.
    assert made.next() == (["unlikely"], [])
    made.answer("unlikely", "v", 0.0)
    # 0.25 + 0.75 * sqrt(6) / 5 > 0 + 0.25 * sqrt(6) / 2; below likely, l2 has Q 1 and l1 has 0.
    assert made.next() == (["l2"], [])


def test_mcts_passes_over_what_has_nothing_open() -> None:
    made = Made(search="mcts")
    made.thought("root", "good", prior=0.9)
    made.thought("root", "bad", prior=0.1)
    made.answer("good", "x", 1.0)
    made.close("good")
    assert made.next() == (["bad"], [])


def test_mcts_takes_several_leaves_each_as_if_those_before_were_wrong() -> None:
    made = Made(search="mcts", mcts_c=1.0, mcts_leaves=3)
    made.thought("root", "likely", prior=0.75)
    made.thought("root", "unlikely", prior=0.25)
    for parent in ("likely", "unlikely"):
        made.answer(parent, f"of {parent}", 0.5)
        made.thought(parent, f"{parent} 1", prior=0.6)
        made.thought(parent, f"{parent} 2", prior=0.4)
    # Of the root's, N: 2, 1 and 1, Q 1/2 each: 0.5 + 0.75 sqrt(3) / 2 > 0.5 + 0.25 sqrt(3) / 2. Then with a loss:
    # 0.25 + 0.75 * 2 / 3 = 0.75 = 0.5 + 0.25 * 2 / 2, a tie, which the earlier one has; and with two of them
    # 1/6 + 0.75 * sqrt(5) / 4 = 0.59 < 0.5 + 0.25 * sqrt(5) / 2 = 0.78.
    assert made.next() == (["likely 1", "likely 2", "unlikely 1"], [])
    made.close("likely 1", "likely 2", "unlikely 1")
    assert made.next() == (["unlikely 2"], [])  # no more are open


async def test_leaves_of_mcts_are_in_flight_together() -> None:
    flights = []
    for leaves in (1, 4):
        world = World(timing=1, max_concurrency=64)
        bounds = {"max_depth": 3, "branching_factor": 3, "max_nodes": 40}
        found = await searched(world, search="mcts", mcts_leaves=leaves, no_pruning=True, **bounds)
        assert found.search is not None
        assert found.search.nodes == 40
        flights.append(world.most_in_flight)
    assert flights[1] > flights[0]


@pytest.mark.parametrize(
    ("expected", "children"),
    [
        (None, 5),
        (Estimate(0.0, 0.0), 1),
        (Estimate(1.0, 0.0), 3),
        (Estimate(1.0, 0.25), 5),
        (Estimate(0.4, 0.1), 3),
    ],
)
def test_branching_grows_with_promise_and_uncertainty(expected: Estimate | None, children: int) -> None:
    made = Made(branching_factor=5)
    made.thought("root", "a", expected=expected)
    assert width(made.grown, made.ids["a"], made.settings) == children
    assert width(made.grown, made.ids["a"], settings(branching_factor=5, fixed_branching=True)) == 5


async def test_a_whole_level_is_in_flight_at_once() -> None:
    world = World(timing=1, max_concurrency=64)
    await searched(world, search="bfs", branching_factor=4, max_depth=2)
    assert world.most_in_flight >= 12


@pytest.mark.parametrize("search", STRATEGIES)
async def test_children_are_of_different_thought_types_and_no_answer_is_asked_for_twice(search: str) -> None:
    world = World()
    found = await searched(world, search=search)
    assert found.tree is not None
    nodes = {**found.tree.nodes, **found.tree.pruned}
    children: dict[int, list[str]] = {}
    for node in nodes.values():
        if node.parent is not None:
            children.setdefault(node.parent, []).append(str(node.thought_type))
            assert node.scores is not None
    assert all(len(names) == len(set(names)) for names in children.values())
    asked = [(request.messages, request.sample_index, request.choices is None) for request in world.requests]
    assert len(asked) == len(set(asked))


async def test_without_types_children_are_samples_of_the_next_thought() -> None:
    world = World()
    found = await searched(world, typed=False, search="bfs", max_depth=1, branching_factor=3)
    assert {request.role for request in world.requests} == {"reasoner"}
    thoughts = [request.sample_index for request in world.requests[:3]]
    assert len(set(thoughts)) == 3
    assert found.tree is not None
    assert [node.kind for node in found.tree.nodes.values()] == ["prompt", *["thought"] * 3, *["answer"] * 3]


async def test_a_thought_that_a_sibling_said_is_dropped() -> None:
    class Alike(World):
        def _world(self, request: Any) -> Any:
            reply = super()._world(request)
            finished = request.messages[-2].content == FINISH if len(request.messages) > 1 else False
            return reply if finished else type(reply)("the same thing", reply.finish_reason, reply.usage)

    world = Alike()
    found = await searched(world, typed=False, search="bfs", max_depth=2, branching_factor=4)
    assert found.tree is not None
    assert {node.pruned for node in found.tree.pruned.values()} >= {"the same thought as node 1"}
    assert len([node for node in found.tree.nodes.values() if node.kind == "thought"]) == 2


async def test_a_planner_without_probabilities_is_asked_as_often_as_there_may_be_children() -> None:
    class Silent(World):
        def _world(self, request: Any) -> Any:
            reply = super()._world(request)
            return type(reply)(reply.text, reply.finish_reason, reply.usage) if request.choices else reply

    world = Silent()
    found = await searched(world, search="bfs", max_depth=1, branching_factor=6, fixed_branching=True)
    chosen = [request for request in world.requests if request.choices]
    assert len({request.sample_index for request in chosen}) == len(chosen) == 6
    assert any("the planner gives no probabilities of thought types" in note for note in found.notes)
    assert found.tree is not None
    names = [found.tree.node(child).thought_type for child in found.tree.children(0)]
    assert len(names) == len(set(names)) > 1
    priors = [found.tree.node(child).scores.prior for child in found.tree.children(0)]  # type: ignore[union-attr]
    assert sum(prior or 0 for prior in priors) == pytest.approx(1.0)
