"""The calls that make nodes: options, thoughts and answers of many nodes, each kind in flight together.

Nodes are added in the order in which they were asked for, whichever call ends first, so that a tree does not depend on
timing. A call that fails, or that the budget refuses, makes no node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.planners.base import Choice, Planner
from hierarchical_reasoning.planners.untyped import UNTYPED
from hierarchical_reasoning.reasoner import Reply
from hierarchical_reasoning.results.records import StepRecord, TokenUsage
from hierarchical_reasoning.search.branching import Branch, chosen, drawn, uniform_numbers
from hierarchical_reasoning.search.calls import Calls
from hierarchical_reasoning.search.grown import Answer, Grown, Thought
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.trace import FINISH, Step, Trace
from hierarchical_reasoning.trees import Scores
from taxonomy.model import ThoughtType

SAMPLES_APART = 10_000
"""Between the sample numbers of copies of one request; a run has no more samples of a problem."""


@dataclass(frozen=True)
class Drawing:
    """How a planner's options are drawn."""

    sample: int
    """Which of several independent attempts this is."""
    temperature: float
    """Options are drawn in proportion to p^(1/temperature); 0: the likeliest."""
    seed: int


@dataclass(frozen=True)
class Ask:
    """A node that is to be made: behind which thought, and of which type; "Finish thinking" is an answer."""

    thought: Thought
    branch: Branch
    why: str = ""
    """Of an answer that no planner chose."""


@dataclass(frozen=True)
class Made:
    """New nodes."""

    thoughts: Sequence[Thought]
    answers: Sequence[Answer]


@dataclass(frozen=True)
class _Written:
    reply: Reply
    step: Step | None
    """None for an answer."""
    notes: tuple[str, ...] = ()


class Thinker(Protocol):
    """Writes thoughts and answers: a `Reasoner`, or in training what draws their tokens."""

    @property
    def observer(self) -> Observer: ...

    async def think(
        self, trace: Trace, option: ThoughtType, *, steps_left: int, sample: int = 0
    ) -> tuple[Step, Reply, tuple[str, ...]]:
        """As `Reasoner.think`."""

    async def answer(self, trace: Trace, *, sample: int = 0) -> Reply:
        """As `Reasoner.answer`."""


class Expander:
    """Makes nodes of one search."""

    def __init__(
        self,
        planner: Planner | None,
        reasoner: Thinker,
        settings: SearchSettings,
        drawing: Drawing,
        calls: Calls,
    ) -> None:
        """
        Args:
            planner: None: thoughts have no type, and none is asked.
        """
        self._planner = planner
        self._reasoner = reasoner
        self._settings = settings
        self._drawing = drawing
        self._calls = calls
        self.is_full = False
        """Nodes were left out, since the tree has as many as it may."""
        self.notes: list[str] = []

    async def branches(
        self, thoughts: Sequence[Thought], widths: Mapping[int, int]
    ) -> dict[int, list[Branch]]:
        """The children that thoughts are to have, by the thoughts' ids; none where the planner's call failed."""
        if self._planner is None:
            return {
                thought.id: [Branch(UNTYPED.name, copy=copy) for copy in range(widths[thought.id])]
                for thought in thoughts
            }
        found: dict[int, list[Branch]] = {}
        without: list[tuple[Thought, Choice]] = []
        for thought, choice in await self._choose([(thought, 0) for thought in thoughts]):
            if choice.probabilities is None:
                without.append((thought, choice))
                continue
            draw = self._drawing
            uniform = uniform_numbers(draw.seed, thought.trace.problem.id, draw.sample, thought.place)
            found[thought.id] = drawn(
                choice,
                widths[thought.id],
                draw.temperature,
                uniform,
                repeat_types=self._settings.repeat_types,
            )
        if without:
            found |= await self._by_asking_again(without, widths)
        for thought in thoughts:
            for branch in found.get(thought.id, ()):
                self._reasoner.observer.chose(thought.trace.problem, branch.name)
        return found

    async def _by_asking_again(
        self, first: Sequence[tuple[Thought, Choice]], widths: Mapping[int, int]
    ) -> dict[int, list[Branch]]:
        repeats = self._settings.repeat_types
        note = (
            "the planner gives no probabilities of thought types: it was asked as often as a node may have children, "
            f"and what it chose was followed, each thought type {'as often' if repeats else 'once'}"
        )
        if note not in self.notes:
            self.notes.append(note)
        asked = [(thought, copy) for thought, _ in first for copy in range(1, widths[thought.id])]
        choices = {thought.id: [choice] for thought, choice in first}
        for thought, choice in await self._choose(asked):
            choices[thought.id].append(choice)
        return {node: chosen(all_of_it, repeat_types=repeats) for node, all_of_it in choices.items()}

    async def _choose(self, asked: Sequence[tuple[Thought, int]]) -> list[tuple[Thought, Choice]]:
        assert self._planner is not None, "a planner is asked"
        choices = await self._calls.all(
            [f"node {thought.id} got no thought type" for thought, _ in asked],
            [self._planner.choose(thought.trace, sample=self._sample(copy)) for thought, copy in asked],
        )
        pairs = zip(asked, choices, strict=True)
        return [(thought, choice) for (thought, _), choice in pairs if choice is not None]

    async def write(self, grown: Grown, asks: Sequence[Ask]) -> Made:
        """Make nodes, as many as the tree may have; room for one answer is kept as long as there is none."""
        room = self._settings.max_nodes - grown.n_nodes
        if not grown.answers and any(ask.branch.name != FINISH for ask in asks):
            room -= 1
        self.is_full = self.is_full or len(asks) > room
        asks = asks[: max(0, room)]
        written = await self._calls.all(
            [f"{ask.branch.name!r} after node {ask.thought.id} failed" for ask in asks],
            [self._written(ask) for ask in asks],
        )
        thoughts, answers = [], []
        for ask, found in zip(asks, written, strict=True):
            if found is None:
                continue
            scores, reply = Scores(prior=ask.branch.prior), found.reply
            if found.step is None:
                step = _record(ask, found, "")
                answers.append(
                    grown.add_answer(
                        ask.thought,
                        reply.text,
                        step,
                        scores,
                        truncated=reply.truncated,
                        drawn=reply.drawn,
                        log_probs=reply.log_probs,
                    )
                )
                continue
            trace = ask.thought.trace.extended(found.step)
            place = f"{ask.thought.place}/{ask.branch.name}#{ask.branch.copy}"
            step = _record(ask, found, found.step.thought)
            thoughts.append(
                grown.add_thought(ask.thought, trace, place, step, scores, reply.drawn, reply.log_probs)
            )
        return Made([thought for thought in thoughts if not _said_before(grown, thought)], answers)

    async def _written(self, ask: Ask) -> _Written:
        trace, sample = ask.thought.trace, self._sample(ask.branch.copy)
        if ask.branch.name == FINISH:
            return _Written(await self._reasoner.answer(trace, sample=sample), None)
        step, reply, notes = await self._reasoner.think(
            trace,
            trace.option(ask.branch.name),
            steps_left=self._settings.max_depth - 1 - ask.thought.depth,
            sample=sample,
        )
        return _Written(reply, step, notes)

    def _sample(self, copy: int) -> int:
        """A number that no other copy of a request has, in this attempt or another: so the cache tells them apart."""
        return self._drawing.sample + SAMPLES_APART * copy


def _record(ask: Ask, found: _Written, thought: str) -> StepRecord:
    choice, name = ask.branch.choice, ask.branch.name
    typed = found.step is not None and found.step.thought_type != UNTYPED
    planned = None if choice is None or choice.spent is None else TokenUsage.of(choice.spent)
    return StepRecord(
        thought_type=name,
        node_id=ask.thought.trace.option(name).node_id if typed else None,
        thought=thought,
        planner_probabilities=dict(choice.probabilities) if choice and choice.probabilities else None,
        planner_usage=planned,
        reasoner_usage=TokenUsage.of(found.reply.spent) if found.step is not None else None,
        truncated=found.reply.truncated and found.step is not None,
        notes=(*found.notes, ask.why) if ask.why else found.notes,
    )


def _said_before(grown: Grown, thought: Thought) -> bool:
    """Whether a sibling of the same type says the same; then the later one is pruned."""
    node = grown.tree.node(thought.id)
    for sibling in grown.tree.siblings(thought.id):
        other = grown.tree.node(sibling)
        if sibling < thought.id and (other.thought_type, other.text) == (node.thought_type, node.text):
            grown.prune(thought.id, f"the same thought as node {sibling}")
            return True
    return False
