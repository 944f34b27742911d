"""The seam of values: what is estimated, and what an estimate says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.trace import FINISH

if TYPE_CHECKING:
    from hierarchical_reasoning.results.records import StepRecord


@dataclass(frozen=True)
class Place:
    """What a value is estimated of: a problem, and a trace on it as far as it goes."""

    problem: Problem
    thoughts: tuple[str, ...] = ()
    """From the first thought to this one; the final response comes last where the place is an answer."""

    @classmethod
    def of_answer(cls, problem: Problem, steps: Sequence[StepRecord], final_response: str) -> Place:
        """That of the answer of a finished trace.

        Args:
            problem: without its ground truth.
        """
        thoughts = (step.thought for step in steps if step.thought_type != FINISH)
        return cls(problem, (*thoughts, final_response))

    @property
    def texts(self) -> tuple[str, ...]:
        """The problem's and the thoughts': all that an estimate may depend on."""
        return (self.problem.text, *self.thoughts)


@dataclass(frozen=True)
class Estimate:
    """What is expected of a place. Raises ValueError for a number outside [0, 1]."""

    value: float
    """The path reward that is expected of it."""
    uncertainty: float
    """How far estimates of it disagree, in units of path reward."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"`{name}` is {value}, expected a number from 0 to 1")


UNKNOWN = Estimate(value=0.5, uncertainty=0.5)
"""Of every place, as long as nothing is known: 0.5 is the most by which numbers in [0, 1] can deviate from their
mean."""


class ValueEstimator(Protocol):
    """Says what places are worth, and may learn it."""

    notes: list[str]
    """What the user should know of how it estimates, each thing once."""

    @property
    def is_trained(self) -> bool:
        """False: all places get the same estimate, `UNKNOWN`."""

    async def estimate(self, places: Sequence[Place]) -> list[Estimate]:
        """One for each place, in their order."""

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        """Learn from the path rewards, in [0, 1], that places turned out to have, besides those learned before."""


def check_rewards(places: Sequence[Place], rewards: Sequence[float]) -> None:
    """Raises ValueError where there are not as many rewards as places, or one is not in [0, 1]."""
    if len(places) != len(rewards):
        raise ValueError(f"there are {len(rewards)} rewards for {len(places)} places")
    outside = [reward for reward in rewards if not 0.0 <= reward <= 1.0]
    if outside:
        raise ValueError(f"a path reward is {outside[0]}, expected a number from 0 to 1")
