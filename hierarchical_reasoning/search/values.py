"""What is expected of places, learned from the trees of a run as they are finished.

Attempts are taken in groups, in their order. The head learns from the trees of a group when all of them are finished,
in their order, and an attempt begins when the groups before its own are learned from. So what comes of an attempt does
not depend on how many are in flight, and a run that was killed goes on as it would have: it learns again from the trees
that it kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from hierarchical_reasoning.fatal import FATAL
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.search.budget import Budget
from hierarchical_reasoning.search.paid_values import PaidValues, paid_by
from hierarchical_reasoning.solvers.base import Solution
from hierarchical_reasoning.trees import Node, ReasoningTree
from hierarchical_reasoning.values.base import Place, ValueEstimator
from llm_backends import BackendError

if TYPE_CHECKING:
    from hierarchical_reasoning.values.encoders.base import Vectors
    from hierarchical_reasoning.values.learned import LearnedValue

Key = tuple[str, int]
"""A problem's id, and which sample of it."""
Learned = Callable[[ReasoningTree], None]
"""Takes the finished tree of an attempt."""
Pair = tuple[Place, float]


@dataclass
class _Group:
    unfinished: set[int]
    """Positions of attempts."""
    pairs: dict[int, list[Pair]] = field(default_factory=dict)
    """By position."""
    seen: dict[int, Mapping[tuple[str, ...], Vectors]] = field(default_factory=dict)
    """By position, the vectors that were embedded to learn from its tree."""
    learned: asyncio.Event = field(default_factory=asyncio.Event)


class Values:
    """The estimator of a run, and when it learns."""

    def __init__(
        self, make: Callable[[], Awaitable[ValueEstimator]], *, every: int, note: Callable[[str], None]
    ) -> None:
        """
        Args:
            make: the estimator as the run begins with it.
            every: attempts a group; 0: nothing is learned.
            note: takes what the user should know, each thing once.
        """
        self._make = make
        self._note = note
        self._every = every
        self._estimator: ValueEstimator | None = None
        self._positions: dict[Key, int] = {}
        self._groups: list[_Group] = []
        self._from_before: set[int] = set()
        """Positions of attempts that earlier sessions finished."""
        self._one_at_a_time = asyncio.Lock()

    @property
    def estimator(self) -> ValueEstimator:
        assert self._estimator is not None, "`begin` comes first"
        return self._estimator

    def learns_from(self, problem: Problem, sample: int) -> bool:
        """Whether it learns from the tree of an attempt: not from one of the last group, after which nobody asks."""
        at = self._positions.get((problem.id, sample))
        return at is not None and at // self._every < len(self._groups) - 1

    def paid_by(self, budget: Budget, solution: Solution) -> PaidValues | None:
        """The estimator for one search that pays for what it has embedded; None where nothing is to be paid."""
        return paid_by(self.estimator, budget, solution)

    async def begin(
        self,
        attempts: Sequence[tuple[Problem, int]],
        owed: Collection[Key],
        finished: Iterable[ReasoningTree],
    ) -> None:
        """Make the estimator, and learn from what earlier sessions finished.

        Args:
            attempts: of the whole run, in order.
            owed: those that are still to be made.
            finished: the trees of the others.
        """
        self._estimator = await self._make()
        if not self._every:
            return
        self._positions = {(problem.id, sample): at for at, (problem, sample) in enumerate(attempts)}
        for first in range(0, len(attempts), self._every):
            members = range(first, min(first + self._every, len(attempts)))
            due = {at for at in members if (attempts[at][0].id, attempts[at][1]) in owed}
            self._groups.append(_Group(due))
        problems = {problem.id: problem for problem, _ in attempts}
        for tree in finished:
            at = self._positions.get((tree.problem_id, tree.sample or 0))
            if at is not None:
                pairs = pairs_in(tree, problems[tree.problem_id].without_truth())
                self._groups[at // self._every].pairs[at] = pairs
                self._from_before.add(at)
        await self._learn()

    @asynccontextmanager
    async def turn(self, problem: Problem, sample: int) -> AsyncIterator[Learned]:
        """Wait for an attempt's turn; what is yielded takes its tree. An attempt that fails teaches nothing."""
        at = self._positions.get((problem.id, sample))
        if at is None:
            self._say_whether_trained()
            yield lambda tree: None
            return
        number = at // self._every
        for before in self._groups[:number]:
            await before.learned.wait()
        self._say_whether_trained()
        group = self._groups[number]

        def learned(tree: ReasoningTree) -> None:
            group.pairs[at] = pairs_in(tree, problem.without_truth())

        try:
            yield learned
        except Exception:
            await self._finish(at)
            raise
        await self._finish(at)

    async def see(self, paid: PaidValues, problem: Problem, sample: int, pairs: Sequence[Pair]) -> None:
        """Have a search pay for what is embedded to learn from its tree. Where that fails it is tried again when all
        that its group has is learned from."""
        await self._see(paid, self._positions[problem.id, sample], pairs)

    async def _see(self, paid: PaidValues, at: int, pairs: Sequence[Pair]) -> None:
        try:
            self._groups[at // self._every].seen[at] = await paid.see([place for place, _ in pairs])
        except FATAL:
            raise
        except BackendError as error:
            self._note(f"{len(pairs)} places to learn from were not embedded: {error}")

    def _say_whether_trained(self) -> None:
        if not self.estimator.is_trained:
            later = f"; it learns after every {self._every} attempts (--learn_every)" if self._every else ""
            self._note(f"as long as the value head has learned nothing, all places are worth the same{later}")

    async def _finish(self, at: int) -> None:
        self._groups[at // self._every].unfinished.discard(at)
        await self._learn()

    async def _learn(self) -> None:
        """From every group that is finished, as long as those before it are; not from the last, after which nobody
        asks."""
        async with self._one_at_a_time:
            for group in self._groups[:-1]:
                if group.unfinished:
                    return
                if group.learned.is_set():
                    continue
                paid_before = self.paid_by(Budget(), Solution())
                if paid_before is not None:
                    for at in sorted(self._from_before & group.pairs.keys()):  # the cache of replies has them
                        await self._see(paid_before, at, group.pairs[at])
                    for at in sorted(group.seen):
                        cast("LearnedValue", self.estimator).know(group.seen.pop(at))
                pairs = [pair for at in sorted(group.pairs) for pair in group.pairs.pop(at)]
                try:
                    await self.estimator.learn([place for place, _ in pairs], [reward for _, reward in pairs])
                except FATAL:
                    raise
                except BackendError as error:
                    self._note(f"the value head did not learn from {len(pairs)} places: {error}")
                finally:
                    group.learned.set()


def pairs_in(tree: ReasoningTree, problem: Problem) -> list[Pair]:
    """What a finished tree teaches: every place on the way to an answer, the answer's own included, with the path
    reward that the answer had; pruned ones teach too.

    Args:
        tree: its answers are graded, and the reward of a leaf is its path reward.
        problem: without its ground truth.
    """
    nodes = {**tree.nodes, **tree.pruned}
    pairs = []
    for node in sorted(nodes.values(), key=lambda node: node.id):
        if node.kind == "answer" and node.leaf is not None and node.leaf.reward is not None:
            texts = _texts_to(node, nodes)
            pairs += [(Place(problem, texts[:end]), node.leaf.reward) for end in range(1, len(texts) + 1)]
    return pairs


def _texts_to(node: Node, nodes: Mapping[int, Node]) -> tuple[str, ...]:
    """From the first thought to the node."""
    texts = []
    while node.parent is not None:
        texts.append(node.text)
        node = nodes[node.parent]
    return tuple(reversed(texts))
