"""How far rollouts grow and where they split. Fields are named as the flags are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hierarchical_reasoning.errors import ConfigError

DELIMITERS = ("\n", "!", ".", "?", ";", ":")


@dataclass(frozen=True)
class LinearSettings:
    """Rollouts that share their prompt alone."""

    n_rollouts: int = 8
    max_new_tokens: int = 1300

    def __post_init__(self) -> None:
        _at_least("n_rollouts", self.n_rollouts, 1, "--num_rollouts_per_prompt")
        _at_least("max_new_tokens", self.max_new_tokens, 1, "--max_new_tokens")


@dataclass(frozen=True)
class EntropyTreeSettings:
    """TreeRPO's rules; the defaults are those of its published run."""

    max_depth: int = 7
    """Nodes at this depth are not split for their entropy. Continuations of a rollout that is cut back may lie one
    deeper."""
    min_segment_len: int = 150
    """Tokens that a segment has at least where it is split for its entropy, and characters that are left of a rollout
    where it is cut back."""
    entropy_threshold: float = 1.0
    """Nats that the entropy of the next token must exceed."""
    entropy_topk: int = 20
    """The likeliest tokens, over which the entropy is taken, and from which the alternative is drawn."""
    coverage_min_chars: int = 150
    """Characters that are taken off a rollout at least where it is cut back."""
    coverage_children_max: int = 4
    """Continuations of a rollout that is cut back; 0: none is."""
    max_new_tokens: int = 1300
    """Of one stream: from where it branches off to its end."""
    max_answer_tokens: int | None = None
    """From the prompt to a leaf; None: twice `max_new_tokens`."""
    delimiters: tuple[str, ...] = DELIMITERS
    """What the text before a split ends in."""

    def __post_init__(self) -> None:
        for name, least in (
            ("max_depth", 1),
            ("min_segment_len", 1),
            ("entropy_topk", 2),
            ("coverage_min_chars", 1),
            ("coverage_children_max", 0),
            ("max_new_tokens", 2),
        ):
            _at_least(name, getattr(self, name), least, f"--{name}")
        if self.max_answer_tokens is not None:
            _at_least("max_answer_tokens", self.max_answer_tokens, 2, "--max_answer_tokens")
        if not 0 <= self.entropy_threshold < math.inf:
            raise ConfigError(
                f"entropy_threshold is {self.entropy_threshold}; it must be 0 or more, and finite (--entropy_threshold)"
            )
        if not isinstance(self.delimiters, tuple) or not self.delimiters or not all(self.delimiters):
            raise ConfigError(
                f"delimiters are {self.delimiters!r}; they must be a tuple of strings, none of them empty "
                "(--delimiters)"
            )

    @property
    def answer_tokens(self) -> int:
        """Tokens from the prompt to a leaf, at most."""
        return 2 * self.max_new_tokens if self.max_answer_tokens is None else self.max_answer_tokens


def _at_least(name: str, value: int, least: int, flag: str) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be {least} or more ({flag})")
