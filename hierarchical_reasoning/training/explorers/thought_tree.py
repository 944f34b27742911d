"""Trees that branch where the planner chooses: the children of a thought are thoughts of different types.

A path is the conversation that inference has (`solvers.HierarchicalSolver`): a planner picks the thought type, the
model in training writes the thought, until "Finish thinking" and the final answer. What a planner picked, and the turns
between thoughts, are given tokens; the model drew the others, and learns from them alone. The planner is not trained.

An end token that the chat template does not write is dropped behind a thought, as inference drops it. A path that the
context leaves no room to go on in ends there, without an answer, where inference would end in an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from hierarchical_reasoning.errors import ConfigError, PlannerError
from hierarchical_reasoning.in_context import InContextExamples
from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.trace import FINISH, Step, Trace
from hierarchical_reasoning.training.explorers.base import MAX_STREAMS, Grown
from hierarchical_reasoning.training.explorers.conversation import Conversation, Question
from hierarchical_reasoning.training.explorers.option_draws import draw_options, leaf_shares
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.thought_settings import ThoughtTreeSettings
from hierarchical_reasoning.training.explorers.thought_solutions import solution_of
from hierarchical_reasoning.training.explorers.thoughts import Thought, add_thoughts, growth
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import ContextLengthError, Limits
from llm_backends.token_streams import StreamSettings, TokenSampler, TokenStream


@dataclass(frozen=True)
class _Fork:
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
    leaves: int
    """At most, below."""
    first_leaf: int
    """The number of the first of them in the tree."""


class ThoughtTreeExplorer:
    """Grows thought trees, many at a time; what one looks like depends on its origin, its problem, the planner and the
    weights alone."""

    def __init__(
        self,
        sampler: TokenSampler,
        planner: Planner,
        conversation: Conversation,
        sampling: StreamSettings,
        settings: ThoughtTreeSettings,
        *,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        """
        Args:
            sampler: draws from the model in training.
            planner: one that gives probabilities; what it chooses itself is not used. It bounds its own calls.
            max_streams: calls to the sampler at once, of all trees together.
        """
        self._sampler = sampler
        self._planner = planner
        self._conversation = conversation
        self._sampling = sampling
        self._settings = settings
        self._limits = Limits(max_streams)
        self.notes: list[str] = []
        """What prompts left out for want of room, each thing once; for the user to see, and for the record."""
        self._examples = InContextExamples(
            conversation.examples,
            conversation.prompts,
            settings.max_thought_tokens,
            sampler.context_length,
            lambda messages: len(conversation.chat.prompt_ids(messages)),
        )

    async def grow_problem(self, origin: Origin, problem: Problem) -> Grown:
        """Grow one tree.

        Raises:
            ConfigError: the conversation does not only grow in tokens, or the context has no room for a thought.
            PlannerError: the planner gives no probabilities.
            BackendError: a call failed; the tree's other calls have been cancelled.
        """
        trace = self._conversation.begin(problem)
        prompt = self._conversation.choosing(trace)
        root = _Fork(origin, "", trace, prompt, prompt.tokens, (), self._settings.max_leaves, first_leaf=0)
        thoughts = await self._grow_from(root)
        if not thoughts:
            raise ConfigError(
                f"problem {problem.id!r} takes {len(prompt.tokens)} tokens and the model's context holds "
                f"{self._sampler.context_length}, which leaves no room for a thought; take shorter problems or a model "
                "with a longer context (--model_id)"
            )
        texts = self._conversation.chat
        tree = ReasoningTree(
            origin.problem_id, prompt.tokens, texts.text(prompt.tokens), update=origin.update
        )
        add_thoughts(tree, thoughts, texts)
        return Grown(tree, growth(thoughts))

    def solution_of(self, tree: ReasoningTree, leaf: int) -> Solution:
        """What the path to a leaf has: its steps, and the final response, which is to be graded."""
        return solution_of(tree, leaf, self._conversation, self._sampler.end_ids, self._settings.max_steps)

    async def _grow_from(self, fork: _Fork) -> tuple[Thought, ...]:
        """A thought of each type that is taken, and at once all that follow it; none where there is no room."""
        names = await self._choose(fork)
        if not names:
            return ()
        shares = leaf_shares(names, fork.leaves)
        firsts = accumulate(shares[:-1], initial=fork.first_leaf)
        thoughts = await all_or_none(
            [
                self._thought(fork, name, leaves, first)
                for name, leaves, first in zip(names, shares, firsts, strict=True)
            ]
        )
        return tuple(thought for thought in thoughts if thought is not None)

    async def _choose(self, fork: _Fork) -> Sequence[str]:
        """The options taken, in the order of drawing; none where the question does not fit the planner's context."""
        settings, trace = self._settings, fork.trace
        if len(trace.steps) == settings.max_steps - 1:
            return (FINISH,)
        try:
            choice = await self._planner.choose(trace, sample=fork.first_leaf)
        except ContextLengthError:
            if not trace.steps:
                raise
            return ()
        if choice.probabilities is None:
            raise PlannerError(
                f"{type(self._planner).__name__} gives no probabilities of thought types, and thought trees draw by "
                "them; take a planner or a backend that gives them"
            )
        wanted = settings.branching_factor if len(trace.steps) < settings.branching_depth else 1
        numbers = {name: number for number, name in enumerate(trace.choices)}
        return draw_options(
            choice.probabilities,
            min(wanted, fork.leaves),
            settings.planner_temperature,
            lambda name: fork.origin.uniform(f"{fork.place}/{numbers[name]}"),
        )

    async def _thought(self, fork: _Fork, name: str, leaves: int, first_leaf: int) -> Thought | None:
        """None where the context has no room for it."""
        settings, talk, trace = self._settings, self._conversation, fork.trace
        place = f"{fork.place}/{trace.choices.index(name)}"
        if name == FINISH:
            asked = talk.answering(trace)
            given = fork.put + talk.put_by_choice(fork.question, asked)
            stream = await self._draw(fork, place, given, settings.max_answer_tokens)
            return None if stream is None else Thought(name, given, stream, len(stream.tokens), ())

        option = trace.option(name)
        steps_left = settings.max_steps - 2 - len(trace.steps)
        examples, notes = self._examples.shown(trace, option, steps_left=steps_left)
        self.notes.extend(note for note in notes if note not in self.notes)
        asked = talk.thinking(trace, option, examples)
        given = fork.put + talk.put_by_choice(fork.question, asked)
        stream = await self._draw(fork, place, given, settings.max_thought_tokens)
        if stream is None:
            return None
        n_written = len(stream.tokens) - int(stream.ended)
        text = talk.chat.text(stream.tokens[:n_written]).strip()
        extended = trace.extended(Step(option, text, examples))
        question = talk.choosing(extended)
        put = talk.put_behind_reply(asked, question)
        n_kept = n_written + int(
            stream.tokens[n_written:] == put[:1]
        )  # the end that the template writes, too
        path = fork.path + given + stream.tokens[:n_kept]
        children = await self._grow_from(
            _Fork(fork.origin, place, extended, question, path, put[n_kept - n_written :], leaves, first_leaf)
        )
        return Thought(name, given, stream, n_kept, children)

    async def _draw(self, fork: _Fork, place: str, given: tuple[int, ...], wanted: int) -> TokenStream | None:
        """Up to `wanted` tokens, or what the context leaves; None where it leaves none."""
        prefix = fork.path + given
        context = self._sampler.context_length
        room = wanted if context is None else min(wanted, context - len(prefix))
        if room < 1:
            return None
        async with self._limits.here().slot():
            return await self._sampler.draw(
                prefix,
                self._sampling,
                seed=fork.origin.stream_seed(place),
                max_new_tokens=room,
                name=fork.origin.name(place),
                after=fork.origin.name(fork.place) if fork.place else None,
            )
