"""The one loop of all searches: a strategy names nodes, they are expanded or followed down to an answer, what came is
appraised, and what promises too little is dropped; until nothing is left to expand, an answer is proven, or a bound is
reached.

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
            if self._strategy.rolls_out:
                await self._roll_out(thoughts)
            else:
                await self._roll_out(self._promising(thoughts))
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

    def _promising(self, thoughts: Sequence[Thought]) -> list[Thought]:
        """Those of which enough is expected to see at once what they come to, and nothing came yet."""
        threshold, grown = self._settings.verification_threshold, self.grown
        return [
            thought
            for thought in thoughts
            if 0 < thought.depth < self._settings.max_depth
            and not grown.visits(thought.id)
            and max(grown.value(thought.id).value, grown.promise(thought.id)) >= threshold
        ]

    async def _expand(self, thoughts: Sequence[Thought]) -> None:
        """Make all children of each, but those that are there."""
        if self.grown.is_proven:
            return
        thoughts = [thought for thought in thoughts if thought.id in self.grown.open]
        asks = self._answers_of_deepest(thoughts)
        await self._choose(thoughts)
        for thought in thoughts:
            chosen = self.grown.branches.pop(thought.id, ())
            asks += [Ask(thought, branch) for branch in chosen if self._is_new(thought, branch)]
            del self.grown.open[thought.id]
        await self._add(asks)

    async def _roll_out(self, thoughts: Sequence[Thought]) -> None:
        """Make the next child of each, and follow it down to an answer: the first child of a thought first. The others
        are kept for when the search comes back. Where children are made one at a time, what has none left is closed;
        in other searches it stays open until its turn, and counts among its level."""
        while thoughts and not self.grown.is_proven:
            asks = self._answers_of_deepest(thoughts)
            await self._choose(thoughts)
            for thought in thoughts:
                left = self.grown.branches.setdefault(thought.id, [])
                while left:
                    branch = left.pop(0)
                    if self._is_new(thought, branch):
                        asks.append(Ask(thought, branch))
                        break
                if not left and self._strategy.rolls_out:
                    self.grown.open.pop(thought.id, None)
            thoughts = (await self._add(asks)).thoughts

    async def _choose(self, thoughts: Sequence[Thought]) -> None:
        """Choose the children of those that are not too deep for any, where they are not chosen yet."""
        grown, most = self.grown, self._settings.max_depth
        new = {
            thought.id: thought
            for thought in thoughts
            if thought.depth < most and thought.id not in grown.branches
        }
        room = max(0, self._settings.max_nodes - grown.n_nodes)
        if len(new) > room:  # no child of the others could be made
            self._expander.is_full, new = True, dict(list(new.items())[:room])
        widths = {node: width(grown, node, self._settings) for node in new}
        grown.branches |= await self._expander.branches(list(new.values()), widths)

    def _is_new(self, thought: Thought, branch: Branch) -> bool:
        return branch.name != FINISH or not self.grown.is_answered(thought.id)

    def _answers_of_deepest(self, thoughts: Sequence[Thought]) -> list[Ask]:
        most = self._settings.max_depth
        deepest = [thought for thought in thoughts if thought.depth == most]
        return self._answers(deepest, f"answered after {most} thoughts (--max_depth)")

    def _answers(self, thoughts: Sequence[Thought], why: str) -> list[Ask]:
        """An answer of each that has none."""
        without = [thought for thought in thoughts if not self.grown.is_answered(thought.id)]
        return [Ask(thought, Branch(FINISH), why) for thought in without]

    async def _add(self, asks: Sequence[Ask]) -> Made:
        """Make nodes, and say what they and all others are worth now."""
        if not asks:
            return Made((), ())
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
        return made

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
