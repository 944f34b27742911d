"""Token sequences that share prefixes, as trees laid out in one row, each token once.

The row is in preorder, and of what follows a token the part with the longest path comes first. So all that lies under
a token is a contiguous stretch behind it, and what a token sees (its own path, no other branch) is told by one number
a token: the one at place q sees the one at place k where ``k <= q < end_T[k]``. Any stretch of the row, with the path
above its first token, is again such a forest; that is how trees are divided.

Axes: T places in the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

NO_PLACE = -1
"""What precedes the first token of a tree."""


@dataclass(frozen=True, eq=False)
class TokenForest:
    """Trees of tokens in one row. All tensors are whole numbers, on the CPU."""

    tokens_T: torch.Tensor
    previous_T: torch.Tensor
    """Place of the token before it on its path, `NO_PLACE` where there is none. The logits there predict the token."""
    end_T: torch.Tensor
    """The first place behind it that is not under it."""
    positions_T: torch.Tensor
    """How many tokens precede it on its path."""

    def __len__(self) -> int:
        return len(self.tokens_T)

    def heads(self) -> list[int]:
        """The places that do not follow the place before them: where the row turns to another branch."""
        follows_T = torch.arange(len(self)) - 1
        turns_T = self.previous_T != follows_T
        turns_T[:1] = True
        return turns_T.nonzero().squeeze(1).tolist()

    def path_above(self, place: int) -> torch.Tensor:
        """The places that precede this one on its path, from the root down."""
        return ((torch.arange(place) < place) & (self.end_T[:place] > place)).nonzero().squeeze(1)

    def stretch(self, start: int, stop: int) -> tuple[TokenForest, torch.Tensor]:
        """The tokens from `start` to `stop` below the path that leads to them, and the place here of each one there."""
        above = self.path_above(start)
        places_T = torch.cat([above, torch.arange(start, stop)])
        previous_T = self.previous_T[places_T]
        # Ancestors stand in the new row by their position; what is in the stretch moves as a whole.
        moved_T = torch.where(
            previous_T >= start, previous_T - start + len(above), self.positions_T[previous_T.clamp(min=0)]
        )
        forest = TokenForest(
            self.tokens_T[places_T],
            moved_T.masked_fill(previous_T == NO_PLACE, NO_PLACE),
            self.end_T[places_T].clamp(max=stop) - start + len(above),
            self.positions_T[places_T],
        )
        return forest, places_T


def lay_out(parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> tuple[TokenForest, tuple[range, ...]]:
    """A forest from its segments, which are runs of tokens, and the places of each segment's tokens.

    Args:
        parents: of each segment the number of the one that it follows, `NO_PLACE` for a root; parents come first.
        tokens: of each segment; there may be none.
    """
    order = _preorder(parents, tokens)
    starts, last = [0] * len(parents), [NO_PLACE] * len(parents)
    row: list[int] = []
    previous: list[int] = []
    positions: list[int] = []
    for segment in order:
        parent = parents[segment]
        before = NO_PLACE if parent == NO_PLACE else last[parent]
        start = starts[segment] = len(row)
        if not tokens[segment]:
            last[segment] = before
            continue
        depth = 0 if before == NO_PLACE else positions[before] + 1
        row += tokens[segment]
        last[segment] = len(row) - 1
        previous += (before, *range(start, len(row) - 1))
        positions += range(depth, depth + len(tokens[segment]))
    ends = [start + len(run) for start, run in zip(starts, tokens, strict=True)]
    end = [0] * len(row)
    for segment in reversed(order):
        end[starts[segment] : starts[segment] + len(tokens[segment])] = [ends[segment]] * len(tokens[segment])
        parent = parents[segment]
        if parent != NO_PLACE:
            ends[parent] = max(ends[parent], ends[segment])
    forest = TokenForest(
        *(torch.tensor(column, dtype=torch.long) for column in (row, previous, end, positions))
    )
    return forest, tuple(range(start, start + len(run)) for start, run in zip(starts, tokens, strict=True))


def join(forests: Sequence[TokenForest]) -> TokenForest:
    """The forests behind each other in one row."""
    previous: list[torch.Tensor] = []
    ends: list[torch.Tensor] = []
    offset = 0
    for forest in forests:
        roots_T = forest.previous_T == NO_PLACE
        previous.append((forest.previous_T + offset).masked_fill(roots_T, NO_PLACE))
        ends.append(forest.end_T + offset)
        offset += len(forest)
    return TokenForest(
        torch.cat([forest.tokens_T for forest in forests]),
        torch.cat(previous),
        torch.cat(ends),
        torch.cat([forest.positions_T for forest in forests]),
    )


def _preorder(parents: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[int]:
    """The segments, a parent before its children, and of these the one with the longest path below it first."""
    longest = [len(run) for run in tokens]
    children: list[list[int]] = [[] for _ in parents]
    roots: list[int] = []
    for segment in reversed(range(len(parents))):
        parent = parents[segment]
        if parent == NO_PLACE:
            roots.append(segment)
            continue
        if not 0 <= parent < segment:
            raise ValueError(
                f"segment {segment} follows segment {parent}, which must have been given before it"
            )
        children[parent].append(segment)
        longest[parent] = max(longest[parent], len(tokens[parent]) + longest[segment])
    order: list[int] = []
    waiting = roots
    while waiting:
        segment = waiting.pop()
        order.append(segment)
        # Sorting is stable and the stack takes from its end: of equals, the one given first comes first.
        waiting += sorted(children[segment], key=longest.__getitem__)
    return order
