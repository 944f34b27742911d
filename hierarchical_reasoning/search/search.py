"""The one loop of all searches: a strategy names nodes, they are answered early or expanded, what came is appraised,
and what promises too little is dropped; until nothing is left to expand, an answer is proven, or a bound is reached.

A search ends with an answer: room for one is kept in every budget until there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.search.appraisal import Appraisal
from hierarchical_reasoning.search.branching import Branch, width
from hierarchical_reasoning.search.budget import Budget, BudgetSpentError, Cost
from hierarchical_reasoning.search.calls import Calls
from hierarchical_reasoning.search.expander import Ask, Expander, Made
from hierarchical_reasoning.search.grown import Grown, Thought
from hierarchical_reasoning.search.pruning import prune
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.search.strategies import STRATEGIES
from hierarchical_reasoning.trace import FINISH


class Search:
    """One problem's search. What it does depends on its problem, sample, settings and replies alone, and not on which
    of the calls in flight ends first."""

    def __init__(
        self,
        grown: Grown,
        settings: SearchSettings,
        expander: Expander,
        appraisal: Appraisal,
        budget: Budget,
        calls: Calls,
    ) -> None:
        assert settings.search is not None, "a search has a strategy"
        self.grown = grown
        self.ended = ""
        """Why it ended."""
        self._settings = settings
        self._strategy = STRATEGIES[settings.search](settings)
        self._expander = expander
        self._appraisal = appraisal
        self._budget = budget
        self._calls = calls

    async def run(self, most_of_answer: Cost) -> None:
        """Grow the tree to its end.

        Args:
            most_of_answer: what answering the problem without a thought can take at most.

        Raises:
            ConfigError: the budget has no room for that.
            UsageError, BackendError: what ends a run; or no answer came, for this reason.
        """
        try:
            self._budget.keep(most_of_answer)
        except BudgetSpentError as error:
            raise ConfigError(f"there is no room for a single answer: {error}") from error
        while not self._over():
            batch = self._strategy.next(self.grown)
            for node, why in batch.drop.items():
                self.grown.prune(node, why)
            if not batch.expand:
                self.ended = "nothing is left to expand"
                break
            thoughts = [self.grown.thoughts[node] for node in batch.expand]
            await self._answer_early(thoughts)
            if not self.grown.is_proven:
                await self._expand(thoughts)
                prune(self.grown, self._settings)
        if not self.grown.live_answers:
            await self._answer_what_promises_most()

    def _over(self) -> bool:
        if self.grown.is_proven:
            self.ended = "an answer is proven right"
        elif self._expander.is_full:
            self.ended = f"--max_nodes is {self._settings.max_nodes}, and the tree has no room for more"
        elif self._calls.refused is not None:
            self.ended = self._calls.refused
        return bool(self.ended)

    async def _answer_early(self, thoughts: Sequence[Thought]) -> None:
        """Answer the thoughts of which enough is expected, before they are expanded."""
        threshold, grown = self._settings.verification_threshold, self.grown
        early = [
            thought
            for thought in thoughts
            if 0 < thought.depth < self._settings.max_depth
            and max(grown.value(thought.id).value, grown.promise(thought.id)) >= threshold
        ]
        why = f"answered early, as enough is expected of it (--verification_threshold {threshold:g})"
        await self._add(self._answers(early, why))

    async def _expand(self, thoughts: Sequence[Thought]) -> None:
        deepest = [thought for thought in thoughts if thought.depth == self._settings.max_depth]
        others = [thought for thought in thoughts if thought.depth < self._settings.max_depth]
        widths = {thought.id: width(self.grown, thought.id, self._settings) for thought in others}
        branches = await self._expander.branches(others, widths)
        asks = self._answers(deepest, f"answered after {self._settings.max_depth} thoughts (--max_depth)")
        if self._strategy.rolls_out:
            asks += self._answers([thought for thought in others if thought.depth], "answered as a rollout")
        answered = {ask.thought.id for ask in asks}
        for thought in others:
            for branch in branches.get(thought.id, ()):
                if branch.name != FINISH or (
                    thought.id not in answered and not self.grown.is_answered(thought.id)
                ):
                    asks.append(Ask(thought, branch))
        for thought in thoughts:
            self.grown.open.pop(thought.id)
        await self._add(asks)

    def _answers(self, thoughts: Sequence[Thought], why: str) -> list[Ask]:
        """An answer of each that has none."""
        without = [thought for thought in thoughts if not self.grown.is_answered(thought.id)]
        return [Ask(thought, Branch(FINISH), why) for thought in without]

    async def _add(self, asks: Sequence[Ask]) -> None:
        """Make nodes, and say what they and all others are worth now."""
        if not asks:
            return
        made = await self._expander.write(self.grown, asks)
        copies = range(self._settings.answers_sampled)
        why = "one of the answers that tell how uncertain the thought is"
        sampled = [
            Ask(thought, Branch(FINISH, copy=copy), why) for thought in made.thoughts for copy in copies
        ]
        if sampled:
            more = await self._expander.write(self.grown, sampled)
            made = Made(made.thoughts, [*made.answers, *more.answers])
        await self._appraisal.add(self.grown, made.thoughts, made.answers)
        if self.grown.answers:
            self._budget.release()

    async def _answer_what_promises_most(self) -> None:
        """Answer as many of the thoughts that promise most as the budget lets in; where none comes, the problem itself,
        for which room was kept."""
        grown = self.grown
        self._budget.release()
        thoughts = sorted(
            (thought for thought in grown.thoughts.values() if thought.depth),
            key=lambda thought: (-grown.promise(thought.id), -thought.depth, thought.id),
        )
        why = f"answered at the end of the search: {self.ended}"
        for asked in (thoughts[: self._settings.max_nodes_per_level], [grown.thoughts[grown.tree.root]]):
            await self._add(self._answers(asked, why))
            if grown.live_answers:
                return
        if self._calls.last_error is not None:
            raise self._calls.last_error
        raise ConfigError(f"no answer came: {self._calls.refused or self.ended}")
