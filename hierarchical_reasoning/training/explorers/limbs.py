"""Streams and what branches off them, and the tree that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchical_reasoning.training.explorers.base import Growth, TokenTexts
from hierarchical_reasoning.trees import NodeKind, ReasoningTree
from llm_backends.token_streams import TokenStream


@dataclass(frozen=True)
class Branch:
    """A stream that is to be drawn."""

    place: str
    """Where in the tree it begins: what branched off what, and after how many tokens of the answer."""
    kind: NodeKind
    before: tuple[int, ...]
    """The tokens of the answer before its first."""
    forced: tuple[int, ...]
    """Its first token, if that is not drawn."""
    depth: int
    """Of the node that it begins."""
    parent: str | None
    """The place of the stream that it branches off; None for the first stream of a tree."""


@dataclass(frozen=True)
class Fork:
    """A place in a stream at which others branch off."""

    at: int
    """How many tokens of the stream lie before it."""
    others: tuple[Branch, ...]
    keeps_tail: bool
    """The stream itself goes on; else what lies behind is dropped."""


@dataclass(frozen=True)
class Limb:
    """A stream with all that branches off it."""

    branch: Branch
    stream: TokenStream
    forks: tuple[Fork, ...]
    others: tuple[tuple[Limb, ...], ...]
    """Of each fork."""

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.branch.forced + self.stream.tokens


def add_limbs(tree: ReasoningTree, first: Limb, texts: TokenTexts) -> None:
    """Add a stream and all that branches off it, below the root, in an order that does not depend on when they
    ended."""
    waiting = [(tree.root, first)]
    while waiting:
        parent, limb = waiting.pop()
        beneath = _add_segments(tree, parent, limb, texts)
        for node, others in reversed(list(zip(beneath, limb.others, strict=True))):
            waiting.extend((node, other) for other in reversed(others))


def growth(first: Limb) -> Growth:
    """What a stream and all that branches off it took."""
    total = Growth(0, 0)
    waiting = [first]
    while waiting:
        limb = waiting.pop()
        dropped = [len(limb.tokens) - fork.at for fork in limb.forks if not fork.keeps_tail]
        total += Growth(
            streams=int(bool(limb.stream.tokens)),
            generated_tokens=len(limb.stream.tokens),
            dropped_tokens=sum(dropped),
            entropy_splits=sum(fork.keeps_tail and fork.at > 0 for fork in limb.forks),
            coverage_splits=len(dropped),
        )
        waiting.extend(other for others in limb.others for other in others)
    return total


def _add_segments(tree: ReasoningTree, parent: int, limb: Limb, texts: TokenTexts) -> Sequence[int]:
    """Add a stream, cut at its forks; returns the node beneath which each fork's others go."""
    tokens, forced = limb.tokens, len(limb.branch.forced)
    beneath: list[int] = []
    ends = [fork.at for fork in limb.forks]
    if not limb.forks or limb.forks[-1].keeps_tail:
        ends.append(len(tokens))
    start = 0
    for end in ends:
        if end > start:  # the root's fork lies before the first token
            segment = tokens[start:end]
            parent = tree.add(
                parent,
                segment,
                texts.text(segment),
                kind=limb.branch.kind if start == 0 else "drawn",
                given=forced if start == 0 else 0,
                log_probs=limb.stream.log_probs[max(0, start - forced) : end - forced],
                ended=limb.stream.ended and end == len(tokens),
            )
        beneath.append(parent)
        start = end
    return beneath[: len(limb.forks)]
