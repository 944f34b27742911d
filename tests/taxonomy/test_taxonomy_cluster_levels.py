import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree
from scipy.cluster.hierarchy import linkage as scipy_linkage
from sklearn.metrics import adjusted_rand_score, silhouette_score

from taxonomy import BuildError
from taxonomy.clustering import LINKAGES, LevelRules, Linkage, centroids, choose_cuts, choose_levels
from taxonomy.clustering.level_sizes import choose_level_sizes

SEEDS = st.integers(0, 2**32 - 1)


def items(seed: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vectors in clumps, a few of them alike, and weights."""
    source = np.random.default_rng(seed)
    middles = source.normal(size=(5, 3)) * 4
    vectors = middles[source.integers(0, 5, n)] + source.normal(size=(n, 3))
    vectors[: n // 5] = vectors[source.integers(0, n, n // 5)]
    return vectors, source.integers(1, 9, n)


@st.composite
def rules(draw: st.DrawFn) -> LevelRules:
    levels = draw(st.integers(1, 8))
    min_clusters = draw(st.integers(2, 6))
    return LevelRules(
        levels=levels,
        min_clusters=min_clusters,
        max_clusters=draw(st.integers(min_clusters, 40)),
        min_cluster_size=draw(st.integers(1, 20)),
        linkage=draw(st.sampled_from(LINKAGES)),
        max_depth=draw(st.integers(levels - 1, 10)),
    )


@given(SEEDS, st.integers(1, 60), rules())
def test_levels_nest_and_keep_the_rules(seed: int, n: int, asked: LevelRules) -> None:
    vectors, weights = items(seed, n)
    chosen = choose_levels(vectors, weights, asked)
    sizes = [cut.n_clusters for cut in chosen.cuts]
    assert sizes[0] == 1
    assert all(above < below for above, below in pairwise(sizes))
    assert sizes[-1] <= asked.max_clusters
    assert len(sizes) - 1 <= asked.max_depth
    assert chosen.warnings or (len(sizes) >= asked.levels and all(s >= asked.min_clusters for s in sizes[1:]))
    for cut in chosen.cuts:
        assert sorted(set(cut.assignment)) == list(range(cut.n_clusters))
        firsts = [cut.assignment.index(cluster) for cluster in range(cut.n_clusters)]
        assert firsts == sorted(firsts)
        if cut.n_clusters > 1:
            assert np.bincount(cut.assignment, weights=weights).min() >= asked.min_cluster_size
    for above, below in pairwise(chosen.cuts):
        parents = set(zip(below.assignment, above.assignment, strict=True))
        assert len(parents) == below.n_clusters
        assert above.distance_threshold >= below.distance_threshold


@given(SEEDS, st.integers(1, 60), rules())
def test_shuffled_items_get_the_same_levels(seed: int, n: int, asked: LevelRules) -> None:
    vectors, weights = items(seed, n)
    chosen = choose_levels(vectors, weights, asked)
    for shuffle in range(5):
        order = np.random.default_rng(shuffle).permutation(n)
        again = choose_levels(vectors[order], weights[order], asked)
        assert again.warnings == chosen.warnings
        for cut, other in zip(chosen.cuts, again.cuts, strict=True):
            assert (cut.n_clusters, cut.silhouette, cut.distance_threshold) == (
                other.n_clusters,
                other.silhouette,
                other.distance_threshold,
            )
            assert adjusted_rand_score(np.asarray(cut.assignment)[order], other.assignment) == 1.0


def test_shuffled_rows_get_the_same_tree() -> None:
    vectors = np.random.default_rng(0).normal(size=(3_000, 8)).astype(np.float32)
    asked = LevelRules(levels=4, max_clusters=30)

    def levels(rows: NDArray[np.float32]) -> list[NDArray[np.int64]]:
        found = centroids(rows, n=100, seed=0)
        return [found.spread(cut) for cut in choose_levels(found.vectors, found.sizes, asked).cuts]

    expected = levels(vectors)
    assert [len(set(of_rows.tolist())) for of_rows in expected] == sorted(
        {len(set(of_rows.tolist())) for of_rows in expected}
    )
    for shuffle in range(5):
        order = np.random.default_rng(shuffle).permutation(len(vectors))
        for of_rows, again in zip(expected, levels(vectors[order]), strict=True):
            np.testing.assert_array_equal(again, of_rows[order])


@given(SEEDS, st.integers(8, 60), st.sampled_from(LINKAGES))
def test_silhouettes_are_those_of_scikit_learn(seed: int, n: int, linkage: Linkage) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 4))
    weights = np.random.default_rng(seed).integers(1, 9, n)
    chosen = choose_levels(vectors, weights, LevelRules(levels=3, min_cluster_size=1, linkage=linkage))
    for cut in chosen.cuts:
        if 1 < cut.n_clusters < n:
            assert cut.silhouette == pytest.approx(silhouette_score(vectors, cut.assignment), abs=1e-6)
        else:
            assert cut.silhouette is None


def test_the_number_of_clumps_is_found() -> None:
    source = np.random.default_rng(2)
    coarse = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]])
    fine = np.concatenate([coarse + 8 * np.array(way) for way in ((0, 0), (1, 0), (0, 1))])
    vectors = np.repeat(fine, 6, axis=0) + source.normal(size=(54, 2)) * 0.3
    chosen = choose_levels(vectors, np.full(54, 10), LevelRules(levels=3, max_clusters=15))
    assert [cut.n_clusters for cut in chosen.cuts] == [1, 3, 9]


def test_items_alike_are_never_divided() -> None:
    chosen = choose_levels(np.ones((30, 4)), np.full(30, 5), LevelRules())
    assert [cut.assignment for cut in chosen.cuts] == [(0,) * 30]
    assert chosen.warnings == (
        "7 levels were asked for, of 2 to 15 clusters below the root, but the centroids (1 that differ) allow 1 at "
        "most of a size of 2 or more: built with 1, of 1 "
        "(--levels, --min_clusters, --max_clusters, --min_cluster_size)",
    )


def test_one_item_is_one_level() -> None:
    (cut,) = choose_levels(np.ones((1, 2)), [7], LevelRules(levels=1)).cuts
    assert (cut.n_clusters, cut.assignment, cut.distance_threshold, cut.silhouette) == (1, (0,), 0.0, None)


def test_sizes_of_ones_own() -> None:
    vectors, weights = items(4, 40)
    asked = LevelRules(fixed_sizes=(1, 3, 11), min_cluster_size=2)
    assert [cut.n_clusters for cut in choose_levels(vectors, weights, asked).cuts] == [1, 3, 11]
    with pytest.raises(
        BuildError, match=r"sizes are \(1, 90\), but the embeddings carry \d+ clusters at most"
    ):
        choose_levels(vectors, weights, LevelRules(fixed_sizes=(1, 90)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"levels": 0}, "--levels"),
        ({"min_clusters": 1}, "at least 2 is allowed .--min_clusters."),
        ({"max_clusters": 3, "min_clusters": 4}, "max_clusters is 3.*which is 4"),
        ({"min_cluster_size": 0}, "--min_cluster_size"),
        ({"max_depth": 3}, "levels is 7, which is 6 below the root, and max_depth allows 3"),
        ({"linkage": "single"}, "'single', allowed are ward, average, complete"),
        ({"fixed_sizes": (2, 3)}, "--level_sizes"),
        ({"fixed_sizes": (1, 3, 3)}, "--level_sizes"),
    ],
)
def test_rules_that_cannot_be(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        LevelRules(**parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("vectors", "weights", "message"),
    [
        ([[math.nan, 1.0], [0.0, 1.0]], [1, 1], "row 0 of 2 embeddings is not finite.*NaN"),
        ([[0.0, 1.0], [1.0, 1.0]], [1], "2 items and weights of shape"),
        ([[0.0, 1.0], [1.0, 1.0]], [1, 0], "least weight of an item is 0.0"),
        ([[0.0, 1.0], [1.0, 1.0]], [1, math.nan], "finite ones above 0"),
        ([[0.0]] * 8193, [1] * 8193, "8193 centroids, at most 8192"),
        ([[]], [1], "at least one row and one column"),
    ],
)
def test_items_that_cannot_be_agglomerated(
    vectors: list[list[float]], weights: list[float], message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        choose_levels(np.asarray(vectors), weights, LevelRules())


def test_the_best_scoring_size_of_a_window_is_taken() -> None:
    asked = LevelRules(levels=3, max_clusters=100, max_depth=2)
    assert choose_level_sizes(asked, 100, lambda size: 0.0) == (1, 10, 100)
    assert choose_level_sizes(asked, 100, lambda size: float(size in (27, 88))) == (1, 27, 88)
    assert choose_level_sizes(asked, 4, lambda size: 0.0) == (1, 2, 4)
    assert choose_level_sizes(asked, 1, lambda size: 0.0) == (1,)


def test_a_further_level_where_a_size_stands_out() -> None:
    def score(size: int) -> float:
        return {10: 0.1, 20: 0.3, 31: 0.1, 99: 0.2}.get(size, 0.0)

    asked = LevelRules(levels=3, max_clusters=100, max_depth=2)
    assert choose_level_sizes(asked, 100, score) == (1, 20, 99)
    deeper = LevelRules(levels=3, max_clusters=100, max_depth=5)
    peaks = {3: 0.35, 8: 0.2, 20: 0.3, 45: 0.15, 99: 0.2}
    assert choose_level_sizes(deeper, 100, lambda size: peaks.get(size, 0.0)) == (1, 3, 20, 99)


@given(SEEDS, rules(), st.integers(1, 60))
def test_sizes_grow_strictly_from_one(seed: int, asked: LevelRules, largest: int) -> None:
    scores = np.random.default_rng(seed).random(largest + 1)
    sizes = choose_level_sizes(asked, largest, lambda size: float(scores[size]))
    assert sizes[0] == 1
    assert all(above < below for above, below in pairwise(sizes))
    assert sizes[-1] <= min(largest, asked.max_clusters)
    possible = min(largest, asked.max_clusters) - min(asked.min_clusters, largest) + 1
    assert len(sizes) >= min(asked.levels, 1 + possible if largest > 1 else 1)
    assert len(sizes) <= asked.max_depth + 1


@given(SEEDS, st.integers(2, 30), st.integers(2, 6))
def test_cuts_of_given_labels_are_those_of_scipy_and_scikit_learn(seed: int, n: int, levels: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    cuts = choose_cuts(vectors, min(levels, n))
    assert (cuts[0].n_clusters, cuts[-1].n_clusters) == (1, n)
    merges = scipy_linkage(np.round(vectors, 9), method="ward")
    for cut in cuts:
        expected = cut_tree(merges, n_clusters=cut.n_clusters).ravel()
        assert adjusted_rand_score(cut.assignment, expected) == 1.0
        if 1 < cut.n_clusters < n:
            assert cut.silhouette == round(float(silhouette_score(np.round(vectors, 9), expected)), 6)
