"""Trees of tokens divided among forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from hierarchical_reasoning.training.packed.token_forest import TokenForest, join


@dataclass(frozen=True, eq=False)
class PackedPass:
    """The tokens of one forward pass, and where they come from. Axis: T places in the pass."""

    forest: TokenForest
    tree_T: torch.Tensor
    """The number of the forest that a token is from."""
    place_T: torch.Tensor
    """Its place there."""
    counts_T: torch.Tensor
    """bool: false for context, which is computed here again for what is below it. A token counts in one pass alone."""


@dataclass(frozen=True)
class _Piece:
    tree: int
    start: int
    stop: int
    size: int
    """With the path above it."""


def pack(forests: Sequence[TokenForest], tokens_per_pass: int) -> list[PackedPass]:
    """As many whole forests to a pass as fit; one that does not fit is divided where it branches.

    The parts of a divided forest repeat the path that leads to them. A path is never divided: one that is longer than a
    pass has a pass of its own.
    """
    pieces = [
        piece for tree, forest in enumerate(forests) for piece in _pieces(tree, forest, tokens_per_pass)
    ]
    bins: list[list[_Piece]] = []
    free: list[int] = []
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        number = next((number for number, left in enumerate(free) if piece.size <= left), None)
        if number is None:
            bins.append([])
            free.append(tokens_per_pass)
            number = -1
        bins[number].append(piece)
        free[number] -= piece.size
    return [_packed(forests, each) for each in bins]


def _pieces(tree: int, forest: TokenForest, tokens_per_pass: int) -> list[_Piece]:
    """Stretches of the row, each as long as fits with the path above it."""
    if not len(forest):
        return []
    found: list[_Piece] = []
    start = above = 0
    bounds = [*forest.heads(), len(forest)]
    for head, stop in pairwise(bounds):
        if head > start and above + stop - start > tokens_per_pass:
            found.append(_Piece(tree, start, head, above + head - start))
            start, above = head, int(forest.positions_T[head])
    found.append(_Piece(tree, start, len(forest), above + len(forest) - start))
    return found


def _packed(forests: Sequence[TokenForest], pieces: Sequence[_Piece]) -> PackedPass:
    stretches = [forests[piece.tree].stretch(piece.start, piece.stop) for piece in pieces]
    return PackedPass(
        forest=join([forest for forest, _ in stretches]),
        tree_T=torch.cat([torch.full((piece.size,), piece.tree) for piece in pieces]),
        place_T=torch.cat([places_T for _, places_T in stretches]),
        counts_T=torch.cat(
            [places_T >= piece.start for piece, (_, places_T) in zip(pieces, stretches, strict=True)]
        ),
    )
