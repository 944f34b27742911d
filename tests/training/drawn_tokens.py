"""Batches of tokens that hypothesis draws: rows of numbers, and a mask under which anything may lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

Rows = list[list[float]]
HIDDEN = (math.nan, math.inf, -math.inf)
"""What padding may hold."""


@dataclass(frozen=True)
class Batch:
    """Fields of B rows of T numbers, and which tokens are valid."""

    fields: tuple[Rows, ...]
    valid: list[list[bool]]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Of the valid tokens."""
        return [(b, t) for b, row in enumerate(self.valid) for t, ok in enumerate(row) if ok]

    @property
    def mask(self) -> torch.Tensor:
        """(B, T) bool."""
        return torch.tensor(self.valid)

    def tensors(self, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
        """The fields, with NaN and infinities wherever the mask is false."""
        hidden = torch.tensor(HIDDEN, dtype=dtype)
        shape = self.mask.shape
        padding_BT = hidden[torch.arange(self.mask.numel()) % len(HIDDEN)].view(shape)
        return tuple(
            torch.where(self.mask, torch.tensor(field, dtype=dtype), padding_BT) for field in self.fields
        )


@st.composite
def batches(draw: Callable[..., list[float]], *values: st.SearchStrategy[float]) -> Batch:
    """A batch of 1 to 4 rows and 1 to 4 tokens with a field for each of `values`; perhaps no token is valid."""
    n_rows: int = draw(st.integers(1, 4))  # type: ignore[assignment]
    n_tokens: int = draw(st.integers(1, 4))  # type: ignore[assignment]

    def rows(of: st.SearchStrategy[float]) -> Rows:
        flat = draw(st.lists(of, min_size=n_rows * n_tokens, max_size=n_rows * n_tokens))
        return [list(flat[b * n_tokens : (b + 1) * n_tokens]) for b in range(n_rows)]

    valid = [[bool(ok) for ok in row] for row in rows(st.sampled_from([0.0, 1.0, 1.0]))]
    return Batch(tuple(rows(of) for of in values), valid)


def as_rows(tensor_BT: torch.Tensor) -> Rows:
    rows: Rows = tensor_BT.tolist()
    return rows


def apart(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> float:
    """The largest difference; infinite where one is not a number."""
    pairs = [
        pair for row, other in zip(found, expected, strict=True) for pair in zip(row, other, strict=True)
    ]
    return max((abs(a - b) if math.isfinite(a - b) else math.inf for a, b in pairs), default=0.0)
