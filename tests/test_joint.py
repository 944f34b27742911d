"""Thought type and thought in one call: the loop, what the schema lets through, and the prompts it makes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts, PromptStyle
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.solvers import JointSolver, Solution
from hierarchical_reasoning.solvers.joint import JSON_TOKENS, in_turns, schema_for
from hierarchical_reasoning.trace import FINISH, Trace
from llm_backends import (
    Completion,
    FinishReason,
    Message,
    Sampling,
    ScriptedBackend,
    ServerError,
    UnparsedSchemaError,
    Usage,
)
from taxonomy.model import ThoughtType

ADD = ThoughtType("1", "Addition", "Add up.", 1, "Addition")
CHECK = ThoughtType("2", "Check", "Check it.", 1, "Check")
PROBLEM = Problem("p0", "Problem 0: 10 + 0?", "10", "sum", {})
STYLES: tuple[PromptStyle, ...] = ("chat", "single")


def said(thought_type: str, thought: str = "") -> str:
    return json.dumps({"thought_type": thought_type, "thought": thought}, indent=1)


async def solved(
    backend: ScriptedBackend, *, style: PromptStyle = "chat", max_reasoning_steps: int = 9, **reasoner: Any
) -> Solution:
    settings = {"max_thought_tokens": 10, "max_answer_tokens": 20, **reasoner}
    writer = Reasoner(backend, Prompts(style, "a number"), Sampling(), **settings)
    solver = JointSolver(writer, (ADD, CHECK), max_reasoning_steps=max_reasoning_steps, seed=0)
    solution = Solution()
    await solver.solve(PROBLEM, solution, sample=3)
    return solution


def text_of(messages: Sequence[Message]) -> str:
    return "\n".join(message.content for message in messages)


@pytest.mark.parametrize("style", STYLES)
async def test_one_call_a_step_and_one_for_the_answer(style: PromptStyle) -> None:
    backend = ScriptedBackend([said("Addition", " one "), said("Check", "two"), said(FINISH), "It is 10."])
    solution = await solved(backend, style=style)
    assert [(step.thought_type, step.node_id, step.thought) for step in solution.steps] == [
        ("Addition", "1", "one"),
        ("Check", "2", "two"),
        (FINISH, None, ""),
    ]
    assert (solution.final_response, solution.truncated, solution.notes) == ("It is 10.", False, [])
    assert all(step.planner_probabilities is step.planner_usage is None for step in solution.steps)
    assert {role: spent.replies for role, spent in solution.spent.items()} == {"reasoner": 4}
    for step, request in zip(solution.steps, backend.requests, strict=False):
        assert step.reasoner_usage is not None
        assert step.reasoner_usage.prompt_tokens == backend.count_tokens(request.messages)
    assert {(request.role, request.sample_index, request.trace_id) for request in backend.requests} == {
        ("reasoner", 3, "p0/3")
    }
    max_tokens = [request.sampling.max_tokens for request in backend.requests]
    assert max_tokens == [10 + JSON_TOKENS] * 3 + [20]


async def test_a_chat_repeats_replies_to_the_letter_and_only_grows() -> None:
    replies = [
        '{"thought_type":"Addition",\n "thought":"\\u0061dd"}',
        said("Check", "two"),
        said(FINISH),
        "10",
    ]
    backend = ScriptedBackend(replies)
    await solved(backend, examples={"Check": ["an example"]})
    calls = [request.messages for request in backend.requests]
    for before, after, reply in zip(calls, calls[1:], replies, strict=False):
        assert after[:-1] == (*before, Message("assistant", reply))
        assert after[-1].role == "user"
    assert calls[-1][-1].content == "Now give the final answer, a number, in \\boxed{}."
    assert text_of(calls[-1]).count("an example\n") == 1
    assert text_of(calls[-1]).index("an example") < text_of(calls[-1]).index(PROBLEM.text)


async def test_single_prompts_stand_alone_and_put_what_grows_last() -> None:
    backend = ScriptedBackend([said("Addition", "one"), said("Check", "two"), said(FINISH), "10"])
    await solved(backend, style="single", examples={"Check": ["an example"]})
    calls = [request.messages for request in backend.requests]
    assert [len(messages) for messages in calls] == [1] * 4
    for before, after in pairwise(text_of(messages) for messages in calls[1:3]):
        common = before[: before.index("</thoughts>")]
        assert after.startswith(common)
    assert all("an example" in text_of(messages) for messages in calls[:3])
    assert "Addition: one\nCheck: two" in text_of(calls[-1])


@pytest.mark.parametrize("style", STYLES)
async def test_what_is_thought_on_finishing_is_kept_and_in_the_final_prompt(style: PromptStyle) -> None:
    backend = ScriptedBackend([said("Addition", "one"), said(FINISH, "so ten"), "10"])
    solution = await solved(backend, style=style)
    assert (solution.steps[-1].thought_type, solution.steps[-1].thought) == (FINISH, "so ten")
    final = text_of(backend.requests[-1].messages)
    assert final.index("one") < final.index("so ten")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_at_the_limit_it_stops_and_says_so(style: PromptStyle, limit: int) -> None:
    thoughts = [f"thought {i}" for i in range(limit - 1)]
    backend = ScriptedBackend([*(said("Addition", thought) for thought in thoughts), "10"])
    solution = await solved(backend, style=style, max_reasoning_steps=limit)
    assert [step.thought_type for step in solution.steps] == ["Addition"] * (limit - 1) + [FINISH]
    (note,) = solution.notes
    assert f"stopped at {limit} steps (--max_reasoning_steps)" in note
    assert all(thought in text_of(backend.requests[-1].messages) for thought in thoughts)
    roles = [message.role for message in backend.requests[-1].messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


@pytest.mark.parametrize(
    "unusable",
    [
        said("Subtraction", "x"),
        said("Addition", "  "),
        said("Addition", "x")[:-3],
        '{"thought_type": "Addition"}',
        "Addition: x",
    ],
)
async def test_an_unusable_reply_is_asked_for_again_and_then_an_error(unusable: str) -> None:
    mended = await solved(ScriptedBackend([unusable, said("Check", "two"), said(FINISH), "10"]))
    assert [step.thought_type for step in mended.steps] == ["Check", FINISH]
    backend = ScriptedBackend(lambda _: unusable, max_choice_attempts=2)
    with pytest.raises(UnparsedSchemaError, match="asked 2 times for JSON of the schema NextThought"):
        await solved(backend)
    assert backend.calls == 2


async def test_a_reply_that_was_cut_off_is_never_half_a_thought() -> None:
    half = Completion(
        said("Addition", "so far and no")[:-4], FinishReason.LENGTH, Usage(5, 0, 10 + JSON_TOKENS)
    )
    solution = await solved(ScriptedBackend([half, said(FINISH), "10"]))
    assert [step.thought_type for step in solution.steps] == [FINISH]
    used = solution.steps[0].reasoner_usage
    assert used is not None
    assert used.completion_tokens > 10 + JSON_TOKENS


async def test_an_error_loses_no_step_and_no_usage() -> None:
    backend = ScriptedBackend(
        [said("Addition", "one")], fail_at={1: ServerError("it burnt down")}, max_retries=0
    )
    writer = Reasoner(backend, Prompts(), Sampling(), 9, 9)
    solution = Solution()
    with pytest.raises(ServerError):
        await JointSolver(writer, (ADD, CHECK), max_reasoning_steps=9, seed=0).solve(PROBLEM, solution)
    assert [step.thought for step in solution.steps] == ["one"]
    assert solution.spent["reasoner"].replies == 1


async def test_an_answer_that_was_cut_off_is_said_to_be() -> None:
    cut = Completion("So it is", FinishReason.LENGTH)
    assert (await solved(ScriptedBackend([said(FINISH), cut]))).truncated


async def test_those_who_watch_see_choice_and_thought_apart() -> None:
    seen: list[tuple[str, str]] = []

    class Watching(Observer):
        def asked(self, problem: Problem, messages: Sequence[Message]) -> None:
            seen.append(("asked", problem.id))

        def chose(self, problem: Problem, name: str) -> None:
            seen.append(("chose", name))

        def thought(self, problem: Problem, text: str) -> None:
            seen.append(("thought", text))

    await solved(ScriptedBackend([said("Check", "one"), said(FINISH), "10"]), observer=Watching())
    step = [("asked", "p0"), ("chose", "Check"), ("thought", "one")]
    assert seen == [*step, ("asked", "p0"), ("chose", FINISH), ("asked", "p0"), ("thought", "10")]


def test_all_problems_of_a_level_share_one_schema() -> None:
    names = ["Look", "Add", FINISH]
    schema = schema_for(frozenset(names))
    assert schema is schema_for(frozenset(reversed(names)))
    described = schema.model_json_schema()
    assert described["properties"]["thought_type"]["enum"] == ["Add", "Look", FINISH]
    assert list(described["properties"]) == described["required"] == ["thought_type", "thought"]
    assert described["additionalProperties"] is False
    assert schema_for(frozenset(["Add", FINISH])) is not schema


@given(st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=6), st.text(max_size=20), st.data())
def test_the_schema_takes_the_options_and_nothing_else(
    names: set[str], thought: str, data: st.DataObject
) -> None:
    schema = schema_for(frozenset(names | {FINISH}))
    name = data.draw(st.sampled_from([*sorted(names), FINISH]))
    content = {"thought_type": name, "thought": thought}
    if name == FINISH or thought.strip():
        assert schema.model_validate_json(json.dumps(content)).model_dump() == content
    else:
        with pytest.raises(ValueError, match="the thought is empty"):
            schema.model_validate(content)
    for change in ({"thought_type": name + "?" * 13}, {"thought_type": None}, {"more": 1}):
        with pytest.raises(ValueError, match="NextThought"):
            schema.model_validate({**content, "thought": "x"} | change)


def test_examples_take_turns() -> None:
    examples = {"B": ["b1", "b2", "b3"], "A": ["a1"], "not of this level": ["x"]}
    shown = in_turns(examples, ["C", "B", "A"])
    assert shown == [("A", "a1"), ("B", "b1"), ("B", "b2"), ("B", "b3")]
    assert in_turns({}, ["A"]) == in_turns(examples, []) == []


class _Small(ScriptedBackend):
    """A model with little context."""

    def __init__(self, context: int) -> None:
        super().__init__([said(FINISH), "10"])
        self._context = context

    @property
    def context_length(self) -> int:
        return self._context


EXAMPLES = {name: [f"{name} example {i} " + "word " * 18 for i in range(5)] for name in ("Addition", "Check")}


def tokens_with(n_examples: int) -> int:
    """Of the first prompt, with some of the examples."""
    shown = in_turns(EXAMPLES, ["Addition", "Check"])[:n_examples]
    messages = Prompts(answer_form="a number").joint(Trace(PROBLEM, (ADD, CHECK)), (), shown)
    return ScriptedBackend([]).count_tokens(messages)


ROOM = 2 * (10 + JSON_TOKENS)
"""For the first thought, and for the one that may still come."""


@pytest.mark.parametrize("shown", range(11))
@pytest.mark.parametrize("spare", [0, 15])
async def test_examples_that_do_not_fit_are_left_out_in_turns_and_said(shown: int, spare: int) -> None:
    backend = _Small(tokens_with(shown) + ROOM + spare)
    solution = await solved(backend, examples=EXAMPLES, max_reasoning_steps=3)
    prompt = backend.requests[0].messages[0].content
    in_order = in_turns(EXAMPLES, ["Addition", "Check"])
    assert [text in prompt for _, text in in_order] == [i < shown for i in range(10)]
    notes = [f"{10 - shown} of 10 examples did not fit the context of {backend.context_length} tokens"]
    assert [note.partition(";")[0] for note in solution.notes] == (notes if shown < 10 else [])


async def test_problems_that_show_the_same_examples_share_them_as_a_prefix() -> None:
    prompts = Prompts("chat")
    firsts = []
    for problem_id in "abcdef":
        backend = ScriptedBackend([said(FINISH), "10"])
        solver = JointSolver(
            Reasoner(backend, prompts, Sampling(), 9, 9, EXAMPLES),
            (ADD, CHECK),
            max_reasoning_steps=9,
            seed=0,
        )
        await solver.solve(Problem(problem_id, f"Problem {problem_id}", None, None, {}), Solution())
        firsts.append(backend.requests[0].messages[0].content)
    assert len({text.index("Solve this problem") for text in firsts}) == 1
    assert len({text[: text.index("Problem ")] for text in firsts}) == 1
    assert len({text[text.index("Every thought") :] for text in firsts}) == 2
