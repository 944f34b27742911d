"""Thoughts with those that follow them, the tree that they make, and the solution that a path of it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchical_reasoning.training.explorers.base import Growth, TokenTexts
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends.token_streams import TokenStream


@dataclass(frozen=True)
class Thought:
    """What a model wrote for a thought type, or as the final answer."""

    thought_type: str
    """Its name; "Finish thinking" for the final answer."""
    given: tuple[int, ...]
    """What stands between the thought before and this one."""
    stream: TokenStream
    n_kept: int
    """How many of the stream's tokens are in the tree."""
    children: tuple[Thought, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        return self.stream.tokens[: self.n_kept]


def add_thoughts(tree: ReasoningTree, first: Sequence[Thought], texts: TokenTexts) -> None:
    """Add thoughts and all that follow them below the root; children in the order of drawing."""
    waiting = [(tree.root, thought) for thought in reversed(first)]
    while waiting:
        parent, thought = waiting.pop()
        tokens = thought.given + thought.kept
        node = tree.add(
            parent,
            tokens,
            texts.text(tokens),
            kind="thought",
            given=len(thought.given),
            thought_type=thought.thought_type,
            log_probs=thought.stream.log_probs[: thought.n_kept],
            ended=thought.stream.ended,
        )
        waiting.extend((node, child) for child in reversed(thought.children))


def growth(first: Sequence[Thought]) -> Growth:
    """What thoughts and all that follow them took."""
    total = Growth(0, 0)
    waiting = list(first)
    while waiting:
        thought = waiting.pop()
        drawn = len(thought.stream.tokens)
        total += Growth(streams=1, generated_tokens=drawn, dropped_tokens=drawn - thought.n_kept)
        waiting.extend(thought.children)
    return total
