"""Trees of searches made by hand."""

from __future__ import annotations

from typing import Any

from scripted_world import PROBLEM, TYPES, settings

from hierarchical_reasoning.results.records import StepRecord
from hierarchical_reasoning.rewards.backing_up import back_up
from hierarchical_reasoning.search.grown import Answer, Grown
from hierarchical_reasoning.search.strategies import STRATEGIES
from hierarchical_reasoning.trace import FINISH, Step, Trace
from hierarchical_reasoning.trees import Scores
from hierarchical_reasoning.values.base import Estimate


def step(text: str, name: str = "Add") -> StepRecord:
    return StepRecord(
        thought_type=name,
        node_id=None,
        thought=text,
        planner_probabilities=None,
        planner_usage=None,
        reasoner_usage=None,
    )


class Made:
    """A tree made by hand; nodes are called by names."""

    def __init__(self, **given: Any) -> None:
        self.settings = settings(**given)
        self.grown = Grown(Trace(PROBLEM, TYPES), self.settings.weights, sample=0)
        self.ids = {"root": 0}

    def thought(
        self,
        parent: str,
        name: str,
        *,
        local: float = 0.0,
        prior: float | None = None,
        expected: Estimate | None = None,
    ) -> None:
        above = self.grown.thoughts[self.ids[parent]]
        trace = above.trace.extended(Step(TYPES[0], name))
        new = self.grown.add_thought(above, trace, name, step(name), Scores(local=local, prior=prior))
        self.ids[name] = new.id
        self.grown.open.pop(above.id, None)
        if expected is not None:
            self.grown.estimates[new.id] = expected

    def answer(self, parent: str, name: str, reward: float | None, *, local: float = 0.0) -> Answer:
        above = self.grown.thoughts[self.ids[parent]]
        made = self.grown.add_answer(above, name, step("", FINISH), Scores(local=local), truncated=False)
        made.ballot, made.reward = name, reward
        self.ids[name] = made.id
        back_up(self.grown.tree, self.grown.rewards(), self.grown.weights)
        return made

    def close(self, *names: str) -> None:
        for name in names:
            self.grown.open.pop(self.ids[name])

    def name(self, node: int) -> str:
        return next(name for name, found in self.ids.items() if found == node)

    def next(self) -> tuple[list[str], list[str]]:
        """What is expanded, and what is dropped."""
        assert self.settings.search is not None
        batch = STRATEGIES[self.settings.search](self.settings).next(self.grown)
        return [self.name(node) for node in batch.expand], [self.name(node) for node in batch.drop]
