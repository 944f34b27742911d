"""The seam: a prompt in, a tree of rollouts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.trees import ReasoningTree

MAX_STREAMS = 128
"""Calls to the model at once, as TreeRPO's published run has them."""


class TokenTexts(Protocol):
    """The text of tokens: `llm_backends.local.chat.ChatFormat` is one."""

    def text(self, token_ids: Sequence[int]) -> str:
        """Of exactly these tokens, special tokens left out."""

    def token_text(self, token_id: int) -> str:
        """Of one token alone."""


@dataclass(frozen=True)
class Growth:
    """What growing a tree took."""

    streams: int
    """Calls to the model."""
    generated_tokens: int
    """Drawn by the model, dropped ones included."""
    dropped_tokens: int = 0
    """Drawn, and not in the tree: what was cut off a rollout to go on otherwise."""
    entropy_splits: int = 0
    """The root's, which is not for entropy, not counted."""
    coverage_splits: int = 0

    def __add__(self, other: Growth) -> Growth:
        return Growth(
            self.streams + other.streams,
            self.generated_tokens + other.generated_tokens,
            self.dropped_tokens + other.dropped_tokens,
            self.entropy_splits + other.entropy_splits,
            self.coverage_splits + other.coverage_splits,
        )


@dataclass(frozen=True)
class Grown:
    """A tree whose leaves are not graded yet, and what it took."""

    tree: ReasoningTree
    growth: Growth


class Explorer(Protocol):
    """Grows trees, many at a time; what one looks like depends on its origin, its prompt and the weights alone."""

    async def grow(self, origin: Origin, prompt: Sequence[int]) -> Grown:
        """Grow one tree.

        :raises ConfigError: the prompt leaves too little room in the model's context.
        :raises BackendError: a call to the model failed; the tree's other calls have been cancelled.
        """


def answer_room(prompt: Sequence[int], wanted: int, context_length: int | None, *, least: int) -> int:
    """Tokens that an answer may have: as many as are wanted, or what the context leaves.

    :raises ConfigError: it leaves fewer than `least`, or there is no prompt.
    """
    if not prompt:
        raise ConfigError("the prompt has no tokens; give a problem with a text")
    room = wanted if context_length is None else min(wanted, context_length - len(prompt))
    if room < least:
        raise ConfigError(
            f"the prompt has {len(prompt)} tokens and an answer needs {least} or more, but the model's context holds "
            f"{context_length}; take shorter problems, a model with a longer context (--model_id), or a higher "
            "--max_length where one is given"
        )
    return room
