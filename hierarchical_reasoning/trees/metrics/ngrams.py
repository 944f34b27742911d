"""What nodes say, as n-grams: of the tokens that were drawn, or of lower-cased words where there is text alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from hierarchical_reasoning.trees.node import Node
from hierarchical_reasoning.trees.tree import ReasoningTree

Ngram: TypeAlias = tuple[int | str, ...]


def ngrams(node: Node, n: int) -> Iterator[Ngram]:
    """In order; none where the node says less than that."""
    said: Sequence[int | str] = node.tokens[node.given :] if node.tokens else node.text.lower().split()
    return zip(*(said[start:] for start in range(n)))  # noqa: B905 - the last ones are shorter


def distinct(nodes: Iterable[Node], n: int) -> tuple[int, int]:
    """How many different n-grams there are, and how many in all."""
    seen: set[Ngram] = set()
    total = 0
    for node in nodes:
        found = list(ngrams(node, n))
        seen.update(found)
        total += len(found)
    return len(seen), total


class SeenNgrams:
    """The n-grams of trees that came before, each held once; what later ones are compared with.

    It holds the first `limit` of them and takes in no more then: three million take about half a gigabyte.
    """

    def __init__(self, n: int = 4, *, limit: int = 3_000_000) -> None:
        self.n = n
        self.limit = limit
        self._seen: set[Ngram] = set()

    @property
    def is_full(self) -> bool:
        """Whether `limit` was reached, so that novelty is against the first trees alone."""
        return len(self._seen) >= self.limit

    def add(self, tree: ReasoningTree) -> None:
        for ngram in self._of(tree):
            if self.is_full:
                return
            self._seen.add(ngram)

    def novel(self, tree: ReasoningTree) -> tuple[int, int]:
        """How many n-grams of a tree were in none of those that were added, and how many it has in all."""
        found = list(self._of(tree))
        return sum(ngram not in self._seen for ngram in found), len(found)

    def _of(self, tree: ReasoningTree) -> Iterator[Ngram]:
        for node in tree.nodes.values():
            if node.parent is not None:
                yield from ngrams(node, self.n)
