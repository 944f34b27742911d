"""How thought trees branch, and how far they grow. Fields are named as the flags are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hierarchical_reasoning.errors import ConfigError


@dataclass(frozen=True)
class ThoughtTreeSettings:
    """How thought trees branch, and how far they grow."""

    branching_factor: int = 3
    """Thought types that are followed where the planner chooses."""
    branching_depth: int = 2
    """Choices in a row that branch; each one below has a single child."""
    max_steps: int = 10
    """Choices on a path at most, the last of which is "Finish thinking", chosen or not."""
    max_leaves: int = 64
    """Of a tree. Children share what their parent may have evenly, so that early choices branch first."""
    max_thought_tokens: int = 256
    max_answer_tokens: int = 1024
    planner_temperature: float = 1.0
    """Thought types are drawn in proportion to p^(1/temperature); 0 takes the likeliest."""

    def __post_init__(self) -> None:
        for name, least, flag in (
            ("branching_factor", 1, "--branching_factor"),
            ("branching_depth", 0, "--branching_depth"),
            ("max_steps", 2, "--max_steps_per_episode"),
            ("max_leaves", 1, "--max_leaves"),
            ("max_thought_tokens", 1, "--max_thought_tokens"),
            ("max_answer_tokens", 1, "--max_answer_tokens"),
        ):
            value = getattr(self, name)
            if value < least:
                raise ConfigError(f"{name} is {value}; it must be {least} or more ({flag})")
        if not 0 <= self.planner_temperature < math.inf:
            raise ConfigError(
                f"planner_temperature is {self.planner_temperature}; it must be 0 or more, and finite "
                "(--planner_temperature)"
            )
