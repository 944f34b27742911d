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
from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.planners.option_draws import draw_options
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.explorers.base import Grown
from hierarchical_reasoning.training.explorers.option_draws import leaf_shares
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.thought_settings import ThoughtTreeSettings
from hierarchical_reasoning.training.explorers.thought_solutions import solution_of
from hierarchical_reasoning.training.explorers.thought_writing import Fork, ThoughtWriter
from hierarchical_reasoning.training.explorers.thoughts import Thought, add_thoughts, growth
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import ContextLengthError


@dataclass(frozen=True)
class _Branching:
    """A fork, and the leaves that it may have."""

    fork: Fork
    leaves: int
    """At most, below."""
    first_leaf: int
    """The number of the first of them in the tree."""


class ThoughtTreeExplorer:
    """Grows thought trees, many at a time; what one looks like depends on its origin, its problem, the planner and the
    weights alone."""

    def __init__(self, writer: ThoughtWriter, planner: Planner, settings: ThoughtTreeSettings) -> None:
        """
        Args:
            writer: has the model in training write.
            planner: one that gives probabilities; what it chooses itself is not used. It bounds its own calls.
        """
        self._writer = writer
        self._planner = planner
        self._settings = settings
        self.notes: list[str] = []
        """What prompts left out for want of room, each thing once; for the user to see, and for the record."""

    async def grow_problem(self, origin: Origin, problem: Problem) -> Grown:
        """Grow one tree.

        Raises:
            ConfigError: the conversation does not only grow in tokens, or the context has no room for a thought.
            PlannerError: the planner gives no probabilities.
            BackendError: a call failed; the tree's other calls have been cancelled.
        """
        fork = self._writer.begin(origin, problem)
        prompt = fork.question.tokens
        thoughts = await self._grow_from(_Branching(fork, self._settings.max_leaves, first_leaf=0))
        if not thoughts:
            raise ConfigError(
                f"problem {problem.id!r} takes {len(prompt)} tokens and the model's context holds "
                f"{self._writer.sampler.context_length}, which leaves no room for a thought; take shorter problems or "
                "a model with a longer context (--model_id)"
            )
        texts = self._writer.conversation.chat
        tree = ReasoningTree(origin.problem_id, prompt, texts.text(prompt), update=origin.update)
        add_thoughts(tree, thoughts, texts)
        return Grown(tree, growth(thoughts))

    def solution_of(self, tree: ReasoningTree, leaf: int) -> Solution:
        """What the path to a leaf has: its steps, and the final response, which is to be graded."""
        writer = self._writer
        return solution_of(tree, leaf, writer.conversation, writer.sampler.end_ids, self._settings.max_steps)

    async def _grow_from(self, at: _Branching) -> tuple[Thought, ...]:
        """A thought of each type that is taken, and at once all that follow it; none where there is no room."""
        names = await self._choose(at)
        if not names:
            return ()
        shares = leaf_shares(names, at.leaves)
        firsts = accumulate(shares[:-1], initial=at.first_leaf)
        thoughts = await all_or_none(
            [
                self._thought(at.fork, name, leaves, first)
                for name, leaves, first in zip(names, shares, firsts, strict=True)
            ]
        )
        return tuple(thought for thought in thoughts if thought is not None)

    async def _choose(self, at: _Branching) -> Sequence[str]:
        """The options taken, in the order of drawing; none where the question does not fit the planner's context."""
        settings, fork, trace = self._settings, at.fork, at.fork.trace
        if len(trace.steps) == settings.max_steps - 1:
            return (FINISH,)
        try:
            choice = await self._planner.choose(trace, sample=at.first_leaf)
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
            min(wanted, at.leaves),
            settings.planner_temperature,
            lambda name: fork.origin.uniform(f"{fork.place}/{numbers[name]}"),
        )

    async def _thought(self, fork: Fork, name: str, leaves: int, first_leaf: int) -> Thought | None:
        """None where the context has no room for it."""
        trace = fork.trace
        place = f"{fork.place}/{trace.choices.index(name)}"
        if name == FINISH:
            written = await self._writer.answer(fork, place)
        else:
            steps_left = self._settings.max_steps - 2 - len(trace.steps)
            written = await self._writer.think(fork, trace.option(name), place, steps_left=steps_left)
        if written is None:
            return None
        self.notes.extend(note for note in written.notes if note not in self.notes)
        after = written.fork
        children = () if after is None else await self._grow_from(_Branching(after, leaves, first_leaf))
        return Thought(name, written.given, written.stream, written.n_kept, children)
