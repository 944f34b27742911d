"""One level of a taxonomy: a cut of the tree that agglomeration makes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxonomy.clustering.agglomeration import Dendrogram


@dataclass(frozen=True)
class Cut:
    """How many clusters, and which item is in which."""

    n_clusters: int
    assignment: tuple[int, ...]
    """Cluster of each item, numbered in the order of their first items."""
    distance_threshold: float
    """A merge distance that separates this cut from its neighbours: halfway between the two merges around
    it."""
    silhouette: float | None
    """Euclidean silhouette; None for one cluster and for one cluster per item, where it is undefined."""


def cut_at(
    dendrogram: Dendrogram, of_item: NDArray[np.int64], silhouettes: NDArray[np.float64], n_clusters: int
) -> Cut:
    """The cut with so many clusters.

    Args:
        dendrogram: of rows.
        of_item: the row of each item.
        silhouettes: by number of clusters (`merge_silhouettes`).
        n_clusters: of the cut.
    """
    silhouette = silhouettes[n_clusters]
    numbers: dict[int, int] = {}
    clusters = dendrogram.assignment(n_clusters)[of_item].tolist()
    return Cut(
        n_clusters=n_clusters,
        assignment=tuple(numbers.setdefault(cluster, len(numbers)) for cluster in clusters),
        distance_threshold=round(dendrogram.threshold(n_clusters), 6),
        silhouette=None if math.isnan(silhouette) else round(float(silhouette), 6),
    )


def score(silhouette: float) -> float:
    """A silhouette as it is compared: rounded, and the least of all where it is undefined."""
    return -math.inf if math.isnan(silhouette) else round(float(silhouette), 6)
