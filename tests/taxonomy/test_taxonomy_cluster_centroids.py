import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from taxonomy import BuildError
from taxonomy.clustering import Centroids, centroids
from taxonomy.clustering.kmeans import MIN_SAMPLED

SEEDS = st.integers(0, 2**32 - 1)


def rows(seed: int, n: int, dimensions: int, middles: int = 6) -> NDArray[np.float32]:
    """Clumps of rows, one row in four like another."""
    source = np.random.default_rng(seed)
    found = source.normal(size=(middles, dimensions)) * 4
    made = found[source.integers(0, middles, n)] + source.normal(size=(n, dimensions))
    made[: n // 4] = made[source.integers(0, n, n // 4)]
    return made.astype(np.float32)


def assert_same(found: Centroids, other: Centroids, order: NDArray[np.int64]) -> None:
    """To the last bit; `order` says which rows of the first the second has."""
    np.testing.assert_array_equal(other.vectors, found.vectors)
    np.testing.assert_array_equal(other.sizes, found.sizes)
    np.testing.assert_array_equal(other.assignment, found.assignment[order])
    assert other.warnings == found.warnings


@given(SEEDS, st.integers(1, 120), st.integers(1, 6), st.integers(1, 30))
def test_shuffled_rows_get_the_same_centroids(seed: int, n_rows: int, dimensions: int, n: int) -> None:
    vectors = rows(seed, n_rows, dimensions)
    found = centroids(vectors, n=n, seed=seed)
    for shuffle in range(5):
        order = np.random.default_rng(shuffle).permutation(n_rows)
        assert_same(found, centroids(vectors[order], n=n, seed=seed), order)


def test_shuffled_rows_get_the_same_centroids_from_a_sample() -> None:
    vectors = rows(3, 2 * MIN_SAMPLED, 5)
    found = centroids(vectors, n=12, seed=1)
    assert found.sizes.sum() == len(vectors)
    for shuffle in range(5):
        order = np.random.default_rng(shuffle).permutation(len(vectors))
        assert_same(found, centroids(vectors[order], n=12, seed=1), order)


@given(SEEDS, st.integers(1, 120), st.integers(1, 6), st.integers(1, 30))
def test_centroids_are_the_means_of_their_rows(seed: int, n_rows: int, dimensions: int, n: int) -> None:
    vectors = rows(seed, n_rows, dimensions)
    found = centroids(vectors, n=n, seed=seed)
    assert len(found.vectors) == len(found.sizes) <= min(n, len(np.unique(vectors, axis=0)))
    np.testing.assert_array_equal(found.sizes, np.bincount(found.assignment))
    assert found.sizes.min() >= 1
    for number, vector in enumerate(found.vectors):
        inside = vectors[found.assignment == number].astype(np.float64)
        np.testing.assert_allclose(vector, inside.mean(axis=0), atol=1e-4)
    gaps = np.linalg.norm(vectors[:, None] - found.vectors, axis=2)
    own = gaps[np.arange(n_rows), found.assignment]
    assert (own <= gaps.min(axis=1) + 1e-3).all()


@pytest.mark.parametrize("count", [2_000, 2 * MIN_SAMPLED])
def test_centroids_are_as_near_as_those_of_scikit_learn(count: int) -> None:
    vectors = rows(11, count, 8, middles=40)
    found = centroids(vectors, n=25, seed=0)
    error = float(((vectors - found.vectors[found.assignment]) ** 2).sum())
    assert error < 1.1 * KMeans(25, n_init=3, random_state=0).fit(vectors).inertia_


def test_rows_alike_stay_together() -> None:
    vectors = np.repeat(rows(5, 300, 4), 3, axis=0)
    found = centroids(vectors, n=40, seed=0)
    assert (found.assignment.reshape(-1, 3) == found.assignment[::3, None]).all()


def test_signed_zeros_are_alike() -> None:
    found = centroids(np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32), n=2, seed=0)
    assert found.assignment.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_memory_mapped_file_of_any_float_is_read(tmp_path: Path, dtype: type) -> None:
    vectors = rows(7, 500, 6).astype(np.float16).astype(dtype)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert_same(
        centroids(vectors.astype(np.float32), n=20, seed=0),
        centroids(mapped, n=20, seed=0),
        np.arange(len(vectors)),
    )


def test_fewer_different_rows_than_centroids_are_said() -> None:
    vectors = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 2, dtype=np.float32)
    found = centroids(vectors, n=4, seed=0)
    assert sorted(found.sizes.tolist()) == [2, 5]
    assert found.warnings == (
        "4 centroids were asked for, but only 2 of 7 embeddings differ: built with 2 (--n_centroids)",
    )
    assert centroids(vectors, n=2, seed=0).warnings == ()
    (one,) = centroids(vectors[:1], n=1, seed=0).vectors.tolist()
    assert one == [1.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("row", [0, 17_000])
def test_numbers_that_are_not_finite_are_refused(bad: float, row: int) -> None:
    vectors = rows(1, 17_001, 3)
    vectors[row, 1] = bad
    what = "NaN" if math.isnan(bad) else "infinite, or too large to be squared"
    with pytest.raises(BuildError, match=f"row {row} of 17001 embeddings is not finite.*{what}"):
        centroids(vectors, n=3, seed=0)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_embeddings_without_rows_or_columns_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BuildError, match="at least one row and one column"):
        centroids(np.zeros(shape), n=2, seed=0)


def test_no_centroids_are_refused() -> None:
    with pytest.raises(BuildError, match=r"at least 1 is allowed \(--n_centroids\)"):
        centroids(rows(0, 9, 2), n=0, seed=0)


@settings(max_examples=20)
@given(st.integers(-(2**63), 2**63 - 1))
def test_any_seed_will_do(seed: int) -> None:
    assert len(centroids(rows(0, 60, 2), n=5, seed=seed).sizes) == 5
