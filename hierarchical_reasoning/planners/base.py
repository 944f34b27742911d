"""The planner's seam: given a trace, which option comes next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from hierarchical_reasoning.trace import Trace
from llm_backends import Spent


@dataclass(frozen=True)
class Choice:
    """What a planner chose."""

    name: str
    """An option's name, or "Finish thinking"."""
    probabilities: Mapping[str, float] | None = None
    """Of the options, at temperature 1; those it cannot tell are left out. None where the planner has none."""
    spent: Spent | None = None
    """None where no model was asked."""


class Planner(ABC):
    """Chooses thought types."""

    @abstractmethod
    async def choose(self, trace: Trace, *, sample: int = 0) -> Choice:
        """Choose among ``trace.choices``.

        Args:
            trace: the problem, the options and the steps so far.
            sample: which of several independent attempts at the problem this is.

        Raises:
            BackendError: when a model is asked and gives no usable reply.
        """
