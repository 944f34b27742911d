"""How attention along the paths of a forest is divided into calls, and the masks of these calls.

A block is a stretch of the row; its keys are the path above its first token, which is all that it sees before itself,
and the block. So hardly a pair of tokens is computed that is masked away. Axes: T places; Q queries and K keys of a
block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from hierarchical_reasoning.training.packed.token_forest import TokenForest

_LONGEST_MASKED = 256
"""Queries of a block that needs a mask: beyond, too many of its pairs are masked away."""
_PAIRS_OF_A_CALL = 2**13
"""How many pairs of tokens take as long as a call; short branches are computed together while that is less."""


@dataclass(frozen=True)
class Block:
    """A stretch of the row whose attention is computed in one call."""

    start: int
    stop: int
    context: tuple[range, ...]
    """The path above its first token, in stretches of the row, from the root down."""
    is_causal: bool
    """Nothing is above it and it does not branch: its tokens see all before them in the block."""


class TokenPaths:
    """What the attention of every layer needs to know of the forest that is computed."""

    def __init__(self, forest: TokenForest, device: torch.device) -> None:
        self._forest = forest
        self._end_T = forest.end_T.to(device)
        self._device = device

    def __len__(self) -> int:
        return len(self._forest)

    @property
    def longest(self) -> int:
        """Tokens on the longest path."""
        return int(self._forest.positions_T.max()) + 1

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """They cover the row in its order."""
        return tuple(blocks(self._forest))

    @cached_property
    def masks(self) -> tuple[torch.Tensor | None, ...]:
        """(Q, K) bool for each block; None where it is causal."""
        return tuple(None if block.is_causal else self._mask(block) for block in self.blocks)

    @cached_property
    def cuts(self) -> tuple[int, ...]:
        """Where blocks and their contexts begin and end, so that each key is taken from the row once."""
        found = {0, len(self)}
        for block in self.blocks:
            found |= {
                block.start,
                *(part.start for part in block.context),
                *(part.stop for part in block.context),
            }
        return tuple(sorted(found))

    @cached_property
    def pieces(self) -> tuple[tuple[int, ...], ...]:
        """For each block, which of the pieces between the cuts are its keys."""
        number = {cut: index for index, cut in enumerate(self.cuts)}
        return tuple(
            tuple(
                piece
                for part in (*block.context, range(block.start, block.stop))
                for piece in range(number[part.start], number[part.stop])
            )
            for block in self.blocks
        )

    @cached_property
    def block_mask(self) -> BlockMask:
        """For FlexAttention."""
        end_T = self._end_T

        def sees(_row: object, _head: object, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            return (key <= query) & (query < end_T[key])

        size = len(self)
        return create_block_mask(sees, None, None, size, size, device=self._device)

    def dense_mask(self, dtype: torch.dtype) -> torch.Tensor:
        """(1, 1, T, T), to be added to attention scores, which every way of attending understands."""
        places_T = torch.arange(len(self), device=self._device)
        hidden_TT = ~self._sees(places_T, places_T)
        return torch.zeros(hidden_TT.shape, dtype=dtype, device=self._device).masked_fill_(
            hidden_TT, float("-inf")
        )[None, None]

    def _mask(self, block: Block) -> torch.Tensor:
        parts = (*block.context, range(block.start, block.stop))
        keys_K = torch.cat([torch.arange(part.start, part.stop, device=self._device) for part in parts])
        return self._sees(torch.arange(block.start, block.stop, device=self._device), keys_K)

    def _sees(self, queries_Q: torch.Tensor, keys_K: torch.Tensor) -> torch.Tensor:
        queries_Q1 = queries_Q.unsqueeze(1)
        return (keys_K <= queries_Q1) & (queries_Q1 < self._end_T[keys_K])


def blocks(forest: TokenForest) -> list[Block]:
    """The row in stretches: one for each branch, long ones divided, short ones taken together where that costs less."""
    heads = forest.heads()
    positions = forest.positions_T.tolist()
    found: list[list[int]] = []
    for head, stop in pairwise([*heads, len(forest)]):
        if positions[head] == 0:
            found.append([head, stop])
            continue
        for start in range(head, stop, _LONGEST_MASKED):
            end = min(start + _LONGEST_MASKED, stop)
            if found and positions[start] and _together(found[-1], end, positions):
                found[-1][1] = end
            else:
                found.append([start, end])
    branching = set(heads)
    return [
        Block(
            start,
            stop,
            _ranges(forest.path_above(start)),
            is_causal=positions[start] == 0 and branching.isdisjoint(range(start + 1, stop)),
        )
        for start, stop in found
    ]


def _together(block: Sequence[int], end: int, positions: Sequence[int]) -> bool:
    """Whether a block costs less when it reaches to `end` than when another one follows it."""
    start, stop = block
    apart = _pairs(start, stop, positions) + _pairs(stop, end, positions) + _PAIRS_OF_A_CALL
    return _pairs(start, end, positions) <= apart


def _pairs(start: int, stop: int, positions: Sequence[int]) -> int:
    return (stop - start) * (positions[start] + stop - start)


def _ranges(places_T: torch.Tensor) -> tuple[range, ...]:
    places = places_T.tolist()
    starts = [at for at, place in enumerate(places) if at == 0 or place != places[at - 1] + 1]
    return tuple(
        range(places[start], places[stop - 1] + 1) for start, stop in pairwise([*starts, len(places)])
    )
