"""Values of models that give no states: several answers are sampled at a place, and how far they agree is looked at.

The value is the share of the most frequent answer (self-consistency: Wang, X. et al., 2022), the uncertainty the
entropy of the answers. It needs no learning and sees no ground truth, and it costs as many answers as are sampled. A
model that is wrong with confidence is not found out by it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from hierarchical_reasoning.values.base import UNKNOWN, Estimate, Place


def disagreement(answers: Sequence[str | None]) -> Estimate:
    """Of k answers to one problem, with p the shares of those that differ::

        value = max p        uncertainty = −Σ p log p / log k

    Args:
        answers: in a form that equal answers share (`Verifier.ballot`). None is a reply without an answer: each
            agrees with no other, and is no answer that could be most frequent; with nothing else the value is 0. One
            reply alone tells nothing of the others: its uncertainty is that of `UNKNOWN`.

    Raises:
        ValueError: there are none.
    """
    if not answers:
        raise ValueError("there are no answers to compare")
    k = len(answers)
    counts = Counter(answer for answer in answers if answer is not None)
    shares = [count / k for count in counts.values()]
    value = max(shares, default=0.0)
    if k == 1:
        return Estimate(value, UNKNOWN.uncertainty)
    without = k - counts.total()
    entropy = math.fsum(-p * math.log(p) for p in shares) + without / k * math.log(k)
    return Estimate(value, min(1.0, max(0.0, entropy / math.log(k))))


class Disagreement:
    """A `ValueEstimator` by sampled answers."""

    def __init__(self, sample: Callable[[Place], Awaitable[Sequence[str | None]]]) -> None:
        """
        Args:
            sample: the answers to compare, as `disagreement` takes them.
        """
        self._sample = sample
        self.notes: list[str] = []

    @property
    def is_trained(self) -> bool:
        return True

    async def estimate(self, places: Sequence[Place]) -> list[Estimate]:
        sampled = await asyncio.gather(*(self._sample(place) for place in places))
        return [disagreement(answers) for answers in sampled]

    async def learn(self, places: Sequence[Place], rewards: Sequence[float]) -> None:
        """There is nothing to learn."""
