"""Levels of a taxonomy: nested cuts of the tree that agglomeration makes of centroids.

What the weights, the numbers of chunks of the centroids, are for: the least size of a cluster, and the merges of ward
and average linkage, so that they come near to what agglomerating the chunks themselves would do. Silhouettes count each
centroid once, as the usual one does, and those that are alike together once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform

from taxonomy.clustering.agglomeration import agglomerate
from taxonomy.clustering.cuts import Cut, cut_at, score
from taxonomy.clustering.distinct_rows import check_rows
from taxonomy.clustering.level_sizes import LevelRules, choose_level_sizes
from taxonomy.clustering.silhouettes import merge_silhouettes
from taxonomy.errors import BuildError

MAX_ITEMS = 8192
"""Items that can be agglomerated: all their distances are kept, three times over."""
_DECIMALS = 9
"""Vectors are rounded before they are compared, so that the last bits of a sum never decide a merge."""


@dataclass(frozen=True)
class ChosenLevels:
    """The levels, and what is to be said of them."""

    cuts: tuple[Cut, ...]
    """One per level, from one cluster on; each divides clusters of the one before."""
    warnings: tuple[str, ...]
    """What differs from what was asked for, in sentences."""


def choose_levels(vectors: NDArray[np.floating[Any]], weights: ArrayLike, rules: LevelRules) -> ChosenLevels:
    """Nested cuts whose sizes grow from general to specific, chosen by silhouette.

    The order of the items decides how clusters are numbered, and nothing else.

    Args:
        vectors: one row per item.
        weights: one per item, above 0: its number of chunks, where items are centroids.
        rules: which cuts may become levels.

    Raises:
        BuildError: no items, too many, a row that is not finite, weights that do not fit, or fixed sizes that the
            items do not carry.
    """
    weights = np.asarray(weights, dtype=np.float64)
    _check(vectors, weights)
    rounded = np.round(np.asarray(vectors, dtype=np.float64), _DECIMALS) + 0.0  # which makes 0.0 of -0.0
    # Sorted, so that the order of the items decides nothing, and items that are alike are never divided.
    distinct, of_item = np.unique(rounded, axis=0, return_inverse=True)
    of_item = of_item.ravel()
    distances = squareform(pdist(distinct))
    dendrogram = agglomerate(
        distances,
        np.bincount(of_item, weights=weights).astype(np.float64),
        linkage=rules.linkage,
        min_weight=rules.min_cluster_size,
    )
    largest = dendrogram.largest
    if rules.fixed_sizes is None:
        silhouettes = merge_silhouettes(distances, dendrogram, largest=min(largest, rules.max_clusters))
        sizes = choose_level_sizes(rules, largest, lambda size: score(silhouettes[size]))
        warnings = _shortfalls(rules, largest, len(distinct), sizes)
    else:
        sizes, warnings = rules.fixed_sizes, ()
        _check_carried(sizes, largest, rules.min_cluster_size)
        silhouettes = merge_silhouettes(distances, dendrogram, largest=sizes[-1])
    cuts = tuple(cut_at(dendrogram, of_item, silhouettes, size) for size in sizes)
    return ChosenLevels(cuts, warnings)


def check_number_of_items(n_items: int) -> None:
    """Raises BuildError where there are more than can be agglomerated."""
    if n_items > MAX_ITEMS:
        raise BuildError(
            f"there are {n_items} centroids, at most {MAX_ITEMS} can be agglomerated (--n_centroids)"
        )


def _check(vectors: NDArray[np.floating[Any]], weights: NDArray[np.float64]) -> None:
    check_rows(vectors)
    check_number_of_items(len(vectors))
    if weights.shape != (len(vectors),):
        raise BuildError(
            f"there are {len(vectors)} items and weights of shape {weights.shape}, one each is needed"
        )
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise BuildError(f"the least weight of an item is {weights.min()}, finite ones above 0 are allowed")


def _check_carried(sizes: tuple[int, ...], largest: int, min_cluster_size: int) -> None:
    if sizes[-1] > largest:
        raise BuildError(
            f"level sizes are {sizes}, but the embeddings carry {largest} clusters at most of a size of "
            f"{min_cluster_size} or more (--level_sizes, --min_cluster_size)"
        )


def _shortfalls(rules: LevelRules, largest: int, n_items: int, sizes: tuple[int, ...]) -> tuple[str, ...]:
    if len(sizes) >= rules.levels and (len(sizes) == 1 or largest >= rules.min_clusters):
        return ()
    built = ", ".join(map(str, sizes))
    return (
        f"{rules.levels} levels were asked for, of {rules.min_clusters} to {rules.max_clusters} clusters below the "
        f"root, but the centroids ({n_items} that differ) allow {largest} at most of a size of "
        f"{rules.min_cluster_size} or more: built with {len(sizes)}, of {built} "
        "(--levels, --min_clusters, --max_clusters, --min_cluster_size)",
    )
