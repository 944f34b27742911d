"""Silhouettes of all nested cuts of a tree in one walk up its merges, exact.

The silhouette of an item is (b - a) / max(a, b): a is its mean distance to the others of its cluster, b the least
mean distance to another cluster, and it is 0 for an item alone (Rousseeuw, 1987). That of a cut is the mean over its
items. Computed for each cut from nothing, it costs all distances again each time. Here the sum of distances from each
cluster to each item is kept, and the nearest other cluster of each item. A merge adds two rows of sums. Since the mean
distance to what is merged lies between those to its halves, only items whose nearest cluster was one of the two look
for another: a few passes over the items for each merge.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxonomy.clustering.agglomeration import Dendrogram


def merge_silhouettes(
    distances: NDArray[np.float64], dendrogram: Dendrogram, *, largest: int
) -> NDArray[np.float64]:
    """The silhouettes of the cuts into 0 to `largest` clusters, at the index of their number.

    NaN where it is undefined: for fewer than 2 clusters and for one cluster per item.

    Args:
        distances: (items, items) Euclidean distances.
        dendrogram: of the same items.
        largest: number of clusters to begin with, at most the number of items.
    """
    n_items = dendrogram.n_items
    scores = np.full(largest + 1, np.nan)
    walk = _Walk(distances, dendrogram.assignment(largest))
    for n_clusters in range(largest, 1, -1):
        if n_clusters < n_items:
            scores[n_clusters] = walk.silhouette()
        if n_clusters > 2:
            into, gone = dendrogram.merges[n_items - n_clusters]
            walk.merge(int(into), int(gone))
    return scores


class _Walk:
    """What the silhouettes of one cut need, kept up to date from merge to merge."""

    def __init__(self, distances: NDArray[np.float64], assignment: NDArray[np.int64]) -> None:
        n_items = len(assignment)
        self._items = np.arange(n_items)
        self._own = assignment.copy()
        """(items) The cluster of each item, known by its first item."""
        self._clusters = np.unique(assignment)
        """The clusters there are."""
        self._sizes = np.bincount(assignment, minlength=n_items).astype(np.float64)
        membership = csr_array((np.ones(n_items), (assignment, self._items)), shape=(n_items, n_items))
        self._sums: NDArray[np.float64] = membership @ distances
        """(clusters, items) The sum of the distances from the items of each cluster."""
        self._own_sums = self._sums[self._own, self._items]
        self._nearest = np.empty(n_items, dtype=np.int64)
        """(items) The nearest other cluster."""
        self._nearest_mean = np.empty(n_items)
        if len(self._clusters) > 1:
            self._find_nearest(self._items)

    def silhouette(self) -> float:
        """Of the cut as it is; at least two clusters."""
        sizes = self._sizes[self._own]
        apart = self._nearest_mean
        within = self._own_sums / np.maximum(sizes - 1, 1)
        larger = np.maximum(apart, within)
        defined = (sizes > 1) & (larger > 0)
        return float(np.sum((apart - within)[defined] / larger[defined]) / len(sizes))

    def merge(self, into: int, gone: int) -> None:
        self._sums[into] += self._sums[gone]
        self._sizes[into] += self._sizes[gone]
        self._clusters = self._clusters[self._clusters != gone]
        members = np.flatnonzero((self._own == into) | (self._own == gone))
        self._own[members] = into
        self._own_sums[members] = self._sums[into, members]
        self._find_nearest(np.flatnonzero((self._nearest == into) | (self._nearest == gone)))

    def _find_nearest(self, items: NDArray[np.int64]) -> None:
        means = self._sums[self._clusters[:, None], items]
        means /= self._sizes[self._clusters, None]
        means[np.searchsorted(self._clusters, self._own[items]), np.arange(len(items))] = np.inf
        found = means.argmin(axis=0)
        self._nearest[items] = self._clusters[found]
        self._nearest_mean[items] = means[found, np.arange(len(items))]
