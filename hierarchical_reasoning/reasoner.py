"""The reasoner: writes one thought of a type, and the final response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.in_context import InContextExamples
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.trace import Step, Trace
from llm_backends import Backend, FinishReason, Message, Request, Sampling, Spent, UnsupportedError, Usage
from taxonomy.model import ThoughtType


@dataclass(frozen=True)
class Drawn:
    """The tokens of a reply, behind those that were put before it."""

    tokens: tuple[int, ...]
    given: int
    """How many of them, from the first, were put there."""
    log_probs: tuple[float, ...]
    """Of the others, at temperature 1."""


@dataclass(frozen=True)
class Reply:
    """What the reasoner wrote."""

    text: str
    truncated: bool
    """It was cut off by a limit on tokens or by the end of the context."""
    usage: Usage
    spent: Spent
    drawn: Drawn | None = None
    """None where they are not known, as outside training."""
    log_probs: tuple[float, ...] | None = None
    """Of its tokens, at temperature 1; None where they were not asked for."""


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
    """In-context examples by thought type name; `InContextExamples` says when they are shown."""
    observer: Observer = field(default_factory=Observer)
    asks_log_probs: bool = False
    """Whether replies come with the log probabilities of their tokens."""

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
        examples, notes = self._in_context.shown(trace, option, steps_left=steps_left)
        messages = self.prompts.think(trace, option, examples)
        request = self._request(trace.problem, messages, self.max_thought_tokens, sample)
        reply = await self._ask(request, trace.problem)
        if reply.truncated:
            notes = (*notes, f"the thought was cut off at {reply.usage.completion_tokens} tokens")
        return Step(option, reply.text.strip(), examples), reply, notes

    async def answer(self, trace: Trace, *, sample: int = 0) -> Reply:
        """Write the final response of a trace."""
        return await self._ask(self.answer_request(trace, sample=sample), trace.problem)

    def answer_request(self, trace: Trace, *, sample: int = 0) -> Request:
        """What `answer` asks."""
        return self._request(trace.problem, self.prompts.answer(trace), self.max_answer_tokens, sample)

    async def solve(self, problem: Problem, *, sample: int = 0) -> Reply:
        """Solve a problem in one call."""
        request = self._request(problem, self.prompts.vanilla(problem), self.max_answer_tokens, sample)
        return await self._ask(request, problem)

    def _request(
        self, problem: Problem, messages: tuple[Message, ...], max_tokens: int, sample: int
    ) -> Request:
        return Request(
            messages,
            replace(self.sampling, max_tokens=max_tokens),
            logprobs=0 if self.asks_log_probs else None,
            sample_index=sample,
            role="reasoner",
            trace_id=f"{problem.id}/{sample}",
        )

    async def _ask(self, request: Request, problem: Problem) -> Reply:
        """
        Raises:
            ConfigError: log probabilities are asked for, and the model gives none.
            BackendError: no reply came.
        """
        self.observer.asked(problem, request.messages)
        try:
            completion = await self.backend.complete(request)
        except UnsupportedError as error:
            if not self.asks_log_probs:
                raise
            raise ConfigError(
                f"the model does not give what --local_reward likelihood reads: {error}; take another --local_reward"
            ) from error
        self.observer.thought(problem, completion.text)
        truncated = completion.finish_reason is FinishReason.LENGTH
        tokens = completion.token_logprobs
        log_probs = None if tokens is None else tuple(token.logprob for token in tokens)
        return Reply(completion.text, truncated, completion.usage, completion.spent, log_probs=log_probs)

    @property
    def _in_context(self) -> InContextExamples:
        return InContextExamples(
            self.examples,
            self.prompts,
            self.max_thought_tokens,
            self.backend.context_length,
            self.backend.count_tokens,
        )
