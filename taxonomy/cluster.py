"""Agglomeration, and which of its cuts become the levels of a taxonomy."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from sklearn.metrics import silhouette_score

_DECIMALS = 9
"""Vectors are rounded before they are compared, so that the last bits of a sum never decide a merge."""


@dataclass(frozen=True)
class Cut:
    """One level: how many clusters, and which item is in which."""

    n_clusters: int
    assignment: tuple[int, ...]
    """Cluster of each item, numbered in the order of their first items."""
    distance_threshold: float
    """A merge distance that separates this cut from its neighbours: halfway between the two merges around
    it."""
    silhouette: float | None
    """Euclidean silhouette; None for one cluster and for one cluster per item, where it is undefined."""


def choose_cuts(
    vectors: NDArray[np.float64], levels: int, sizes: tuple[int, ...] | None = None
) -> tuple[Cut, ...]:
    """Nested cuts of a ward tree, from one cluster to one per item, sizes strictly growing.

    Args:
        vectors: one row per item; no two rows need differ.
        levels: how many cuts; at most the number of items, and 1 only for a single item.
        sizes: the sizes themselves, where they are not to be chosen; `levels` is then not used.
    """
    vectors = np.round(vectors, _DECIMALS)
    n_items = len(vectors)
    if n_items == 1:
        return (Cut(1, (0,), 0.0, None),)
    merges = linkage(vectors, method="ward")
    # All at once: SciPy walks the whole tree for a single cut too. The last column is that of one cluster.
    partitions = cut_tree(merges)
    cuts: dict[int, Cut] = {}

    def score(n_clusters: int) -> float:
        cuts[n_clusters] = _cut(vectors, merges, partitions[:, n_items - n_clusters])
        silhouette = cuts[n_clusters].silhouette
        return -math.inf if silhouette is None else silhouette

    sizes = sizes or choose_sizes(n_items, levels, score)
    return tuple(cuts.get(size) or _cut(vectors, merges, partitions[:, n_items - size]) for size in sizes)


def choose_sizes(n_items: int, levels: int, score: Callable[[int], float]) -> tuple[int, ...]:
    """Strictly growing sizes from 1 to `n_items`.

    The sizes in between start from a geometric progression; each is the best-scoring one within its window,
    which reaches to the geometric middle between it and its neighbours. Equal scores go to the size nearest
    the progression.
    """
    if levels == 1:
        return (1,)
    targets = [n_items ** (rank / (levels - 1)) for rank in range(levels)]
    sizes = [1]
    for rank in range(1, levels - 1):
        last_possible = n_items - (levels - 1 - rank)
        low = min(max(sizes[-1] + 1, math.ceil(math.sqrt(targets[rank - 1] * targets[rank]))), last_possible)
        high = max(low, min(last_possible, math.floor(math.sqrt(targets[rank] * targets[rank + 1]))))
        window = sorted(range(low, high + 1), key=lambda size: (abs(size - targets[rank]), size))
        sizes.append(max(window, key=score) if len(window) > 1 else low)
    return (*sizes, n_items)


def _cut(vectors: NDArray[np.float64], merges: NDArray[np.float64], partition: NDArray[np.int64]) -> Cut:
    n_items = len(vectors)
    assignment = _numbered_by_first_item(partition.tolist())
    n_clusters = max(assignment) + 1
    heights = merges[:, 2]
    below = 0.0 if n_clusters == n_items else float(heights[n_items - n_clusters - 1])
    above = below if n_clusters == 1 else float(heights[n_items - n_clusters])
    defined = 1 < n_clusters < n_items
    return Cut(
        n_clusters=n_clusters,
        assignment=assignment,
        distance_threshold=round((below + above) / 2, 6),
        silhouette=round(float(silhouette_score(vectors, assignment)), 6) if defined else None,
    )


def _numbered_by_first_item(assignment: list[int]) -> tuple[int, ...]:
    numbers: dict[int, int] = {}
    return tuple(numbers.setdefault(cluster, len(numbers)) for cluster in assignment)
