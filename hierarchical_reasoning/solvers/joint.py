"""The loop with one call a step: the model chooses a thought type and writes its thought in the same reply.

The reply is JSON of a schema made for the level, and both halves are the reasoner's: its usage is accounted to that
role, and no planner gives probabilities. A reply that was cut off is no JSON, so it is asked for again and is then an
error on that problem (`UnparsedSchemaError`), never half a thought.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import LabeledExample
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.results.records import StepRecord
from hierarchical_reasoning.solvers.base import Solution, Solver
from hierarchical_reasoning.solvers.hierarchical import record_stop, shuffled
from hierarchical_reasoning.trace import FINISH, Step, Trace
from llm_backends import Completion, FinishReason, Message, Request
from taxonomy.model import ThoughtType

JSON_TOKENS = 64
"""Room for the name of a thought type and the JSON around it, added to that of the thought."""
_LAST_WORDS = ThoughtType("finish", FINISH, "", 0, FINISH)
"""The type of what is thought on finishing, where that is not empty."""


class NextThought(BaseModel):
    """One step, as the model replies with it. `schema_for` narrows `thought_type` to the options of a level."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thought_type: str = Field(description="The approach that comes next.")
    thought: str = Field(description=f"One thought that follows it; empty with {FINISH!r}.")

    @model_validator(mode="after")
    def _is_a_thought(self) -> NextThought:
        if self.thought_type != FINISH and not self.thought.strip():
            raise ValueError(f"the thought is empty, which only goes with {FINISH!r}")
        return self


@lru_cache(maxsize=64)
def schema_for(choices: frozenset[str]) -> type[NextThought]:
    """The schema of a reply. It depends on no order, so that all problems of a level share one, which servers compile
    once."""
    names = (*sorted(choices - {FINISH}), FINISH)
    field = (cast("Any", Literal)[names], NextThought.model_fields["thought_type"])
    return create_model("NextThought", __base__=NextThought, thought_type=cast("Any", field))


class JointSolver(Solver):
    """Thinks in steps of the thought types of one level, one call each."""

    def __init__(
        self,
        reasoner: Reasoner,
        options: Sequence[ThoughtType],
        *,
        max_reasoning_steps: int,
        seed: int,
    ) -> None:
        """
        Args:
            reasoner: whose backend supports schemas; its examples are shown once, in the first message.
            options: the thought types of the level; each problem sees them in an order of its own.
            max_reasoning_steps: choices at most, the last of which is "Finish thinking", chosen or not.
            seed: of the order of the options.
        """
        self._reasoner = reasoner
        self._options = tuple(options)
        self._max_steps = max_reasoning_steps
        self._seed = seed

    async def solve(self, problem: Problem, solution: Solution, *, sample: int = 0) -> None:
        trace = Trace(problem, shuffled(self._options, problem, self._seed))
        examples = self._examples_that_fit(trace, solution)
        prompts = self._reasoner.prompts
        replies: list[str] = []
        for _ in range(self._max_steps - 1):
            text, step = await self._next(trace, prompts.joint(trace, replies, examples), solution, sample)
            replies.append(text)
            if step.thought:
                trace = trace.extended(step)
            if step.thought_type is _LAST_WORDS:
                break
        else:
            record_stop(solution, self._max_steps)
            replies.append(json.dumps({"thought_type": FINISH, "thought": ""}))
        messages = prompts.joint_answer(trace, replies, examples)
        completion = await self._ask(problem, messages, self._reasoner.max_answer_tokens, sample)
        self._reasoner.observer.thought(problem, completion.text)
        solution.spend("reasoner", completion.spent)
        solution.final_response = completion.text
        solution.truncated = completion.finish_reason is FinishReason.LENGTH

    async def _next(
        self, trace: Trace, messages: tuple[Message, ...], solution: Solution, sample: int
    ) -> tuple[str, Step]:
        """The reply to the letter, and the step in it."""
        completion = await self._ask(
            trace.problem,
            messages,
            self._reasoner.max_thought_tokens + JSON_TOKENS,
            sample,
            schema_for(frozenset(trace.choices)),
        )
        reply = cast("NextThought", completion.parsed)
        thought = reply.thought.strip()
        finished = reply.thought_type == FINISH
        option = _LAST_WORDS if finished else trace.option(reply.thought_type)
        self._reasoner.observer.chose(trace.problem, reply.thought_type)
        if thought:
            self._reasoner.observer.thought(trace.problem, thought)
        solution.steps.append(
            StepRecord(
                thought_type=reply.thought_type,
                node_id=None if finished else option.node_id,
                thought=thought,
                planner_probabilities=None,
                planner_usage=None,
                reasoner_usage=solution.spend("reasoner", completion.spent),
            )
        )
        return completion.text, Step(option, thought)

    async def _ask(
        self,
        problem: Problem,
        messages: tuple[Message, ...],
        max_tokens: int,
        sample: int,
        schema: type[NextThought] | None = None,
    ) -> Completion:
        self._reasoner.observer.asked(problem, messages)
        return await self._reasoner.backend.complete(
            Request(
                messages,
                replace(self._reasoner.sampling, max_tokens=max_tokens),
                schema=schema,
                sample_index=sample,
                role="reasoner",
                trace_id=f"{problem.id}/{sample}",
            )
        )

    def _examples_that_fit(self, trace: Trace, solution: Solution) -> list[LabeledExample]:
        """As many as the context holds, in the order shown; what is left out is noted."""
        backend, prompts = self._reasoner.backend, self._reasoner.prompts
        wanted = in_turns(self._reasoner.examples, [option.name for option in self._options])
        context = backend.context_length
        if not wanted or context is None:
            return wanted
        thought = self._reasoner.max_thought_tokens + JSON_TOKENS
        room = context - thought - min(context // 2, max(0, self._max_steps - 2) * thought)
        fitting, too_many = 0, len(wanted) + 1
        while too_many - fitting > 1:
            middle = (fitting + too_many) // 2
            tokens = backend.count_tokens(prompts.joint(trace, (), wanted[:middle]))
            if tokens is None or tokens <= room:
                fitting = middle
            else:
                too_many = middle
        if left_out := len(wanted) - fitting:
            solution.notes.append(
                f"{left_out} of {len(wanted)} examples did not fit the context of {context} tokens; each of the "
                f"{len(self._options)} thought types shows its best {fitting // len(self._options)} or more, as far "
                "as it has them"
            )
        return wanted[:fitting]


def in_turns(examples: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[LabeledExample]:
    """The best example of each name, then the second best of each, and so on; names sorted, so that every problem shows
    the same ones in the same order."""
    in_order = sorted(names)
    rounds = zip_longest(*(examples.get(name, ()) for name in in_order))
    return [
        (name, text)
        for texts in rounds
        for name, text in zip(in_order, texts, strict=True)
        if text is not None
    ]
