"""What is pruned, which answer is given, and what a search does when calls fail."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from made_by_hand import Made, step
from scripted_world import PROBLEM, TYPES, World, searched, settings

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.rewards.backing_up import back_up
from hierarchical_reasoning.search.appraisal import set_agreement
from hierarchical_reasoning.search.calls import Calls
from hierarchical_reasoning.search.grown import Grown
from hierarchical_reasoning.search.pruning import prune
from hierarchical_reasoning.search.selection import best_answer, selected, weights_of_answers
from hierarchical_reasoning.search.settings import SEARCHES
from hierarchical_reasoning.trace import FINISH, Step, Trace
from hierarchical_reasoning.trees import Scores
from hierarchical_reasoning.values.base import Estimate
from llm_backends import AuthenticationError, BadRequestError, Request


def made_with_a_bad_branch(**given: Any) -> Made:
    made = Made(**given)
    made.thought("root", "good", local=0.5)
    made.thought("root", "bad", local=0.1)
    made.thought("bad", "worse", local=0.1)
    made.answer("good", "x", 0.9)
    made.answer("worse", "y", 0.1)
    made.close("good")
    return made


def test_a_branch_that_surely_promises_too_little_goes_with_all_below_it() -> None:
    made = made_with_a_bad_branch()
    made.close("worse")
    assert prune(made.grown, made.settings) == 3
    assert set(made.grown.tree.pruned) == {made.ids[name] for name in ("bad", "worse", "y")}
    assert set(made.grown.thoughts) == {0, made.ids["good"]}
    assert made.grown.visits(0) == 1
    assert len(made.grown.answers) == 2
    assert all("(--pruning_threshold)" in str(node.pruned) for node in made.grown.tree.pruned.values())


def test_nothing_is_pruned_where_something_unknown_is_open_below() -> None:
    assert prune(made_with_a_bad_branch().grown, settings()) == 0


def test_what_is_open_goes_once_even_its_uncertainty_does_not_save_it() -> None:
    made = Made()
    made.thought("root", "hopeless", expected=Estimate(0.1, 0.1))
    made.thought("root", "unsure", expected=Estimate(0.1, 0.4))
    assert prune(made.grown, made.settings) == 1
    assert set(made.grown.tree.pruned) == {made.ids["hopeless"]}


def test_neither_the_deepest_level_nor_the_best_answer_is_pruned() -> None:
    made = Made(max_depth=2)
    made.thought("root", "a")
    made.thought("a", "a1")
    made.answer("a1", "x", 0.0)
    made.thought("root", "b")
    made.thought("b", "b1")
    made.answer("b1", "y", 0.01)
    made.close("a1", "b1")
    prune(made.grown, made.settings)
    assert set(made.grown.thoughts) == {made.ids[name] for name in ("root", "b", "b1")}
    assert prune(made.grown, settings(max_depth=1, pruning_threshold=9)) == 0


def test_no_pruning_means_none() -> None:
    made = made_with_a_bad_branch(no_pruning=True)
    made.close("worse")
    assert prune(made.grown, made.settings) == 0


@examples(max_examples=20)
@given(search=st.sampled_from(SEARCHES), seed=st.integers(0, 999), threshold=st.floats(0, 1))
async def test_pruned_nodes_hang_together_and_the_answer_given_is_live(
    search: str, seed: int, threshold: float
) -> None:
    found = await searched(
        World(seed=seed, n_answers=9), search=search, pruning_threshold=threshold, max_depth=2
    )
    assert found.tree is not None
    assert found.search is not None
    tree = found.tree
    assert tree.chosen == found.search.chosen
    assert tree.chosen in tree.nodes
    for node in tree.pruned.values():
        assert all(node.id != other.parent for other in tree.nodes.values())
    assert found.search.pruned == len(tree.pruned)
    live = {answer.node for answer in found.search.answers if not answer.pruned}
    assert live == {node.id for node in tree.nodes.values() if node.kind == "answer"}


def large_tree(seed: int, *, deep: bool) -> Grown:
    """10,000 nodes: thoughts, of which some are closed and some estimated, and answers, most of which are rewarded."""
    chance = random.Random(seed)
    grown = Grown(Trace(PROBLEM, TYPES), settings().weights, sample=0)
    thoughts = [grown.thoughts[0]]
    while grown.n_nodes < 10_000:
        above = thoughts[-1] if deep and chance.random() < 0.9 else chance.choice(thoughts)
        scores = Scores(local=chance.random(), prior=chance.random())
        if above.depth == 60 or (above.depth and chance.random() < 0.2):
            answer = grown.add_answer(above, "x", step("", FINISH), scores, truncated=False)
            answer.reward = chance.choice([None, chance.random()])
        else:
            trace = above.trace.extended(Step(TYPES[0], "a"))
            made = grown.add_thought(above, trace, "", step("a"), scores)
            thoughts.append(made)
            if chance.random() < 0.5:
                grown.estimates[made.id] = Estimate(chance.random(), chance.random() / 2)
    for thought in thoughts:
        if chance.random() < 0.8:
            grown.open.pop(thought.id)
    back_up(grown.tree, grown.rewards(), grown.weights)
    return grown


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("threshold", [0.2, 0.45, 0.9])
def test_what_is_pruned_of_trees_of_10_000_nodes(threshold: float, deep: bool) -> None:
    grown = large_tree(int(threshold * 100), deep=deep)
    given = settings(pruning_threshold=threshold, max_depth=60)
    best, n = best_answer(grown), grown.n_nodes
    assert best is not None
    kept_for_best = grown.tree.path(best.id)
    promises = {node: grown.promise(node) for node in grown.thoughts}
    open_before = set(grown.open)
    with_open = {above for node in grown.open for above in grown.tree.path(node)}
    dropped = prune(grown, given)
    tree = grown.tree
    assert dropped == len(tree.pruned) > 0
    assert len(tree.nodes) + len(tree.pruned) == n + 1  # the root is no thought
    assert set(kept_for_best) <= set(tree.nodes)
    assert grown.thoughts.keys() | {answer.id for answer in grown.live_answers} == set(tree.nodes)
    assert set(grown.open) == open_before & set(tree.nodes)
    for node in tree.pruned.values():
        if node.parent in tree.nodes and node.kind == "thought":  # the topmost of what was dropped
            assert promises[node.id] < threshold
    for node_id, thought in grown.thoughts.items():
        if node_id not in with_open | set(kept_for_best) and 0 < thought.depth < 60:
            assert promises[node_id] >= threshold
    visits = Counter(above for answer in grown.live_answers for above in tree.path(answer.id))
    assert {node: grown.visits(node) for node in tree.nodes} == {node: visits[node] for node in tree.nodes}
    rounds = 0
    while prune(grown, given):  # what had something open below it that went
        rounds += 1
    assert rounds <= 60
    assert set(kept_for_best) <= set(tree.nodes)


def test_agreement_is_the_share_of_the_answers_that_were_found() -> None:
    made = Made()
    made.thought("root", "a")
    answers = [made.answer("a", name, None) for name in ("x", "y", "x", "none")]
    answers[3].ballot = None
    set_agreement(answers)
    assert [answer.reward for answer in answers] == pytest.approx([2 / 3, 1 / 3, 2 / 3, 0.0])


def voting(totals: dict[str, list[float]]) -> Made:
    """A tree with answers of these totals, by what they say."""
    made = Made(reward_weights=(1.0, 0.0, 0.0))
    made.thought("root", "a")
    for ballot, rewards in totals.items():
        for number, reward in enumerate(rewards):
            made.answer("a", f"{ballot}{number}", 0.0, local=reward).ballot = ballot
    return made


def test_the_best_path_has_the_highest_total_and_the_vote_the_most_together() -> None:
    made = voting({"x": [0.7], "y": [0.4, 0.5]})
    assert weights_of_answers(made.grown) == {"x": pytest.approx(0.7), "y": pytest.approx(0.9)}
    best, voted = (selected(made.grown, by, seed="s") for by in ("best_path", "vote"))
    assert best is not None
    assert voted is not None
    assert (made.name(best.id), made.name(voted.id)) == ("x0", "y1")


def test_a_tied_vote_is_drawn_by_the_seed() -> None:
    made = voting({"x": [0.5], "y": [0.5]})
    won = [selected(made.grown, "vote", seed=str(seed)) for seed in range(20)]
    assert {answer.ballot for answer in won if answer} == {"x", "y"}
    again = [selected(made.grown, "vote", seed=str(seed)) for seed in range(20)]
    assert won == again


def test_a_text_without_an_answer_is_given_only_where_there_is_no_other() -> None:
    made = voting({"x": [0.1], "none": [0.9]})
    (nothing,) = (answer for answer in made.grown.answers.values() if answer.ballot == "none")
    nothing.ballot = None
    best = best_answer(made.grown)
    assert best is not None
    assert best.ballot == "x"


def test_a_problem_without_its_truth_keeps_what_is_asked() -> None:
    asked = PROBLEM.without_truth()
    assert (asked.answer, dict(asked.fields), asked.text, asked.id) == (
        None,
        {"prompt": "What is 10 + 3?"},
        PROBLEM.text,
        PROBLEM.id,
    )


def failing(when: Any, error: Exception) -> World:
    class Failing(World):
        def _world(self, request: Request) -> Any:
            if when(request):
                raise error
            return super()._world(request)

    return Failing(max_retries=0)


def answers(request: Request) -> bool:
    return request.choices is None and request.messages[-2].content == FINISH


async def test_a_branch_whose_call_fails_ends_there_and_says_so() -> None:
    world = failing(
        lambda request: request.choices is None and request.messages[-2].content == "Check",
        BadRequestError("no"),
    )
    found = await searched(world, search="bfs", max_depth=2)
    assert found.tree is not None
    assert found.final_response
    assert "Check" not in {node.thought_type for node in found.tree.nodes.values()}
    assert any("'Check' after node 0 failed: BadRequestError: no" in note for note in found.notes)


async def test_where_nothing_can_be_answered_the_error_is_the_problems() -> None:
    with pytest.raises(BadRequestError, match="no answers today") as raised:
        await searched(failing(answers, BadRequestError("no answers today")), search="bfs", max_depth=1)
    assert raised.value.spent is not None
    assert raised.value.spent.replies == 0


async def test_what_ends_a_run_is_raised_at_once() -> None:
    world = failing(answers, AuthenticationError("the key is refused"))
    with pytest.raises(AuthenticationError):
        await searched(world, search="bfs", max_depth=1)


async def test_a_planner_that_fails_everywhere_leaves_the_problem_to_be_answered() -> None:
    world = failing(lambda request: request.choices is not None, BadRequestError("no plan"))
    found = await searched(world)
    assert [step.thought_type for step in found.steps] == [FINISH]
    assert found.final_response


@pytest.mark.parametrize("search", SEARCHES)
async def test_the_truth_steers_nothing_but_the_oracle(search: str) -> None:
    trees, oracles = [], []
    for truth in ("10", "12"):
        problem = replace(PROBLEM, answer=truth, fields={**PROBLEM.fields, "answer": truth})
        trees.append((await searched(World(), search=search, problem=problem)).tree)
        oracle = await searched(World(), search=search, problem=problem, path_reward="verifier")
        assert oracle.search is not None
        oracles.append(
            next(each.answer for each in oracle.search.answers if each.node == oracle.search.chosen)
        )
    assert trees[0] == trees[1]
    assert oracles == ["10", "12"]


async def test_a_proven_answer_ends_the_search() -> None:
    world = World(n_answers=1)
    oracle = await searched(world, search="dfs", path_reward="verifier", problem=PROBLEM)
    assert oracle.search is not None
    assert oracle.search.ended == "nothing is left to expand"  # all answers are 10, and the truth is 13
    right = await searched(
        World(n_answers=1), search="dfs", path_reward="verifier", problem=replace(PROBLEM, answer="10")
    )
    assert right.search is not None
    assert right.search.ended == "an answer is proven right"
    assert len(right.search.answers) == 1


@pytest.mark.parametrize(("threshold", "early"), [(0.0, True), (9.0, False)])
async def test_what_promises_much_is_followed_to_an_answer_before_its_level_is_done(
    threshold: float, early: bool
) -> None:
    world = World()
    found = await searched(world, search="bfs", max_depth=3, verification_threshold=threshold)
    tree = found.tree
    assert tree is not None
    by_depth: dict[int, list[int]] = {2: [], 3: []}
    for node in tree.nodes.values():
        depth = len(tree.path(node.id)) - 1
        if node.kind == "thought" and depth in by_depth:
            by_depth[depth].append(node.id)
    assert (min(by_depth[3]) < max(by_depth[2])) is early


@pytest.mark.parametrize("given", [{"search": "mcts"}, {"search": "bfs", "verification_threshold": 0.0}])
async def test_a_planner_chooses_once_at_every_thought(given: dict[str, Any]) -> None:
    world = World()
    await searched(world, max_depth=3, **given)
    asked = Counter(request.messages for request in world.requests if request.choices is not None)
    assert len(asked) > 3
    assert set(asked.values()) == {1}


async def test_monte_carlo_follows_every_child_to_an_answer() -> None:
    found = await searched(World(), search="mcts", max_depth=3, no_pruning=True)
    tree = found.tree
    assert tree is not None
    below = {above for node in tree.nodes.values() if node.kind == "answer" for above in tree.path(node.id)}
    assert set(tree.nodes) == below


async def test_disagreement_answers_every_thought_several_times() -> None:
    found = await searched(
        World(n_answers=2), search="beam", uncertainty="disagreement", uncertainty_samples=4, max_depth=2
    )
    assert found.tree is not None
    for node in found.tree.nodes.values():
        if node.kind == "thought":
            kinds = [found.tree.node(child).kind for child in found.tree.children(node.id)]
            assert kinds.count("answer") == 4
            assert node.scores is not None
            assert node.scores.value is not None
            assert 0 <= (node.scores.uncertainty or 0) <= 1


async def test_what_came_of_a_search_is_recorded() -> None:
    world = World()
    found = await searched(world, search="mcts")
    assert found.search is not None
    assert found.tree is not None
    record, tree = found.search, found.tree
    assert (record.calls, record.tokens) == (world.calls, world.tokens)
    assert record.nodes == tree.next_id - 1
    assert {step.thought_type for step in found.steps[:-1]} <= {"Add", "Check", "Guess", "Recall"}
    assert found.steps[-1].thought_type == FINISH
    assert record.chosen is not None
    path = [tree.node(node) for node in tree.path(record.chosen)[1:]]
    assert [step.thought for step in found.steps[:-1]] == [node.text for node in path[:-1]]
    assert found.final_response == path[-1].text
    for node in tree.nodes.values():
        if node.kind == "answer":
            assert node.leaf is not None
            assert node.leaf.outcome is Outcome.UNGRADED  # the runner grades it
            assert node.scores is not None
            assert node.leaf.reward == node.scores.path
    assert tree.node(0).scores is not None
    assert tree.node(0).scores.visits == len(record.answers)


def test_what_promises_most_stays_as_long_as_nothing_is_answered() -> None:
    made = Made()
    doubted = Estimate(value=0.05, uncertainty=0.01)
    made.thought("root", "bad", local=0.1, expected=doubted)
    made.thought("root", "less bad", local=0.2, expected=doubted)
    assert prune(made.grown, made.settings) == 1
    assert [made.name(node) for node in made.grown.open] == ["less bad"]


async def test_calls_that_are_cancelled_before_they_begin_leave_nothing_behind() -> None:
    begun = []

    async def call(number: int) -> None:
        begun.append(number)

    work = [call(number) for number in range(3)]
    together = asyncio.create_task(Calls([]).all(["it"] * 3, work))
    await asyncio.sleep(0)  # they are there, and none has begun
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert begun == []
    assert {inspect.getcoroutinestate(each) for each in work} == {inspect.CORO_CLOSED}
