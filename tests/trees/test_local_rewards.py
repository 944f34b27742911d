"""Local rewards: words, an estimator's value, and a model that rates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.rewards import (
    HeuristicLocalReward,
    JudgeLocalReward,
    LocalReward,
    ValueLocalReward,
    score_local,
)
from hierarchical_reasoning.trees import ReasoningTree, Scores
from hierarchical_reasoning.values import Estimate, Place
from llm_backends import BackendError, ScriptedBackend, UnparsedChoiceError

PROBLEM = Problem("p", "Add two and Three to ten", ("fifteen",), None, {})


@pytest.mark.parametrize(
    ("parent", "text", "expected"),
    [
        # Parent's words: first, add. Of them "add" is there; new and of the problem's 6: two, three.
        ("First add", "ADD two three four", 0.5 * 1 / 2 + 0.5 * 2 / 6),
        (PROBLEM.text, "Add two", 0.5 * 2 / 6),  # all its words are known, so nothing is new
        (PROBLEM.text, PROBLEM.text, 0.5),
        ("x", "Add two and Three to ten x", 1.0),
        ("", "two two two", 0.5 * 1 / 6),
        ("First add", "", 0.0),
        ("First add", "nothing of it", 0.0),
    ],
)
async def test_the_heuristic_is_coherence_and_progress(parent: str, text: str, expected: float) -> None:
    assert await HeuristicLocalReward()(PROBLEM, parent, text) == pytest.approx(expected)


async def test_the_heuristic_divides_by_nothing_where_there_are_no_words() -> None:
    assert await HeuristicLocalReward()(Problem("p", " ", None, None, {}), "\n", "two") == 0.0


class Lengths:
    """Values a place by how many thoughts it has."""

    is_trained = True

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.places: list[Place] = []

    async def estimate(self, places: Sequence[Place]) -> list[Estimate]:
        self.places += places
        return [Estimate(len(place.thoughts) / 10, 0.0) for place in places]

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        raise AssertionError


async def test_a_value_is_that_of_the_step_and_the_one_before() -> None:
    estimator = Lengths()
    local = ValueLocalReward(estimator)
    assert await local(PROBLEM, PROBLEM.text, "first") == 0.1
    assert await local(PROBLEM, "first", "second") == 0.2
    assert [place.thoughts for place in estimator.places] == [("first",), ("first", "second")]


async def test_a_judge_rates_from_0_to_10_and_is_not_told_the_truth() -> None:
    backend = ScriptedBackend(["7", "10", "0"], max_retries=0)
    local = JudgeLocalReward(backend.complete)
    found = [await local(PROBLEM, parent, "then {this}") for parent in (PROBLEM.text, "first {that}", "")]
    assert found == [0.7, 1.0, 0.0]
    first, second, _ = (request.messages[0].content for request in backend.requests)
    assert "Step before" not in first
    assert "Step before:\n=====\nfirst {that}\n=====\nStep:\n=====\nthen {this}\n=====" in second
    assert PROBLEM.text in first
    assert "fifteen" not in first + second
    request = backend.requests[1]
    assert request == local.request(PROBLEM, "first {that}", "then {this}")
    assert (request.role, request.sampling.temperature) == ("judge", 0)


async def test_a_rating_out_of_range_is_asked_for_again_and_then_an_error() -> None:
    backend = ScriptedBackend(["11", "3", "7.5", "-1"], max_choice_attempts=2, max_retries=0)
    local = JudgeLocalReward(backend.complete)
    assert await local(PROBLEM, "", "a") == 0.3
    with pytest.raises(UnparsedChoiceError, match="-1"):
        await local(PROBLEM, "", "b")
    assert backend.calls == 4


def small_tree() -> ReasoningTree:
    tree = ReasoningTree("p", [], "the prompt")
    upper = tree.add(tree.root, (), "add two", kind="thought")
    tree.add(upper, (), "three", kind="thought")
    tree.score(upper, Scores(path=0.5, prior=0.25))
    return tree


async def test_all_nodes_get_their_local_reward_and_keep_the_rest() -> None:
    tree, heuristic = small_tree(), HeuristicLocalReward()
    await score_local(tree, PROBLEM, heuristic, lambda node: node.text)
    first = await heuristic(PROBLEM, PROBLEM.text, "add two")  # the root stands for the problem's text
    second = await heuristic(PROBLEM, "add two", "three")
    assert [node.scores for node in tree.nodes.values()] == [
        None,
        Scores(local=first, path=0.5, prior=0.25),
        Scores(local=second),
    ]
    assert first > second > 0


async def test_where_one_rating_fails_no_node_has_changed() -> None:
    tree, before = small_tree(), small_tree()
    local: LocalReward = JudgeLocalReward(
        ScriptedBackend(["5", "six"], max_choice_attempts=1, max_retries=0).complete
    )
    with pytest.raises(BackendError):
        await score_local(tree, PROBLEM, local, lambda node: node.text)
    assert tree == before
