"""Agglomeration against SciPy, silhouettes against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from taxonomy.clustering import LINKAGES, Linkage, agglomerate, merge_silhouettes

SEEDS = st.integers(0, 2**32 - 1)
LINKAGE = st.sampled_from(LINKAGES)


def points(seed: int, n: int, dimensions: int) -> NDArray[np.float64]:
    """Clumps and a few points far off, no two alike."""
    source = np.random.default_rng(seed)
    middles = source.normal(size=(4, dimensions)) * 3
    return middles[source.integers(0, 4, n)] + source.normal(size=(n, dimensions)) * source.choice(
        [0.1, 1, 4]
    )


def grid(seed: int, n: int) -> NDArray[np.float64]:
    """Few places for many points, so that many are alike and many distances are."""
    return np.random.default_rng(seed).integers(0, 3, size=(n, 2)).astype(np.float64)


def distances_of(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return squareform(pdist(vectors))


@given(SEEDS, st.integers(2, 40), st.integers(1, 5), LINKAGE)
def test_equal_weights_merge_as_scipy_does(seed: int, n: int, dimensions: int, linkage: Linkage) -> None:
    vectors = points(seed, n, dimensions)
    found = agglomerate(distances_of(vectors), np.ones(n), linkage=linkage)
    expected = scipy_linkage(vectors, method=linkage)
    np.testing.assert_allclose(found.heights, expected[:, 2], rtol=1e-9)
    assert found.largest == n
    for n_clusters in range(1, n + 1):
        ours, theirs = found.assignment(n_clusters), cut_tree(expected, n_clusters=n_clusters).ravel()
        assert len(set(ours.tolist())) == n_clusters
        assert adjusted_rand_score(ours, theirs) == 1.0


@given(SEEDS, st.integers(2, 12), LINKAGE)
def test_a_weight_counts_as_so_many_copies(seed: int, n: int, linkage: Linkage) -> None:
    vectors = points(seed, n, 3)
    copies = np.random.default_rng(seed).integers(1, 5, n)
    weighted = agglomerate(distances_of(vectors), copies.astype(np.float64), linkage=linkage)
    expected = scipy_linkage(np.repeat(vectors, copies, axis=0), method=linkage)
    np.testing.assert_allclose(weighted.heights, expected[-(n - 1) :, 2], rtol=1e-7)
    for n_clusters in range(1, n + 1):
        theirs = cut_tree(expected, n_clusters=n_clusters).ravel()
        assert adjusted_rand_score(np.repeat(weighted.assignment(n_clusters), copies), theirs) == 1.0


@given(SEEDS, st.integers(2, 30), LINKAGE, st.integers(1, 12))
def test_every_cluster_of_a_cut_weighs_enough(seed: int, n: int, linkage: Linkage, least: int) -> None:
    weights = np.random.default_rng(seed).integers(1, 6, n).astype(np.float64)
    found = agglomerate(distances_of(points(seed, n, 2)), weights, linkage=linkage, min_weight=least)
    assert found.largest >= 1
    for n_clusters in range(2, found.largest + 1):
        loads = np.bincount(found.assignment(n_clusters), weights=weights)
        assert loads[loads > 0].min() >= least
    assert (np.diff(found.heights[n - found.largest :]) >= -1e-9).all()
    thresholds = [found.threshold(n_clusters) for n_clusters in range(1, found.largest + 1)]
    assert thresholds == sorted(thresholds, reverse=True)


def test_an_outlier_joins_its_nearest_and_costs_no_level() -> None:
    line = np.array([[0.0], [1.0], [10.0], [11.0], [50.0]])
    weights = np.array([5.0, 5.0, 5.0, 5.0, 1.0])
    found = agglomerate(distances_of(line), weights, linkage="ward", min_weight=2)
    assert found.largest == 4
    assert found.assignment(4).tolist() == [0, 1, 2, 3, 3]
    alone = agglomerate(distances_of(line), weights, linkage="ward", min_weight=1)
    assert alone.assignment(2).tolist() == [0, 0, 0, 0, 4]


@given(SEEDS, st.integers(3, 40), st.integers(1, 5), LINKAGE, st.integers(1, 4))
def test_silhouettes_are_those_of_scikit_learn(
    seed: int, n: int, dimensions: int, linkage: Linkage, least: int
) -> None:
    vectors = points(seed, n, dimensions)
    weights = np.random.default_rng(seed).integers(1, 6, n).astype(np.float64)
    distances = distances_of(vectors)
    dendrogram = agglomerate(distances, weights, linkage=linkage, min_weight=least)
    found = merge_silhouettes(distances, dendrogram, largest=n)
    assert np.isnan(found[[0, 1, n]]).all()
    for n_clusters in range(2, n):
        expected = silhouette_score(vectors, dendrogram.assignment(n_clusters))
        assert found[n_clusters] == pytest.approx(expected, abs=1e-9)


@given(SEEDS, st.integers(3, 40), LINKAGE)
def test_silhouettes_of_points_that_are_alike(seed: int, n: int, linkage: Linkage) -> None:
    distances = distances_of(grid(seed, n))
    dendrogram = agglomerate(distances, np.ones(n), linkage=linkage)
    found = merge_silhouettes(distances, dendrogram, largest=n)
    for n_clusters in range(2, n):
        labels = dendrogram.assignment(n_clusters)
        expected = silhouette_score(distances, labels, metric="precomputed")
        assert found[n_clusters] == pytest.approx(expected, abs=1e-9)


@given(SEEDS, st.integers(3, 40), st.data())
def test_silhouettes_may_begin_at_any_cut(seed: int, n: int, data: st.DataObject) -> None:
    distances = distances_of(points(seed, n, 3))
    dendrogram = agglomerate(distances, np.ones(n), linkage="ward")
    largest = data.draw(st.integers(1, n))
    part = merge_silhouettes(distances, dendrogram, largest=largest)
    whole = merge_silhouettes(distances, dendrogram, largest=n)
    np.testing.assert_allclose(part, whole[: largest + 1], atol=1e-12)
