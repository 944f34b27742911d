"""Trees that a search grows (HATO): the very search of inference, over the tokens that the model in training draws.

Nothing in it sees the ground truth, so that what is learned from is what inference would meet; the caller grades the
answers afterwards. Thoughts below which no answer came are pruned at the end, since nothing is known of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.planners.base import Planner
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoner import Reply
from hierarchical_reasoning.rewards.base import LocalReward
from hierarchical_reasoning.search.appraisal import Appraisal, Appraisers
from hierarchical_reasoning.search.budget import Budget, Cost
from hierarchical_reasoning.search.calls import Calls
from hierarchical_reasoning.search.expander import SAMPLES_APART, Drawing, Expander
from hierarchical_reasoning.search.grown import Grown as Searched
from hierarchical_reasoning.search.search import Search
from hierarchical_reasoning.search.selection import selected
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.trace import FINISH, Step, Trace
from hierarchical_reasoning.training.explorers.base import Grown, Growth
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.thought_solutions import solution_of
from hierarchical_reasoning.training.explorers.thought_writing import Fork, ThoughtWriter, Written
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.values.base import ValueEstimator
from hierarchical_reasoning.verifiers import Verifier
from llm_backends import ContextLengthError, Spent, Usage
from taxonomy.model import ThoughtType

STEPS_FLAG = "--max_depth"
_NEVER_ANSWERED = "no answer came below it"


@dataclass(frozen=True)
class SearchTreeSettings:
    """How trees are searched."""

    search: SearchSettings
    planner_temperature: float = 1.0
    """Thought types are drawn in proportion to p^(1/temperature); 0 takes the likeliest."""


class SearchTreeExplorer:
    """Grows trees, many at a time; what one looks like depends on its origin, its problem, the planner, what values
    have learned, and the weights alone."""

    def __init__(
        self,
        writer: ThoughtWriter,
        planner: Planner,
        verifier: Verifier,
        settings: SearchTreeSettings,
        values: ValueEstimator,
        local: LocalReward | Literal["prior", "value"] = "prior",
    ) -> None:
        """
        Args:
            writer: has the model in training write.
            verifier: finds answers in texts.
            values: say what thoughts are worth; they learn between updates alone.
            local: as of `Appraisers`. Where a call of it fails, it raises what ends the run.
        """
        self._writer = writer
        self._planner = planner
        self._verifier = verifier
        self._settings = settings
        self._values = values
        self._local = local
        self.notes: list[str] = []
        """What was done otherwise than asked, each thing once."""

    async def grow_problem(self, origin: Origin, problem: Problem) -> Grown:
        """Grow one tree.

        Raises:
            ConfigError: the conversation does not only grow in tokens.
            BackendError: no answer came, for this reason.
        """
        settings, asked = self._settings.search, problem.without_truth()
        start = self._writer.begin(origin, asked)
        thinker = _Streams(self._writer, start)
        notes: list[str] = []
        calls = Calls(notes)
        drawing = Drawing(0, self._settings.planner_temperature, origin.stream_seed("search"))
        expander = Expander(self._planner, thinker, settings, drawing, calls)
        by = Appraisers(self._verifier, self._local, self._values)
        grown = Searched(start.trace, settings.weights, update=origin.update, prompt=start.question.tokens)
        search = Search(grown, settings, expander, Appraisal(settings, by, calls), Budget(), calls)
        await search.run(Cost())
        _prune_what_was_not_answered(grown)
        chosen = selected(grown, settings.select, seed=origin.name("vote"))
        grown.tree.choose(None if chosen is None else chosen.id)
        self.notes += [note for note in (*notes, *expander.notes) if note not in self.notes]
        kept = sum(node.drawn for node in grown.tree.nodes.values())
        growth = replace(thinker.growth, dropped_tokens=thinker.growth.generated_tokens - kept)
        return Grown(grown.tree, growth)

    def solution_of(self, tree: ReasoningTree, leaf: int) -> Solution:
        """What the path to a leaf has: its steps, and the final response, which is to be graded."""
        writer, steps = self._writer, self._settings.search.max_depth + 1
        ends = writer.sampler.end_ids
        return solution_of(tree, leaf, writer.conversation, ends, steps, steps_flag=STEPS_FLAG)


class _Streams:
    """The `Thinker` of one tree: every reply is a stream behind the tokens of its path."""

    def __init__(self, writer: ThoughtWriter, start: Fork) -> None:
        self.observer = Observer()
        self.growth = Growth(0, 0)
        self._writer = writer
        self._start = start
        self._forks: dict[int, tuple[Step, Fork]] = {}
        """By the identity of a trace's last step, which is kept with it so that no other step takes it over."""

    async def think(
        self, trace: Trace, option: ThoughtType, *, steps_left: int, sample: int = 0
    ) -> tuple[Step, Reply, tuple[str, ...]]:
        fork = self._fork(trace)
        place = self._place(fork, option.name, sample)
        written = await self._writer.think(fork, option, place, steps_left=steps_left)
        reply = self._reply(fork, written)
        assert written is not None
        assert written.fork is not None, "a path goes on behind a thought"
        step = written.fork.trace.steps[-1]
        self._forks[id(step)] = step, written.fork
        notes = written.notes
        if reply.truncated:
            notes = (*notes, f"the thought was cut off at {len(written.stream.tokens)} tokens")
        return step, reply, notes

    async def answer(self, trace: Trace, *, sample: int = 0) -> Reply:
        fork = self._fork(trace)
        return self._reply(fork, await self._writer.answer(fork, self._place(fork, FINISH, sample)))

    def _fork(self, trace: Trace) -> Fork:
        return self._forks[id(trace.steps[-1])][1] if trace.steps else self._start

    def _place(self, fork: Fork, name: str, sample: int) -> str:
        return f"{fork.place}/{fork.trace.choices.index(name)}#{sample // SAMPLES_APART}"

    def _reply(self, fork: Fork, written: Written | None) -> Reply:
        if written is None:
            raise ContextLengthError(
                f"the {len(fork.path) + len(fork.put)} tokens of a path leave no room for what comes next"
            )
        n_drawn = len(written.stream.tokens)
        self.growth += Growth(streams=1, generated_tokens=n_drawn)
        usage = Usage(len(fork.path) + len(written.given), completion_tokens=n_drawn)
        drawn = written.drawn
        return Reply(written.text, not written.stream.ended, usage, Spent(1, usage), drawn, drawn.log_probs)


def _prune_what_was_not_answered(grown: Searched) -> None:
    tree = grown.tree
    for node in list(tree.walk())[1:]:
        if node in tree.nodes and not grown.visits(node):
            grown.prune(node, _NEVER_ANSWERED)
