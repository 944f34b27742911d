"""One segment of a tree, how a rollout that ends with it was graded, and what a search thinks of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from hierarchical_reasoning.outcomes import Outcome

NodeKind: TypeAlias = Literal["prompt", "drawn", "alternative", "coverage", "thought", "answer"]
"""Where a segment comes from: ``prompt`` is the root; ``drawn`` was sampled on from its parent; ``alternative`` begins
with a token that was forced in place of the one drawn; ``coverage`` goes on from a finished rollout that was cut back;
``thought`` was written for a thought type; ``answer`` is the final response of a trace."""


@dataclass(frozen=True)
class Leaf:
    """How the rollout that ends with a leaf was graded."""

    outcome: Outcome
    reward: float | None
    """None where grading failed: such a rollout is shown, and teaches nothing."""
    extracted: str | None = None
    """The answer that was found in it."""

    def __post_init__(self) -> None:
        if self.reward is not None and not math.isfinite(self.reward):
            raise ValueError(f"`reward` is {self.reward}, expected a finite number")


@dataclass(frozen=True)
class Scores:
    """What a search thinks of a node. Raises ValueError where a number is not finite."""

    local: float = 0.0
    """Quality of the step by itself."""
    path: float = 0.0
    """Of the best rollout through the node."""
    causal: float = 0.0
    """What rollouts with the node have over those without it."""
    total: float = 0.0
    """The three, weighted."""
    value: float | None = None
    """The path reward that was predicted of it; None where nothing predicts, as for `uncertainty`."""
    uncertainty: float | None = None
    prior: float | None = None
    """The planner's probability of its thought type; None where it gives none."""
    visits: int = 0
    """How often a search came by."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"`{name}` is {value}, expected a finite number")


@dataclass(frozen=True)
class Node:
    """A segment: the tokens that it adds to those of its parent.

    Raises ValueError where the fields contradict each other; the message names the field.
    """

    id: int
    parent: int | None
    """None for the root."""
    tokens: tuple[int, ...]
    """Empty where only text came, as from most hosted models."""
    text: str
    """Of these tokens, decoded; of a search, what was thought or answered alone."""
    kind: NodeKind = "drawn"
    given: int = 0
    """How many tokens, from the first, were put there and not drawn: they are never trained; of the root, all."""
    thought_type: str | None = None
    log_probs: tuple[float, ...] = ()
    """Of the tokens after `given`, by the model that drew them, at temperature 1; empty where they are not known."""
    ended: bool = False
    """The model ended it; False where a limit did, or where it goes on in its children."""
    leaf: Leaf | None = None
    scores: Scores | None = None
    pruned: str | None = None
    """Why a search dropped it, with all below it; None where it did not."""

    def __post_init__(self) -> None:
        if self.tokens and min(self.tokens) < 0:
            raise ValueError(f"`tokens` has {min(self.tokens)}, expected numbers of tokens, from 0")
        if not 0 <= self.given <= len(self.tokens):
            raise ValueError(
                f"`given` is {self.given}, expected 0 to {len(self.tokens)}, the number of `tokens`"
            )
        if (self.parent is None) != (self.kind == "prompt"):
            raise ValueError(
                f"`kind` is {self.kind!r} and `parent` {self.parent}; the root alone is a prompt"
            )
        if self.parent is None and self.drawn:
            raise ValueError(f"`given` is {self.given}, expected {len(self.tokens)}: the root is given whole")
        if self.parent is None and self.leaf is not None:
            raise ValueError("`leaf` is that of the root, and the root is no leaf")
        if self.parent is None and self.pruned is not None:
            raise ValueError("`pruned` is that of the root, and the root stays")
        if self.pruned == "":
            raise ValueError("`pruned` is empty, expected a reason, or None")
        if self.log_probs and len(self.log_probs) != self.drawn:
            raise ValueError(
                f"`log_probs` has {len(self.log_probs)} numbers, expected none, or {self.drawn}, one for each token "
                "after `given`"
            )
        if not all(map(math.isfinite, self.log_probs)):
            raise ValueError("`log_probs` holds a number that is not finite")

    @property
    def drawn(self) -> int:
        """How many of the tokens the model drew."""
        return len(self.tokens) - self.given

    def cut(self, at_token: int, at_character: int, *, tail_id: int) -> tuple[Node, Node]:
        """Head and tail. The head keeps id, parent and kind. The tail keeps how the node ended and was graded; its kind
        is the same, but ``drawn`` behind an ``alternative``, of which the first token alone was forced.

        Args:
            at_token: how many tokens the head keeps; each part has at least one.
            at_character: how much of the text the head keeps.
            tail_id: the id of the tail.

        Raises:
            ValueError: there is no such place in the node, or it is the root.
        """
        if self.parent is None:
            raise ValueError("the root is the prompt, and is not split")
        if not 0 < at_token < len(self.tokens):
            raise ValueError(
                f"node {self.id} is split at token {at_token}, expected 1 to {len(self.tokens) - 1}"
            )
        if not 0 <= at_character <= len(self.text):
            raise ValueError(
                f"node {self.id} is split at character {at_character}, expected 0 to {len(self.text)}"
            )
        drawn = max(0, at_token - self.given)
        head = replace(
            self,
            tokens=self.tokens[:at_token],
            text=self.text[:at_character],
            given=min(self.given, at_token),
            log_probs=self.log_probs[:drawn],
            ended=False,
            leaf=None,
            scores=None,
        )
        tail = replace(
            self,
            id=tail_id,
            parent=self.id,
            tokens=self.tokens[at_token:],
            text=self.text[at_character:],
            kind="drawn" if self.kind == "alternative" else self.kind,
            given=max(0, self.given - at_token),
            log_probs=self.log_probs[drawn:],
        )
        return head, tail
