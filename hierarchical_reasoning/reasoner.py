"""The reasoner: writes one thought of a type, and the final response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.trace import Step, Trace
from llm_backends import Backend, FinishReason, Message, Request, Sampling, Spent, Usage
from taxonomy.model import ThoughtType


@dataclass(frozen=True)
class Reply:
    """What the reasoner wrote."""

    text: str
    truncated: bool
    """It was cut off by a limit on tokens or by the end of the context."""
    usage: Usage
    spent: Spent


@dataclass(frozen=True)
class Reasoner:
    """Writes thoughts through a backend."""

    backend: Backend
    prompts: Prompts
    sampling: Sampling
    max_thought_tokens: int
    max_answer_tokens: int
    """For the final response of a trace, and for the single call of the vanilla baseline."""
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """In-context examples by thought type name, shown when a chat trace first takes that type, and in every prompt of
    the single style."""
    observer: Observer = field(default_factory=Observer)

    async def think(
        self, trace: Trace, option: ThoughtType, *, steps_left: int, sample: int = 0
    ) -> tuple[Step, Reply, tuple[str, ...]]:
        """Write one thought.

        Args:
            trace: so far.
            option: the thought type to follow.
            steps_left: steps that may still come after this one; room is kept for them.
            sample: which of several independent attempts this is.

        Returns:
            The step, the reply it was made from, and notes on what was left out.
        """
        examples, notes = self._examples_that_fit(trace, option, steps_left)
        messages = self.prompts.think(trace, option, examples)
        reply = await self._ask(trace.problem, messages, self.max_thought_tokens, sample)
        if reply.truncated:
            notes = (*notes, f"the thought was cut off at {reply.usage.completion_tokens} tokens")
        return Step(option, reply.text.strip(), examples), reply, notes

    async def answer(self, trace: Trace, *, sample: int = 0) -> Reply:
        """Write the final response of a trace."""
        return await self._ask(trace.problem, self.prompts.answer(trace), self.max_answer_tokens, sample)

    async def solve(self, problem: Problem, *, sample: int = 0) -> Reply:
        """Solve a problem in one call."""
        return await self._ask(problem, self.prompts.vanilla(problem), self.max_answer_tokens, sample)

    async def _ask(
        self, problem: Problem, messages: tuple[Message, ...], max_tokens: int, sample: int
    ) -> Reply:
        self.observer.asked(problem, messages)
        completion = await self.backend.complete(
            Request(
                messages,
                replace(self.sampling, max_tokens=max_tokens),
                sample_index=sample,
                role="reasoner",
                trace_id=f"{problem.id}/{sample}",
            )
        )
        self.observer.thought(problem, completion.text)
        truncated = completion.finish_reason is FinishReason.LENGTH
        return Reply(completion.text, truncated, completion.usage, completion.spent)

    def _examples_that_fit(
        self, trace: Trace, option: ThoughtType, steps_left: int
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The examples to show now: those of a type not yet taken, as many as the context holds."""
        wanted = tuple(self.examples.get(option.name, ()))
        shown_before = any(step.thought_type == option for step in trace.steps)
        if not wanted or (shown_before and self.prompts.style == "chat"):
            return (), ()
        context = self.backend.context_length
        if context is None:
            return wanted, ()
        reserve = self.max_thought_tokens + min(context // 2, steps_left * self.max_thought_tokens)
        for n in range(len(wanted), -1, -1):
            tokens = self.backend.count_tokens(self.prompts.think(trace, option, wanted[:n]))
            if n == 0 or tokens is None or tokens + reserve <= context:
                break
        left_out = len(wanted) - n
        note = f"{left_out} of {len(wanted)} examples of {option.name!r} did not fit the context of {context} tokens"
        return wanted[:n], (note,) if left_out else ()
