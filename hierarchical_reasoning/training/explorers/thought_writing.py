"""Thoughts and answers drawn token by token, each behind the whole path above it, as inference reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchical_reasoning.in_context import InContextExamples
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoner import Drawn
from hierarchical_reasoning.trace import Step, Trace
from hierarchical_reasoning.training.explorers.base import MAX_STREAMS
from hierarchical_reasoning.training.explorers.conversation import Conversation, Question
from hierarchical_reasoning.training.explorers.origin import Origin
from llm_backends import Limits
from llm_backends.token_streams import StreamSettings, TokenSampler, TokenStream
from taxonomy.model import ThoughtType


@dataclass(frozen=True)
class Fork:
    """Where a planner chooses."""

    origin: Origin
    place: str
    """In the tree: the numbers of the options taken."""
    trace: Trace
    question: Question
    path: tuple[int, ...]
    """The tokens from the first of the prompt to the last that is in the tree."""
    put: tuple[int, ...]
    """What follows these up to the end of the question."""


@dataclass(frozen=True)
class Written:
    """What a model wrote, and what stands before it."""

    given: tuple[int, ...]
    """What stands between the thought before and this one."""
    stream: TokenStream
    n_kept: int
    """How many of the stream's tokens are in the tree."""
    text: str
    fork: Fork | None
    """Where the path goes on; None behind an answer."""
    notes: tuple[str, ...] = ()

    @property
    def drawn(self) -> Drawn:
        """As it stands in the tree."""
        return Drawn(
            tokens=self.given + self.stream.tokens[: self.n_kept],
            given=len(self.given),
            log_probs=self.stream.log_probs[: self.n_kept],
        )


class ThoughtWriter:
    """Has the model in training write, many streams at a time."""

    def __init__(
        self,
        sampler: TokenSampler,
        conversation: Conversation,
        sampling: StreamSettings,
        *,
        max_thought_tokens: int,
        max_answer_tokens: int,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        """
        Args:
            max_streams: calls to the sampler at once, of all trees together.
        """
        self.sampler = sampler
        self.conversation = conversation
        self._sampling = sampling
        self._max_thought_tokens = max_thought_tokens
        self._max_answer_tokens = max_answer_tokens
        self._limits = Limits(max_streams)
        self._examples = InContextExamples(
            conversation.examples,
            conversation.prompts,
            max_thought_tokens,
            sampler.context_length,
            lambda messages: len(conversation.chat.prompt_ids(messages)),
        )

    def begin(self, origin: Origin, problem: Problem) -> Fork:
        """A path without a thought."""
        trace = self.conversation.begin(problem)
        question = self.conversation.choosing(trace)
        return Fork(origin, "", trace, question, question.tokens, ())

    async def think(self, fork: Fork, option: ThoughtType, place: str, *, steps_left: int) -> Written | None:
        """Write a thought; None where the context has no room for one.

        Args:
            place: where it is in the tree.
            steps_left: steps that may still come after this one; room is kept for them.
        """
        talk, trace = self.conversation, fork.trace
        examples, notes = self._examples.shown(trace, option, steps_left=steps_left)
        asked = talk.thinking(trace, option, examples)
        given = fork.put + talk.put_by_choice(fork.question, asked)
        stream = await self._draw(fork, place, given, self._max_thought_tokens)
        if stream is None:
            return None
        n_written = len(stream.tokens) - int(stream.ended)
        text = talk.chat.text(stream.tokens[:n_written]).strip()
        extended = trace.extended(Step(option, text, examples))
        question = talk.choosing(extended)
        put = talk.put_behind_reply(asked, question)
        # The end of the reply is kept where the template writes it, too.
        n_kept = n_written + int(stream.tokens[n_written:] == put[:1])
        path = fork.path + given + stream.tokens[:n_kept]
        after = Fork(fork.origin, place, extended, question, path, put[n_kept - n_written :])
        return Written(given, stream, n_kept, text, after, tuple(notes))

    async def answer(self, fork: Fork, place: str) -> Written | None:
        """Write the final answer; None where the context has no room for one."""
        asked = self.conversation.answering(fork.trace)
        given = fork.put + self.conversation.put_by_choice(fork.question, asked)
        stream = await self._draw(fork, place, given, self._max_answer_tokens)
        if stream is None:
            return None
        n_written = len(stream.tokens) - int(stream.ended)
        text = self.conversation.chat.text(stream.tokens[:n_written])
        return Written(given, stream, len(stream.tokens), text, None)

    async def _draw(self, fork: Fork, place: str, given: Sequence[int], wanted: int) -> TokenStream | None:
        """Up to `wanted` tokens, or what the context leaves; None where it leaves none."""
        prefix = fork.path + tuple(given)
        context = self.sampler.context_length
        room = wanted if context is None else min(wanted, context - len(prefix))
        if room < 1:
            return None
        async with self._limits.here().slot():
            return await self.sampler.draw(
                prefix,
                self._sampling,
                seed=fork.origin.stream_seed(place),
                max_new_tokens=room,
                name=fork.origin.name(place),
                after=fork.origin.name(fork.place) if fork.place else None,
            )
