"""The seam: how good a step is by itself, and how that is weighed against where it leads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from hierarchical_reasoning.problems import Problem


class LocalReward(Protocol):
    """Rates a step without knowing where it leads."""

    async def __call__(self, problem: Problem, parent_text: str, text: str) -> float:
        """From 0 to 1.

        Args:
            parent_text: the step before it; the problem's text where it is the first.
            text: the step.

        Raises:
            BackendError: a model that is asked gives no rating.
        """


@dataclass(frozen=True)
class RewardWeights:
    """HATO's weights (spec/000): total = alpha * local + beta * path + gamma * causal.

    Raises ValueError where one is negative or not finite, or all are 0.
    """

    alpha: float = 0.4
    beta: float = 0.5
    gamma: float = 0.1

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"`{name}` is {weight}, expected a finite number from 0")
        if not any(vars(self).values()):
            raise ValueError(
                "`alpha`, `beta` and `gamma` are 0, so that all nodes are alike; one must be more"
            )

    def total(self, local: float, path: float, causal: float) -> float:
        return self.alpha * local + self.beta * path + self.gamma * causal
