"""What a step of the optimizer went over, in sums that add up across passes and processes."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Sums:
    """Over what the loss is taken on: choices of a planner, tokens of a language model."""

    loss: float = 0.0
    kl: float = 0.0
    clipped: float = 0.0
    gap: float = 0.0
    """|log pi(a) as trained - log pi(a) as acted|."""
    acts: float = 0.0
    """Choices, or tokens, each once; what all but the loss are divided by."""
    count: float = 0.0
    """What the loss is divided by: choices; tokens as often as they count, or sequences of them."""
    tokens: int = 0
    """In the passes, without padding."""

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def mean(self, name: str) -> float:
        """Of a sum, over what it is divided by; 0 where there is nothing."""
        by = self.count if name == "loss" else self.acts
        return float(getattr(self, name)) / by if by else 0.0

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.kl)
