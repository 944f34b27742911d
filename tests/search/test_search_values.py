"""Values in a search: when they are learned, what rates thoughts and answers, and a value head to begin with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_run import config_for, run_with
from scripted_world import PROBLEM, World, searched

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.search.values import Values, pairs_in
from hierarchical_reasoning.trees import Leaf, ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.values.base import UNKNOWN, Estimate, Place
from llm_backends import BadRequestError, Completion, FinishReason, Request, ScriptedBackend, Usage


class Remembering:
    """An estimator that remembers what it was told to learn."""

    is_trained = False

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.learned: list[list[str]] = []

    async def estimate(self, places: Sequence[Place]) -> list[Estimate]:
        return [UNKNOWN] * len(places)

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        self.learned.append([place.thoughts[-1] for place in places])


def tree_of(name: str) -> ReasoningTree:
    tree = ReasoningTree(name, (), name, sample=0)
    tree.grade(tree.add(0, (), name, kind="answer"), Leaf(Outcome.UNGRADED, 0.5))
    return tree


def problem(name: str) -> Problem:
    return Problem(name, name, "1", None, {})


@settings(max_examples=50)
@given(
    n=st.integers(1, 12),
    every=st.integers(1, 5),
    workers=st.integers(1, 6),
    timing=st.integers(0, 10**6),
    data=st.data(),
)
async def test_groups_are_learned_in_order_and_before_the_attempts_after_them_begin(
    n: int, every: int, workers: int, timing: int, data: st.DataObject
) -> None:
    names = [f"p{number}" for number in range(n)]
    owed = set(data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))
    failing = set(data.draw(st.lists(st.sampled_from(names), unique=True)))
    head, order = Remembering(), random.Random(timing)

    async def make() -> Remembering:
        return head

    values = Values(make, every=every, note=lambda text: None)
    finished = [tree_of(name) for name in names if name not in owed]
    order.shuffle(finished)
    await values.begin([(problem(name), 0) for name in names], {(name, 0) for name in owed}, finished)
    waiting = iter([name for name in names if name in owed])

    async def worker() -> None:
        for name in waiting:
            try:
                async with values.turn(problem(name), 0) as learned:
                    assert len(head.learned) >= names.index(name) // every
                    for _ in range(order.randrange(5)):
                        await asyncio.sleep(0)
                    if name in failing:
                        raise BadRequestError("no")
                    learned(tree_of(name))
            except BadRequestError:
                pass

    await asyncio.wait_for(asyncio.gather(*(worker() for _ in range(workers))), 10)
    groups = [names[first : first + every] for first in range(0, n, every)]
    taught = [[name for name in group if name not in owed or name not in failing] for group in groups]
    assert head.learned == taught[: len(groups) - 1]


def test_a_tree_teaches_every_place_on_the_way_to_an_answer() -> None:
    tree = ReasoningTree("p", (), "the problem", sample=0)
    first = tree.add(0, (), "one", kind="thought")
    second = tree.add(first, (), "two", kind="thought")
    rewards = {
        tree.add(first, (), "answer 1", kind="answer"): 0.25,
        tree.add(second, (), "answer 2", kind="answer"): 1.0,
    }
    for node, reward in rewards.items():
        tree.grade(node, Leaf(Outcome.UNGRADED, reward))
    tree.prune(second, "why not")
    assert [(place.thoughts, reward) for place, reward in pairs_in(tree, PROBLEM)] == [
        (("one",), 0.25),
        (("one", "answer 1"), 0.25),
        (("one",), 1.0),
        (("one", "two"), 1.0),
        (("one", "two", "answer 2"), 1.0),
    ]


def rating(request: Request) -> Completion:
    text = "9" if "thought" not in request.messages[0].content.splitlines()[-3] else "2"
    return Completion(text, FinishReason.CHOICE, Usage(5, 0, 1))


async def test_a_judge_rates_thoughts_and_answers_within_the_budget() -> None:
    world, judge = World(timing=1), ScriptedBackend(rating)
    found = await searched(
        world,
        judge=judge,
        local_reward="judge",
        path_reward="judge",
        search="bfs",
        max_depth=1,
        max_search_calls=40,
    )
    assert found.search is not None
    assert found.tree is not None
    assert world.calls + judge.calls == found.search.calls <= 40
    assert found.spent["judge"].replies == judge.calls > 0
    assert all(
        "13" not in message.content.split() for request in judge.requests for message in request.messages[1:]
    )
    assert {answer.path_reward for answer in found.search.answers} <= {0.2, 0.9}
    locals_ = {node.scores.local for node in found.tree.nodes.values() if node.scores and node.id}
    assert locals_ <= {0.2, 0.9}


async def test_a_judge_that_fails_is_said_to_and_rates_nothing() -> None:
    def fails(request: Request) -> str:
        raise BadRequestError("no opinion")

    found = await searched(
        World(), judge=ScriptedBackend(fails, max_retries=0), path_reward="judge", max_depth=1
    )
    assert found.search is not None
    assert {answer.path_reward for answer in found.search.answers} == {None}
    assert any("has no path reward: BadRequestError: no opinion" in note for note in found.notes)


async def test_a_run_begins_with_the_value_head_that_it_is_given(tmp_path: Path) -> None:
    from hierarchical_reasoning.values.encoders import HashedWords
    from hierarchical_reasoning.values.learned import LearnedValue
    from hierarchical_reasoning.values.settings import HeadSettings

    head = LearnedValue(HashedWords(), HeadSettings("bootstrap", n_bootstrap=2, hidden_size=4))
    places = [Place(PROBLEM, (f"thought {number}",)) for number in range(10)]
    await head.learn(places, [float(number % 2) for number in range(10)])
    await head.save(tmp_path / "head")
    config: dict[str, Any] = {
        "search": "beam", "max_depth": 1, "branching_factor": 2, "n_rows": 1, "value_features": "words",
        "value_head": tmp_path / "head", "max_thought_tokens": 12, "max_answer_tokens": 16,
    }  # fmt: skip
    world = World()
    finished = await run_with(
        config_for(tmp_path, uncertainty="bootstrap", path_reward="value", **config), world
    )
    path = finished.journal.with_name(f"{finished.journal.stem}-trees.jsonl")
    (tree,) = (placed.tree for placed in TreeFile(path))
    scores = [node.scores for node in tree.nodes.values() if node.kind == "thought"]
    assert all(each is not None and each.value is not None for each in scores)
    assert world.notes == []
    with pytest.raises(ConfigError, match="holds one of the kind bootstrap, and --uncertainty is dropout"):
        await run_with(config_for(tmp_path, uncertainty="dropout", **config), World())
