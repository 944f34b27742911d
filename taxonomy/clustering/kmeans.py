"""K-means to centroids, for ten vectors or a million.

Distinct rows are clustered, each as often as it occurs, in their canonical order: the centroids and the assignment
are a function of the rows and the seed, whatever order the rows come in. Where there are many, centroids are
trained on a sample, and then every row goes to the nearest. A matrix that is memory-mapped is read in blocks.

The floating-point library may round differently with another number of threads; with the same number, results are
the same to the last bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from sklearn.cluster import kmeans_plusplus

from taxonomy.clustering.cuts import Cut
from taxonomy.clustering.distinct_rows import BLOCK_ROWS, Matrix, distinct_rows
from taxonomy.errors import BuildError

SAMPLED_PER_CENTROID = 128
"""Distinct rows that centroids are trained on, at most, and at least `MIN_SAMPLED` where there are as many."""
MIN_SAMPLED = 16_384
_SEEDED_PER_CENTROID = 16
"""Rows of the sample that the first centres are taken from."""
_MAX_ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class Centroids:
    """Groups of near rows, and the mean of each."""

    vectors: NDArray[np.float64]
    """(centroids, dimensions) The mean of the rows of each."""
    assignment: NDArray[np.int64]
    """(rows) The centroid of each row."""
    sizes: NDArray[np.int64]
    """(centroids) Rows of each, never none."""
    warnings: tuple[str, ...] = ()
    """What differs from what was asked for, in sentences."""

    def spread(self, cut: Cut) -> NDArray[np.int64]:
        """(rows) The cluster of each row at a cut of the centroids."""
        return np.asarray(cut.assignment, dtype=np.int64)[self.assignment]


def centroids(vectors: Matrix, *, n: int, seed: int) -> Centroids:
    """At most `n` centroids of the rows (Euclidean); fewer, with a warning, where fewer rows differ.

    Args:
        vectors: one row per item, of 16-, 32- or 64-bit floats; distances are computed in 32 bits.
        n: centroids wanted.
        seed: decides the sample and the first centres.

    Raises:
        BuildError: no rows, a row that is not finite, or `n` below 1.
    """
    if n < 1:
        raise BuildError(f"the number of centroids is {n}, at least 1 is allowed (--n_centroids)")
    rows = distinct_rows(vectors, seed=seed)
    n_distinct = len(rows.first)
    if n_distinct <= n:
        few = f"{n} centroids were asked for, but only {n_distinct} of {len(vectors)} embeddings differ: "
        return Centroids(
            vectors=np.asarray(vectors[rows.first], dtype=np.float64),
            assignment=rows.of_row,
            sizes=rows.counts,
            warnings=() if n_distinct == n else (f"{few}built with {n_distinct} (--n_centroids)",),
        )
    sampled = rows.first[: max(MIN_SAMPLED, SAMPLED_PER_CENTROID * n)]
    sample = np.asarray(vectors[sampled], dtype=np.float32)
    middle = sample.mean(axis=0)
    centers = _train(sample - middle, rows.counts[: len(sampled)].astype(np.float64), n, seed)
    of_distinct, sums, sizes = _assign(vectors, rows.first, rows.counts, centers, middle)
    kept = np.flatnonzero(sizes)
    number = np.cumsum(sizes > 0) - 1
    return Centroids(
        vectors=sums[kept] / sizes[kept, None] + middle.astype(np.float64),
        assignment=number[of_distinct][rows.of_row],
        sizes=sizes[kept],
        warnings=()
        if len(kept) == n
        else (
            f"{n} centroids were asked for, but no embedding is nearest to {n - len(kept)} of them: left out",
        ),
    )


def _train(
    sample: NDArray[np.float32], weights: NDArray[np.float64], n: int, seed: int
) -> NDArray[np.float32]:
    """Lloyd's iterations from centres that k-means++ spreads out."""
    seeds = slice(0, max(MIN_SAMPLED // 4, _SEEDED_PER_CENTROID * n))
    state = np.random.RandomState(seed % 2**32)
    centers, _ = kmeans_plusplus(sample[seeds], n, sample_weight=weights[seeds], random_state=state)
    before = np.full(len(sample), -1)
    for _ in range(_MAX_ITERATIONS):
        nearest, gaps = _nearest(sample, centers)
        if np.array_equal(nearest, before):
            break
        before = nearest
        sums, masses = _sums(sample, weights, nearest, n)
        empty = np.flatnonzero(masses == 0)
        masses[empty] = 1
        centers = (sums / masses[:, None]).astype(np.float32)
        # An empty cluster starts again at a row that is far from its centre.
        centers[empty] = sample[np.argsort(-gaps, kind="stable")[: len(empty)]]
    trained: NDArray[np.float32] = centers
    return trained


def _assign(
    vectors: Matrix,
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
    centers: NDArray[np.float32],
    middle: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """(nearest centre of each distinct row, sum of the rows of each centre less `middle`, number of these)."""
    nearest = np.empty(len(first), dtype=np.int64)
    sums = np.zeros(centers.shape)
    sizes = np.zeros(len(centers), dtype=np.int64)
    for start in range(0, len(first), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        rows = np.asarray(vectors[first[block]], dtype=np.float32) - middle
        nearest[block], _ = _nearest(rows, centers)
        block_sums, masses = _sums(rows, counts[block].astype(np.float64), nearest[block], len(centers))
        sums += block_sums
        sizes += masses.astype(np.int64)
    return nearest, sums, sizes


def _nearest(
    rows: NDArray[np.float32], centers: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(nearest centre, squared distance to it) of each row; the first of equally near ones."""
    nearest = np.empty(len(rows), dtype=np.int64)
    gaps = np.empty(len(rows), dtype=np.float32)
    squared = np.einsum("ij,ij->i", centers, centers)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        scores = block @ (-2 * centers.T)
        scores += squared
        found = scores.argmin(axis=1)
        nearest[start : start + BLOCK_ROWS] = found
        own = np.einsum("ij,ij->i", block, block)
        gaps[start : start + BLOCK_ROWS] = scores[np.arange(len(block)), found] + own
    return nearest, gaps


def _sums(
    rows: NDArray[np.float32], weights: NDArray[np.float64], assignment: NDArray[np.int64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weighted sum of the rows, total weight) of each of `n` clusters."""
    sums = np.zeros((n, rows.shape[1]))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        inside = weights[block]
        each_row = np.arange(len(inside) + 1)
        membership = csc_array((inside, assignment[block], each_row), shape=(n, len(inside)))
        sums += membership @ rows[block].astype(np.float64)
    masses: NDArray[np.float64] = np.bincount(assignment, weights=weights, minlength=n).astype(np.float64)
    return sums, masses
