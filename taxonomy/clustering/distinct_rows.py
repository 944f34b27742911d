"""The distinct rows of a matrix in an order that their contents alone decide.

Rows are ordered by a hash of their bytes, so that the order is that of a shuffle: a random sample of the rows is
the beginning of it, the same one however the rows came. The matrix is read in blocks; one that is memory-mapped is
never copied as a whole.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.errors import BuildError

Matrix = NDArray[np.floating[Any]]

BLOCK_ROWS = 16_384
_DIGEST_BYTES = 16


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """Which rows of a matrix are alike; as 32-bit floats, in which they are compared."""

    first: NDArray[np.int64]
    """(distinct) Index of a row with each content, in canonical order."""
    counts: NDArray[np.int64]
    """(distinct) How many rows have that content."""
    of_row: NDArray[np.int64]
    """(rows) Position in `first` of each row's content."""


def distinct_rows(vectors: Matrix, *, seed: int) -> DistinctRows:
    """The distinct rows, in an order that depends on their contents and the seed.

    Raises:
        BuildError: the matrix has no rows or no columns, or a row is not finite.
    """
    _check_shape(vectors)
    digests = bytearray()
    salt = seed.to_bytes(8, "little", signed=True)
    for start, block in _blocks(vectors):
        _check_finite(block, start, len(vectors))
        for row in block:
            digests += hashlib.blake2b(row, digest_size=_DIGEST_BYTES, salt=salt).digest()
    words = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    order = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[order]
    is_new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    of_row = np.empty(len(vectors), dtype=np.int64)
    of_row[order] = np.cumsum(is_new) - 1
    return DistinctRows(first=order[is_new], counts=np.bincount(of_row), of_row=of_row)


def check_rows(vectors: Matrix) -> None:
    """Refuse what no distance can be taken of.

    Raises:
        BuildError: the matrix has no rows or no columns, or a row is not finite.
    """
    _check_shape(vectors)
    for start, block in _blocks(vectors):
        _check_finite(block, start, len(vectors))


def _check_shape(vectors: Matrix) -> None:
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise BuildError(
            f"the embeddings have shape {vectors.shape}, at least one row and one column are needed"
        )


def _blocks(vectors: Matrix) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start in range(0, len(vectors), BLOCK_ROWS):
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            block = np.ascontiguousarray(vectors[start : start + BLOCK_ROWS], dtype=np.float32)
        yield start, block + np.float32(0)  # which makes 0.0 of -0.0


def _check_finite(block: NDArray[np.float32], start: int, n_rows: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("ij,ij->i", block, block)
    bad = np.flatnonzero(~np.isfinite(squared))
    if not len(bad):
        return
    row = start + int(bad[0])
    what = "NaN" if np.isnan(block[bad[0]]).any() else "infinite, or too large to be squared"
    raise BuildError(
        f"row {row} of {n_rows} embeddings is not finite: it holds numbers that are {what}; an embedder must give "
        "finite numbers for every text"
    )
