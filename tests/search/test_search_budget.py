"""Budgets: never exceeded, however many calls are in flight, and the same calls are let in whichever ends first."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_world import MAX_ANSWER, PROBLEM, World, searched

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.search.budget import Budget, BudgetSpentError, Cost
from hierarchical_reasoning.search.paid_backend import PaidBackend
from hierarchical_reasoning.search.settings import SEARCHES
from hierarchical_reasoning.solvers.base import Solution
from hierarchical_reasoning.trees.records import as_record
from llm_backends import Message, Request, Sampling, ScriptedBackend, UnparsedChoiceError

CALLS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (max(pair), min(pair))), max_size=30
)
"""What each may take at most, and what it takes."""


async def let_in(budget: Budget, calls: list[tuple[int, int]], order: random.Random) -> list[int]:
    """Which of the calls were let in; they end in an order that is drawn."""
    admitted: list[int] = []

    async def call(number: int, most: int, took: int) -> None:
        try:
            await budget.admit(Cost(most, 1))
        except BudgetSpentError:
            return
        admitted.append(number)
        for _ in range(order.randrange(5)):
            await asyncio.sleep(0)
        budget.settle(Cost(most, 1), Cost(took, 1))

    await asyncio.gather(*(call(number, *each) for number, each in enumerate(calls)))
    return sorted(admitted)


@given(calls=CALLS, tokens=st.integers(0, 400), most_calls=st.integers(0, 30), order=st.integers(0, 2**32))
async def test_a_call_is_let_in_if_it_fits_in_what_those_before_it_left(
    calls: list[tuple[int, int]], tokens: int, most_calls: int, order: int
) -> None:
    budget = Budget(tokens=tokens, calls=most_calls)
    admitted = await let_in(budget, calls, random.Random(order))
    expected, spent = [], 0
    for number, (most, took) in enumerate(calls):
        if spent + most <= tokens and len(expected) < most_calls:
            expected.append(number)
            spent += took
    assert admitted == expected
    assert budget.spent == Cost(spent, len(expected))
    assert budget.spent.tokens <= tokens


async def test_what_is_kept_is_there_for_the_answer_alone() -> None:
    budget = Budget(tokens=100)
    budget.keep(Cost(60, 1))
    with pytest.raises(BudgetSpentError, match=r"--max_search_tokens is 100, 60 of them are taken or kept"):
        await budget.admit(Cost(50, 1))
    budget.release()
    await budget.admit(Cost(50, 1))


async def test_a_call_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    budget = Budget(tokens=100)
    await budget.admit(Cost(100, 1))
    waiting = asyncio.create_task(budget.admit(Cost(50, 1)))
    behind = asyncio.create_task(budget.admit(Cost(100, 1)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    budget.settle(Cost(100, 1), Cost(0, 1))
    await behind
    assert budget.spent == Cost(0, 1)


@settings(max_examples=40)
@given(
    search=st.sampled_from(SEARCHES),
    typed=st.booleans(),
    tokens=st.none() | st.integers(240, 6000),
    calls=st.none() | st.integers(3, 80),
    nodes=st.integers(1, 60),
    mcts_leaves=st.integers(1, 5),
    uncertainty=st.sampled_from(("none", "disagreement")),
    seed=st.integers(0, 10**6),
    timing=st.integers(0, 10**6),
)
async def test_no_search_exceeds_its_bounds_or_depends_on_timing(
    timing: int, seed: int, tokens: int | None, calls: int | None, nodes: int, typed: bool, **given: Any
) -> None:
    bounds = {"max_search_tokens": tokens, "max_search_calls": calls, "max_nodes": nodes, "max_depth": 2}
    trees = []
    for when in (None, timing):
        world = World(seed=seed, timing=when)
        found = await searched(world, typed=typed, **bounds, **given)
        assert found.search is not None
        assert found.tree is not None
        assert calls is None or world.calls <= calls
        assert tokens is None or world.tokens <= tokens
        assert (found.search.calls, found.search.tokens) == (world.calls, world.tokens)
        assert 1 <= found.search.nodes <= nodes
        assert found.final_response
        trees.append(as_record(found.tree))
    assert trees[0] == trees[1]


@pytest.mark.parametrize(("bound", "least"), [("max_search_calls", 3), ("max_search_tokens", 1)])
async def test_a_budget_too_small_for_one_answer_is_refused_before_anything_is_spent(
    bound: str, least: int
) -> None:
    world = World()
    with pytest.raises(ConfigError, match=rf"no room for a single answer: --{bound} is "):
        await searched(world, **{bound: least - 1 or 1})
    assert world.calls == 0


async def test_with_room_for_one_answer_alone_it_is_the_problem_that_is_answered() -> None:
    found = await searched(World(), max_search_calls=3)
    assert found.search is not None
    assert [answer.node for answer in found.search.answers] == [1]
    assert [step.thought_type for step in found.steps] == ["Finish thinking"]
    assert "answered at the end of the search: --max_search_calls is 3" in found.steps[0].notes[0]


async def test_replies_that_are_asked_for_again_are_counted_and_fit() -> None:
    budget, solution = Budget(calls=5), Solution()
    backend = ScriptedBackend(["none", "of", "them", "a"] * 3)
    paid = PaidBackend(backend, budget, solution)
    request = Request(
        (Message("user", "a or b?"),), Sampling(max_tokens=4), choices=("a", "b"), role="planner"
    )
    with pytest.raises(UnparsedChoiceError) as raised:
        await paid.complete(request)
    assert raised.value.spent is not None
    assert raised.value.spent.replies == 0  # it is accounted for already
    assert budget.spent.calls == solution.spent["planner"].replies == backend.calls == 3
    with pytest.raises(BudgetSpentError):
        await paid.complete(request)
    assert backend.calls == 3


class _Uncounted(World):
    def count_tokens(self, messages: Any, *, completion: bool = True) -> int | None:  # type: ignore[override]
        return None if completion else super().count_tokens(messages)

    def _world(self, request: Request) -> Any:
        known = World(seed=self._seed)
        return World._world(known, request)


async def test_where_tokens_cannot_be_counted_no_prompt_has_more_than_its_bytes() -> None:
    paid = PaidBackend(_Uncounted(), Budget(), Solution())
    request = Request((Message("user", "äöü" * 100),), Sampling(max_tokens=MAX_ANSWER))
    assert paid.most(request).tokens >= 3 * (600 + MAX_ANSWER)
    world = _Uncounted(timing=1)
    found = await searched(world, max_search_tokens=9000, problem=PROBLEM)
    assert found.search is not None
    assert found.search.tokens == world.tokens <= 9000
