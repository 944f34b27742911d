"""The loop: choose, think, until "Finish thinking"; what ends it early, and what is said of that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from scripted_run import config_for, number_of, reply, run_with

from hierarchical_reasoning.assembly import Run
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.planners.base import Choice
from hierarchical_reasoning.planners.without_model import FixedPlanner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.solvers import HierarchicalSolver, Solution, VanillaSolver
from hierarchical_reasoning.trace import FINISH, Trace
from hierarchical_reasoning.verifiers import Grade, Verifier
from llm_backends import (
    Completion,
    FinishReason,
    Request,
    Sampling,
    ScriptedBackend,
    ServerError,
    Usage,
)
from taxonomy.model import ThoughtType

ADD = ThoughtType("1", "Addition", "Add up.", 1, "Addition")
CHECK = ThoughtType("2", "Check", "Check it.", 1, "Check")
PROBLEM = Problem("p0", "Problem 0: 10 + 0?", "10", "sum", {})


def thinking(_: Request) -> str:
    return "a thought"


async def solved(
    names: list[str],
    backend: ScriptedBackend,
    *,
    max_reasoning_steps: int = 10,
    style: Any = "chat",
    **reasoner: Any,
) -> Solution:
    """What comes of following `names`, then finishing."""
    settings = {"max_thought_tokens": 7, "max_answer_tokens": 20, **reasoner}
    writer = Reasoner(backend, Prompts(style), Sampling(), **settings)
    solver = HierarchicalSolver(
        FixedPlanner(names), writer, (ADD, CHECK), max_reasoning_steps=max_reasoning_steps, seed=0
    )
    solution = Solution()
    await solver.solve(PROBLEM, solution)
    return solution


async def entry_of(directory: Path, backend: ScriptedBackend, **settings: Any) -> ResultEntry:
    finished = await run_with(config_for(directory, n_rows=1, **settings), backend)
    return finished.results.results[0]


async def test_it_ends_when_finish_is_chosen() -> None:
    backend = ScriptedBackend(["one", "two", "the answer is 10"])
    solution = await solved(["Addition", "Check"], backend)
    assert [(step.thought_type, step.node_id, step.thought) for step in solution.steps] == [
        ("Addition", "1", "one"),
        ("Check", "2", "two"),
        (FINISH, None, ""),
    ]
    assert solution.final_response == "the answer is 10"
    assert (solution.truncated, solution.notes) == (False, [])


async def test_at_the_limit_the_last_step_is_finish_and_said_to_be_forced() -> None:
    backend = ScriptedBackend(thinking)
    solution = await solved(["Addition"] * 9, backend, max_reasoning_steps=3)
    assert [step.thought_type for step in solution.steps] == ["Addition", "Addition", FINISH]
    (note,) = solution.notes
    assert "stopped at 3 steps (--max_reasoning_steps)" in note
    assert solution.steps[-1].notes == (note,)
    assert backend.calls == 3


async def test_finish_chosen_before_the_limit_is_not_called_forced() -> None:
    solution = await solved(["Addition"], ScriptedBackend(thinking), max_reasoning_steps=3)
    assert [step.thought_type for step in solution.steps] == ["Addition", FINISH]
    assert solution.notes == []


async def test_one_step_at_most_means_the_answer_alone() -> None:
    backend = ScriptedBackend(thinking)
    solution = await solved(["Addition"], backend, max_reasoning_steps=1)
    assert [step.thought_type for step in solution.steps] == [FINISH]
    assert backend.calls == 1


async def test_tokens_are_counted_by_role_and_step(tmp_path: Path) -> None:
    backend = ScriptedBackend(reply)
    entry = await entry_of(tmp_path, backend)
    assert {role: usage.calls for role, usage in entry.usage.items()} == {"planner": 3, "reasoner": 3}
    for role, usage in entry.usage.items():
        asked = [request for request in backend.requests if request.role == role]
        assert usage.prompt_tokens == sum(backend.count_tokens(request.messages) for request in asked)
        assert usage.completion_tokens == backend.meter.by_role[role].usage.completion_tokens
    of_steps = [step.reasoner_usage for step in entry.steps if step.reasoner_usage]
    assert len(of_steps) == 2


async def test_options_come_in_an_order_of_the_problem_and_the_seed() -> None:
    options = [ThoughtType(str(i), f"T{i}", "", 1, f"T{i}") for i in range(8)]
    orders = []
    for given, seed, problem_id in [
        (options, 0, "a"), (options[::-1], 0, "a"), (options, 1, "a"), (options, 0, "b"),
    ]:  # fmt: skip
        seen: list[tuple[str, ...]] = []
        solver = HierarchicalSolver(
            _Noting(seen), Reasoner(ScriptedBackend(thinking), Prompts(), Sampling(), 9, 9), given,
            max_reasoning_steps=2, seed=seed,
        )  # fmt: skip
        await solver.solve(replace(PROBLEM, id=problem_id), Solution())
        orders.append(seen[0])
    assert orders[0] == orders[1]
    assert len({*orders}) == 3
    assert all(order[-1] == FINISH and set(order) == {*orders[0]} for order in orders)


@dataclass
class _Noting(FixedPlanner):
    """Finishes at once, and notes what it could have chosen."""

    seen: list[tuple[str, ...]] = field(default_factory=list)

    async def choose(self, trace: Trace, *, sample: int = 0) -> Choice:
        self.seen.append(trace.choices)
        return Choice(FINISH)


@pytest.mark.parametrize(
    ("call", "types", "thoughts"),
    [
        (0, 0, ()),
        (1, 1, ("",)),
        (2, 1, ("Thought 1 on problem 0.",)),
        (3, 2, ("Thought 1 on problem 0.", "")),
        (5, 3, ("Thought 1 on problem 0.", "Thought 3 on problem 0.")),
    ],
)
async def test_a_failed_call_is_an_error_that_keeps_the_steps_and_is_never_graded(
    tmp_path: Path, call: int, types: int, thoughts: tuple[str, ...]
) -> None:
    graded: list[str] = []
    backend = ScriptedBackend(reply, fail_at={call: ServerError("the server burnt down")}, max_retries=0)
    finished = await run_with(
        config_for(tmp_path, n_rows=1),
        backend,
        change=lambda run: replace(run, verifier=_Spy(run.verifier, graded)),
    )
    (entry,) = finished.results.results
    assert (entry.outcome, entry.is_correct, entry.extracted_answer) == (Outcome.ERROR, None, None)
    assert entry.error is not None
    assert (entry.error.type, entry.error.message) == ("ServerError", "the server burnt down")
    assert (len(entry.thought_types), entry.thoughts) == (types, thoughts)
    assert entry.final_response == ""
    assert graded == []
    spent = sum(usage.calls for usage in entry.usage.values())
    assert spent == call


class _Spy(Verifier):
    """Grades as another does, and notes what it was given."""

    def __init__(self, inner: Verifier, graded: list[str]) -> None:
        self._inner, self._graded = inner, graded

    @property
    def format(self) -> str:  # type: ignore[override]
        return self._inner.format

    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        self._graded.append(text)
        return await self._inner.grade(problem, text, truncated=truncated)

    def check(self, problem: Problem) -> None:
        self._inner.check(problem)


async def test_the_spy_would_have_seen_a_grade(tmp_path: Path) -> None:
    graded: list[str] = []

    def spied(run: Run) -> Run:
        return replace(run, verifier=_Spy(run.verifier, graded))

    await run_with(config_for(tmp_path, n_rows=1), change=spied)
    assert graded == ["So it is \\boxed{10}."]


async def test_a_choice_that_is_none_of_the_options_ends_that_problem_alone(tmp_path: Path) -> None:
    def reply_or_babble(request: Request) -> str:
        babbles = request.choices is not None and number_of(request) == 1
        return "whatever you like" if babbles else reply(request)

    backend = ScriptedBackend(reply_or_babble, max_choice_attempts=2)
    results = (await run_with(config_for(tmp_path), backend)).results.results
    assert [entry.outcome for entry in results if entry.problem_id != "p1"] == [
        *[Outcome.CORRECT, Outcome.CORRECT, Outcome.WRONG, Outcome.CORRECT, Outcome.WRONG]
    ]
    (entry,) = (entry for entry in results if entry.problem_id == "p1")
    assert (entry.outcome, entry.thought_types) == (Outcome.ERROR, ())
    assert entry.error is not None
    assert entry.error.type == "UnparsedChoiceError"
    assert "whatever you like" in entry.error.message
    assert sum(number_of(request) == 1 for request in backend.requests) == 2


def cut_off(text: str) -> Completion:
    return Completion(text, FinishReason.LENGTH, Usage(prompt_tokens=5, completion_tokens=7))


async def test_a_thought_that_was_cut_off_is_noted() -> None:
    backend = ScriptedBackend([cut_off("so far and no"), "whole", "done"])
    solution = await solved(["Addition", "Check"], backend)
    assert solution.steps[0].thought == "so far and no"
    assert solution.steps[0].notes == ("the thought was cut off at 7 tokens",)
    assert solution.steps[1].notes == ()
    assert not solution.truncated


@pytest.mark.parametrize("vanilla", [False, True])
async def test_an_answer_that_was_cut_off_has_the_outcome_truncated(tmp_path: Path, vanilla: bool) -> None:
    def cut(request: Request) -> str | Completion:
        text = reply(request)
        return cut_off("So it is") if text.startswith("So it is") else text

    if vanilla:
        entry = await entry_of(tmp_path, ScriptedBackend(cut), vanilla_baseline=True)
        assert (entry.thoughts, entry.thought_types, entry.steps) == ((), (), ())
    else:
        entry = await entry_of(tmp_path, ScriptedBackend(cut))
    assert (entry.outcome, entry.is_correct) == (Outcome.TRUNCATED, False)
    assert entry.final_response == "So it is"


async def test_vanilla_is_one_call() -> None:
    backend = ScriptedBackend(["the answer is 10"])
    solution = Solution()
    await VanillaSolver(Reasoner(backend, Prompts(), Sampling(), 10, 33)).solve(PROBLEM, solution, sample=2)
    (request,) = backend.requests
    assert (request.role, request.sampling.max_tokens, request.sample_index) == ("reasoner", 33, 2)
    assert solution.final_response == "the answer is 10"
    assert solution.spent["reasoner"].replies == 1


class _Small(ScriptedBackend):
    """A model with little context."""

    def __init__(self, context: int) -> None:
        super().__init__(thinking)
        self._context = context

    @property
    def context_length(self) -> int:
        return self._context


EXAMPLES = {"Addition": [f"example {i} " + "word " * 18 for i in range(5)]}


def tokens_with(n_examples: int) -> int:
    """Of the prompt for the first thought, with some of the examples."""
    messages = Prompts().think(Trace(PROBLEM, (ADD, CHECK)), ADD, EXAMPLES["Addition"][:n_examples])
    return ScriptedBackend(thinking).count_tokens(messages)


ROOM = 10 + 10
"""For the thought itself, and for the one step that may still come."""


@pytest.mark.parametrize("shown", range(6))
@pytest.mark.parametrize("spare", [0, 15])
async def test_examples_that_do_not_fit_are_left_out_and_said(shown: int, spare: int) -> None:
    context = tokens_with(shown) + ROOM + spare
    backend = _Small(context)
    solution = await solved(["Addition"], backend, examples=EXAMPLES, max_reasoning_steps=3)
    prompt = backend.requests[0].messages[-1].content
    assert [f"example {i} " in prompt for i in range(5)] == [i < shown for i in range(5)]
    note = f"{5 - shown} of 5 examples of 'Addition' did not fit the context of {context} tokens"
    assert solution.steps[0].notes == (() if shown == 5 else (note,))


async def test_room_is_kept_for_the_steps_to_come() -> None:
    context = tokens_with(3) + ROOM
    few, many = _Small(context), _Small(context)
    short = await solved(["Addition"], few, examples=EXAMPLES, max_reasoning_steps=2)
    long = await solved(["Addition"], many, examples=EXAMPLES, max_reasoning_steps=8)
    assert few.count_tokens(few.requests[0].messages) > many.count_tokens(many.requests[0].messages)
    assert short.steps[0].notes[0].startswith("2 of 5 examples")
    assert long.steps[0].notes[0].startswith(("4 of 5", "5 of 5"))


async def test_those_who_watch_see_everything_in_order(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    class Watching(Observer):
        def asked(self, problem: Problem, messages: Any) -> None:
            seen.append(("asked", problem.id))

        def chose(self, problem: Problem, name: str) -> None:
            seen.append(("chose", name))

        def thought(self, problem: Problem, text: str) -> None:
            seen.append(("thought", text))

        def finished(self, entry: ResultEntry) -> None:
            seen.append(("finished", entry.problem_id))

    finished = await run_with(config_for(tmp_path, n_rows=1), observer=Watching())
    (entry,) = finished.results.results
    steps: list[tuple[str, str]] = []
    for name, thought in zip(entry.thought_types, entry.thoughts, strict=False):
        steps += [("asked", "p0"), ("chose", name), ("asked", "p0"), ("thought", thought)]
    ending = [("asked", "p0"), ("chose", FINISH), ("asked", "p0"), ("thought", entry.final_response)]
    assert seen == [*steps, *ending, ("finished", "p0")]
