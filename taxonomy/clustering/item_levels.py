"""Levels from one cluster to one per item: for given labels, which stay whole."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from taxonomy.clustering.agglomeration import agglomerate
from taxonomy.clustering.cuts import Cut, cut_at, score
from taxonomy.clustering.silhouettes import merge_silhouettes

_DECIMALS = 9
"""Vectors are rounded before they are compared, so that the last bits of a sum never decide a merge."""


def choose_cuts(
    vectors: NDArray[np.float64], levels: int, sizes: tuple[int, ...] | None = None
) -> tuple[Cut, ...]:
    """Nested cuts of a ward tree, from one cluster to one per item, sizes strictly growing.

    Args:
        vectors: one row per item; no two rows need differ.
        levels: how many cuts; at most the number of items, and 1 only for a single item.
        sizes: the sizes themselves, where they are not to be chosen; `levels` is then not used.
    """
    n_items = len(vectors)
    if n_items == 1:
        return (Cut(1, (0,), 0.0, None),)
    distances = squareform(pdist(np.round(vectors, _DECIMALS)))
    dendrogram = agglomerate(distances, np.ones(n_items), linkage="ward")
    silhouettes = merge_silhouettes(distances, dendrogram, largest=n_items)
    sizes = sizes or choose_sizes(n_items, levels, lambda size: score(silhouettes[size]))
    return tuple(cut_at(dendrogram, np.arange(n_items), silhouettes, size) for size in sizes)


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
