"""Agglomeration of weighted items, with a least weight that every cluster of a cut must have.

While a cluster weighs less than that, the lightest one joins its nearest: an outlier is part of something, and never
a level's cluster of its own. From then on, the two nearest clusters are merged until one is left (Lance and
Williams, 1967). With equal weights and a least weight of 1 it is SciPy's `linkage`, but for the order of ties.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Linkage = Literal["ward", "average", "complete"]
LINKAGES: tuple[Linkage, ...] = get_args(Linkage)


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """All merges of a set of items, from one cluster per item to one cluster.

    A cluster is known by its first item.
    """

    merges: NDArray[np.int64]
    """(items - 1, 2) Two clusters in the order of merging; the second becomes part of the first."""
    heights: NDArray[np.float64]
    """(items - 1) The distance of the two; it never falls once every cluster weighs enough."""
    largest: int
    """The largest number of clusters that all weigh enough."""

    @property
    def n_items(self) -> int:
        return len(self.merges) + 1

    def assignment(self, n_clusters: int) -> NDArray[np.int64]:
        """(items) The cluster of each item where there are so many."""
        cluster_of = np.arange(self.n_items)
        for into, gone in self.merges[: self.n_items - n_clusters]:
            cluster_of[cluster_of == gone] = into
        return cluster_of

    def threshold(self, n_clusters: int) -> float:
        """Halfway between the merges before and after the cut into so many; 0 stands for the one before the
        largest cut, the one before stands for the one after a single cluster."""
        done = self.n_items - n_clusters
        below = 0.0 if n_clusters >= self.largest else float(self.heights[done - 1])
        above = below if n_clusters == 1 else float(self.heights[done])
        return (below + above) / 2


def agglomerate(
    distances: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    linkage: Linkage,
    min_weight: float = 1.0,
) -> Dendrogram:
    """The merges of all items.

    Args:
        distances: (items, items) Euclidean distances.
        weights: (items) how much each item counts for: as so many copies of it would, in ward and average.
        linkage: ward (least growth of the squared error), average, or complete (the farthest pair).
        min_weight: least weight of a cluster of a cut.
    """
    state = _State(distances, weights, linkage)
    n_items = len(distances)
    merges = np.empty((n_items - 1, 2), dtype=np.int64)
    heights = np.empty(n_items - 1)
    largest = 1
    for step in range(n_items - 1):
        lightest = int(state.loads.argmin())
        if state.loads[lightest] >= min_weight:
            largest = max(largest, n_items - step)
            one = int(state.nearest_distance.argmin())
        else:
            one = lightest
        other = int(state.nearest[one])
        merges[step] = into, gone = min(one, other), max(one, other)
        heights[step] = state.merge(into, gone)
    return Dendrogram(merges, heights, largest)


class _State:
    """The distances between the clusters so far, and the nearest one of each."""

    def __init__(
        self, distances: NDArray[np.float64], weights: NDArray[np.float64], linkage: Linkage
    ) -> None:
        self._linkage = linkage
        self._weights = weights.astype(np.float64)
        if linkage == "ward":  # squared, and doubled so that two items of weight 1 keep their distance
            self._between = distances**2
            self._between *= 2 * self._weights[:, None]
            self._between *= self._weights
            self._between /= self._weights[:, None] + self._weights
        else:
            self._between = distances.copy()
        np.fill_diagonal(self._between, np.inf)
        self.loads = self._weights.copy()
        """Weight of each cluster; infinite for what is none any more."""
        self.nearest = self._between.argmin(axis=1)
        self.nearest_distance = self._between[np.arange(len(distances)), self.nearest]

    def merge(self, into: int, gone: int) -> float:
        """Merge two clusters; their distance."""
        height = float(self._between[into, gone])
        merged = self._distances_after(into, gone, height)
        merged[[into, gone]] = np.inf
        self._between[into] = self._between[:, into] = merged
        self._between[gone] = self._between[:, gone] = np.inf
        self._weights[into] += self._weights[gone]
        self.loads[into] = self._weights[into]
        self.loads[gone] = np.inf
        nearer = merged < self.nearest_distance  # only while light clusters join others
        self.nearest[nearer] = into
        self.nearest_distance[nearer] = merged[nearer]
        stale = (self.nearest == into) | (self.nearest == gone)
        stale[into] = True
        rows = np.flatnonzero(stale & np.isfinite(self.loads))
        self.nearest[rows] = self._between[rows].argmin(axis=1)
        self.nearest_distance[rows] = self._between[rows, self.nearest[rows]]
        self.nearest_distance[gone] = np.inf
        return float(np.sqrt(max(height, 0.0))) if self._linkage == "ward" else height

    def _distances_after(self, a: int, b: int, height: float) -> NDArray[np.float64]:
        to_a, to_b, weights = self._between[a], self._between[b], self._weights
        if self._linkage == "complete":
            farthest: NDArray[np.float64] = np.maximum(to_a, to_b)
            return farthest
        weight_a, weight_b = weights[a], weights[b]
        if self._linkage == "average":
            averaged: NDArray[np.float64] = (weight_a * to_a + weight_b * to_b) / (weight_a + weight_b)
            return averaged
        grown = (weight_a + weights) * to_a + (weight_b + weights) * to_b - weights * height
        ward: NDArray[np.float64] = grown / (weight_a + weight_b + weights)
        return ward
