"""From vectors of chunks to the samples and levels of a tree.

Without labels, chunks are gathered into centroids and these agglomerated. With few given labels, the labels stay pure:
chunks are gathered into centroids label by label, levels finer than the labels divide a label, and the coarser ones
join labels. The two parts have their own distances, so thresholds fall within each part only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from taxonomy.building.built import Sample
from taxonomy.clustering import (
    Centroids,
    Cut,
    Dendrogram,
    LevelRules,
    Linkage,
    agglomerate,
    centroids,
    check_number_of_items,
    choose_cuts,
    choose_levels,
    merge_silhouettes,
)
from taxonomy.errors import BuildError

Vectors = NDArray[np.floating[Any]]
_DECIMALS = 6
"""Vectors are rounded, so that texts that are alike are alike here too, whatever the last bits of their embedding."""
_LEAST_CENTROIDS_A_LABEL = 8
_LEAST_GROWTH = 1.25
"""A finer level has at least so many times the nodes of the one above it, where it can."""


@dataclass(frozen=True)
class Grown:
    """Samples, and nested cuts of them."""

    cuts: tuple[Cut, ...]
    samples: tuple[Sample, ...]
    sample_of_chunk: tuple[int, ...]
    warnings: tuple[str, ...]
    """What differs from what was asked for, in sentences."""


def grow_from_vectors(vectors: Vectors, rules: LevelRules, *, n_centroids: int, seed: int) -> Grown:
    """The tree of chunks without labels.

    Raises:
        BuildError: vectors that are not finite, or rules that these do not allow.
    """
    found = centroids(np.round(vectors, _DECIMALS), n=min(n_centroids, len(vectors)), seed=seed)
    chosen = choose_levels(found.vectors, found.sizes, rules)
    return Grown(
        cuts=chosen.cuts,
        samples=tuple(Sample(None, int(size)) for size in found.sizes),
        sample_of_chunk=tuple(found.assignment.tolist()),
        warnings=chosen.warnings,
    )


@dataclass(frozen=True)
class FinerRules:
    """Levels around given labels that stay pure."""

    levels: int
    """All of them, the root's, the labels' and the finer ones."""
    max_clusters: int
    """Of the last level."""
    min_cluster_size: int
    """Chunks of every node finer than a label."""
    linkage: Linkage
    max_depth: int
    fixed_sizes: tuple[int, ...] | None = None
    """The sizes of the levels, where they are not to be chosen; the number of labels is one of them."""


def grow_around_labels(
    labels: Sequence[str],
    label_of_chunk: Sequence[int],
    vectors: Vectors,
    label_vectors: NDArray[np.float64],
    rules: FinerRules,
    *,
    n_centroids: int,
    seed: int,
) -> Grown:
    """The tree of few given labels.

    Args:
        labels: sorted.
        label_of_chunk: a position in `labels` for each row of `vectors`.
        vectors: of the chunks.
        label_vectors: of the labels, for the levels that join them.
        rules: for the levels.
        n_centroids: of all labels together, about.
        seed: of k-means.
    """
    n_labels = len(labels)
    of_chunk = np.asarray(label_of_chunk)
    vectors = np.round(vectors, _DECIMALS)
    parts = [
        _centroids_of_label(vectors[of_chunk == number], len(vectors), n_centroids, seed)
        for number in range(n_labels)
    ]
    offsets = np.cumsum([0, *(len(part.sizes) for part in parts)])
    sample_of_chunk = np.empty(len(vectors), dtype=np.int64)
    for number, part in enumerate(parts):
        sample_of_chunk[of_chunk == number] = part.assignment + offsets[number]
    samples = tuple(
        Sample(label, int(size)) for label, part in zip(labels, parts, strict=True) for size in part.sizes
    )
    label_of_sample = np.repeat(np.arange(n_labels), np.diff(offsets))
    finer = _Finer(parts, offsets, rules)
    coarse_sizes, fine_sizes, warnings = _sizes(n_labels, finer, rules)
    coarse = choose_cuts(
        label_vectors, min(len(coarse_sizes), n_labels), coarse_sizes if rules.fixed_sizes else None
    )
    return Grown(
        cuts=(*(_spread(cut, label_of_sample) for cut in coarse), *(finer.cut(size) for size in fine_sizes)),
        samples=samples,
        sample_of_chunk=tuple(sample_of_chunk.tolist()),
        warnings=warnings,
    )


def _centroids_of_label(own: Vectors, n_chunks: int, n_centroids: int, seed: int) -> Centroids:
    share = round(n_centroids * len(own) / n_chunks)
    return centroids(own, n=min(len(own), max(share, _LEAST_CENTROIDS_A_LABEL)), seed=seed)


def _spread(cut: Cut, label_of_sample: NDArray[np.int64]) -> Cut:
    """A cut of the labels as one of the samples."""
    assignment = tuple(cut.assignment[label] for label in label_of_sample.tolist())
    return Cut(cut.n_clusters, assignment, cut.distance_threshold, cut.silhouette)


class _Finer:
    """The merges of the samples within their labels, the nearest first whatever the label."""

    def __init__(self, parts: Sequence[Centroids], offsets: NDArray[np.int64], rules: FinerRules) -> None:
        check_number_of_items(int(offsets[-1]))
        self.n_labels = len(parts)
        self._vectors = np.vstack([part.vectors for part in parts])
        found: list[tuple[float, int, int, int, float]] = []
        largest = 0
        for number, part in enumerate(parts):
            own = agglomerate(
                squareform(pdist(part.vectors)),
                part.sizes.astype(np.float64),
                linkage=rules.linkage,
                min_weight=rules.min_cluster_size,
            )
            largest += own.largest
            # A label's own merges stay in order; those that only gather what is too small come first of all.
            gathering = own.n_items - own.largest
            reached = -math.inf
            for step, ((into, gone), height) in enumerate(zip(own.merges, own.heights, strict=True)):
                reached = -math.inf if step < gathering else max(reached, float(height))
                merged = (int(into + offsets[number]), int(gone + offsets[number]))
                found.append((reached, number, *merged, float(height)))
        found.sort(key=lambda merge: merge[:2])
        firsts = [int(first) for first in offsets[:-1]]
        merges = [(into, gone) for _, _, into, gone, _ in found] + [(0, first) for first in firsts[1:]]
        heights = [max(reached, 0.0) for reached, *_ in found] + [math.inf] * (self.n_labels - 1)
        self._dendrogram = Dendrogram(
            np.array(merges, dtype=np.int64).reshape(-1, 2), np.array(heights), largest
        )
        self.largest = largest
        """Nodes that the finest level can have."""
        self._silhouettes: NDArray[np.float64] | None = None

    def silhouette(self, size: int) -> float:
        if self._silhouettes is None:
            self._silhouettes = merge_silhouettes(
                squareform(pdist(self._vectors)), self._dendrogram, largest=self.largest
            )
        found = float(self._silhouettes[size])
        return -math.inf if math.isnan(found) else round(found, 6)

    def cut(self, size: int) -> Cut:
        numbers: dict[int, int] = {}
        silhouette = self.silhouette(size)
        return Cut(
            n_clusters=size,
            assignment=tuple(
                numbers.setdefault(cluster, len(numbers))
                for cluster in self._dendrogram.assignment(size).tolist()
            ),
            distance_threshold=round(self._threshold(size), 6),
            silhouette=None if math.isinf(silhouette) else silhouette,
        )

    def _threshold(self, size: int) -> float:
        done = self._dendrogram.n_items - size
        below = 0.0 if size >= self.largest or done == 0 else float(self._dendrogram.heights[done - 1])
        above = float(self._dendrogram.heights[done])
        return (below + above) / 2 if math.isfinite(above) else below


def _sizes(
    n_labels: int, finer: _Finer, rules: FinerRules
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]:
    """Sizes up to the labels (how many, where they are chosen later), sizes beyond, and what is to be said."""
    most = min(finer.largest, rules.max_clusters)
    if rules.fixed_sizes is not None:
        beyond = tuple(size for size in rules.fixed_sizes if size > n_labels)
        if beyond and beyond[-1] > finer.largest:
            raise BuildError(
                f"level sizes are {rules.fixed_sizes}, but the texts within the {n_labels} given labels carry "
                f"{finer.largest} nodes at most (--level_sizes, --min_cluster_size)"
            )
        return rules.fixed_sizes[: len(rules.fixed_sizes) - len(beyond)], beyond, ()
    levels = min(rules.levels, rules.max_depth + 1)
    if most <= n_labels or levels < 3:
        n_coarse, n_fine = min(levels, n_labels), 0
    elif n_labels == 1:
        n_coarse, n_fine = 1, min(levels - 1, most - 1)
    else:
        rank = round((levels - 1) * math.log(n_labels) / math.log(most))
        n_coarse = min(max(rank, 1), levels - 2) + 1
        n_fine = levels - n_coarse
        if n_coarse > n_labels:
            n_coarse, n_fine = n_labels, levels - n_labels
    fine = choose_finer_sizes(n_labels, most, n_fine, finer.silhouette)
    built = n_coarse + len(fine)
    warning = (
        f"{rules.levels} levels were asked for, but {n_labels} given labels and the texts within them, of "
        f"{finer.largest} nodes at most, carry {built} (--levels, --max_clusters, --min_cluster_size)"
    )
    return (0,) * n_coarse, fine, (warning,) * (built < rules.levels)


def choose_finer_sizes(
    n_labels: int, most: int, count: int, score: Callable[[int], float]
) -> tuple[int, ...]:
    """`count` growing sizes from above `n_labels` to `most`, or as many as there are: each the best-scoring one
    around its place in a geometric progression."""
    count = min(count, most - n_labels)
    if count <= 0:
        return ()
    targets = [n_labels * (most / n_labels) ** (rank / count) for rank in range(count + 1)]
    sizes = [n_labels]
    for rank in range(1, count + 1):
        last_possible = most - (count - rank)
        middle = math.sqrt(targets[rank - 1] * targets[rank])
        low = min(max(sizes[-1] + 1, math.ceil(max(middle, sizes[-1] * _LEAST_GROWTH))), last_possible)
        high = last_possible
        if rank < count:
            high = max(low, min(high, math.floor(math.sqrt(targets[rank] * targets[rank + 1]))))
        nearest_first = sorted(range(low, high + 1), key=lambda size: (abs(size - targets[rank]), size))
        sizes.append(max(nearest_first, key=score))
    return tuple(sizes[1:])
