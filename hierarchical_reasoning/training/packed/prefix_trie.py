"""Token sequences merged where they begin alike, so that what they share is computed once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, TokenForest, lay_out

Tokens = npt.NDArray[np.int64]


@dataclass
class _Branch:
    """What a sequence has that those before it have not."""

    start: int
    """How many tokens of its path are above it."""
    tokens: Tokens
    above: int
    """The branch that it leaves; `NO_PLACE` for none."""
    cuts: set[int] = field(default_factory=set)
    """Depths at which other branches leave it."""


def merge(sequences: Sequence[Sequence[int] | Tokens]) -> tuple[TokenForest, tuple[torch.Tensor, ...]]:
    """The prefix trie of the sequences, and for each of them the places of its tokens."""
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    branches: list[_Branch] = []
    paths: dict[int, tuple[int, ...]] = {}
    path: list[int] = []
    before = np.empty(0, dtype=np.int64)
    # In lexicographic order, what a sequence shares with any before it, it shares with the one just before it.
    for number in sorted(range(len(arrays)), key=lambda number: sort_key(arrays[number])):
        sequence = arrays[number]
        shared = common_length(before, sequence)
        while path and branches[path[-1]].start >= shared:
            path.pop()
        if shared < len(sequence):
            above = path[-1] if path else NO_PLACE
            if path:
                branches[above].cuts.add(shared)
            path.append(len(branches))
            branches.append(_Branch(shared, sequence[shared:], above))
        paths[number] = tuple(path)
        before = sequence
    forest, places_of = _lay_out(branches)
    return forest, tuple(
        _places(paths[number], branches, places_of, len(array)) for number, array in enumerate(arrays)
    )


def outermost(sequences: Sequence[Sequence[int] | Tokens]) -> tuple[tuple[Tokens, ...], list[int]]:
    """Those that are not the beginning of another one, in lexicographic order; and for each of all sequences, the
    number there of one that it is the beginning of."""
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    found: list[Tokens] = []
    number_of = [0] * len(arrays)
    # From the last one back, what extends a sequence comes just before it.
    for number in sorted(range(len(arrays)), key=lambda number: sort_key(arrays[number]), reverse=True):
        sequence = arrays[number]
        if not found or common_length(found[-1], sequence) < len(sequence):
            found.append(sequence)
        number_of[number] = len(found) - 1
    return tuple(reversed(found)), [len(found) - 1 - number for number in number_of]


class UniqueTokens:
    """Counts the tokens of sequences, those of a shared beginning once."""

    def __init__(self) -> None:
        self.count = 0
        self._keys: list[bytes] = []
        self._sequences: list[Tokens] = []

    def add(self, sequences: Sequence[Tokens]) -> int:
        """The count with these."""
        for sequence in sequences:
            key = sort_key(sequence)
            place = bisect_left(self._keys, key)
            beside = self._sequences[max(place - 1, 0) : place + 1]
            self.count += len(sequence) - max((common_length(other, sequence) for other in beside), default=0)
            self._keys.insert(place, key)
            self._sequences.insert(place, sequence)
        return self.count


def sort_key(tokens: npt.ArrayLike) -> bytes:
    """Bytes that sort as the sequence of tokens does, a prefix before what extends it."""
    return np.asarray(tokens).astype(">u8").tobytes()


def common_length(left: Tokens, right: Tokens) -> int:
    """How many tokens two sequences begin with alike."""
    length = min(len(left), len(right))
    differ = np.flatnonzero(left[:length] != right[:length])
    return int(differ[0]) if len(differ) else length


def _lay_out(branches: Sequence[_Branch]) -> tuple[TokenForest, list[Tokens]]:
    """The forest, and the places of each branch's tokens: a branch is cut into segments where others leave it."""
    parents: list[int] = []
    tokens: list[list[int]] = []
    ends_at: dict[tuple[int, int], int] = {}
    of_branch: list[range] = []
    for number, branch in enumerate(branches):
        stop = branch.start + len(branch.tokens)
        first = len(parents)
        depth = branch.start
        parent = NO_PLACE if branch.above == NO_PLACE else ends_at[branch.above, branch.start]
        for cut in sorted(branch.cuts | {stop}):
            parents.append(parent)
            tokens.append(branch.tokens[depth - branch.start : cut - branch.start].tolist())
            parent = ends_at[number, cut] = len(parents) - 1
            depth = cut
        of_branch.append(range(first, len(parents)))
    forest, places_S = lay_out(parents, tokens)
    return forest, [
        np.concatenate([np.arange(places_S[segment].start, places_S[segment].stop) for segment in segments])
        for segments in of_branch
    ]


def _places(
    path: Sequence[int], branches: Sequence[_Branch], places_of: Sequence[Tokens], length: int
) -> torch.Tensor:
    if not path:
        return torch.empty(0, dtype=torch.long)
    stops = [*(branches[below].start for below in path[1:]), length]
    parts = [
        places_of[number][: stop - branches[number].start] for number, stop in zip(path, stops, strict=True)
    ]
    return torch.from_numpy(np.concatenate(parts))
