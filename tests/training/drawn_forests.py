"""Random token sequences that share prefixes, and forests of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import strategies as st

SEQUENCES = st.lists(st.lists(st.integers(0, 2), max_size=12), max_size=12)
"""Of three tokens, so that they often begin alike, extend each other, or are the same."""


def prefixes(sequences: Sequence[Sequence[int]]) -> set[tuple[int, ...]]:
    """The unique tokens: each is told by the path that ends with it."""
    return {tuple(sequence[: length + 1]) for sequence in sequences for length in range(len(sequence))}


def branching_sequences(n_sequences: int, vocabulary: int, *, seed: int) -> list[list[int]]:
    """Each leaves the one before somewhere, for one token or for many."""
    rng = random.Random(seed)
    sequences = [[rng.randrange(vocabulary) for _ in range(40)]]
    while len(sequences) < n_sequences:
        before = sequences[-1]
        own = [rng.randrange(vocabulary) for _ in range(rng.choice((0, 1, 2, 9, 60)))]
        branch = before[: rng.randint(1, len(before))] + own
        sequences.append(branch)
    return sequences
