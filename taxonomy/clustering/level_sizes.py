"""What the levels of a taxonomy must be like, and how many clusters each gets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from taxonomy.clustering.agglomeration import LINKAGES, Linkage
from taxonomy.errors import BuildError

_LEAST_GROWTH = 1.5
"""A further level has at least so many times the clusters of the level above it, and the level below it of its."""


@dataclass(frozen=True)
class LevelRules:
    """Which cuts may become levels."""

    levels: int = 7
    """Levels at least, the root's included."""
    min_clusters: int = 2
    """Of the first level below the root."""
    max_clusters: int = 15
    """Of the last level."""
    min_cluster_size: int = 2
    """Weight of every cluster: of chunks, where the weights are numbers of chunks."""
    linkage: Linkage = "ward"
    max_depth: int = 8
    """Levels below the root, at most."""
    fixed_sizes: tuple[int, ...] | None = None
    """Clusters at each level, where they are not to be chosen by silhouette; of the rules, `min_cluster_size` and
    `linkage` are used then."""

    def __post_init__(self) -> None:
        for name, least in (("levels", 1), ("min_clusters", 2), ("min_cluster_size", 1), ("max_depth", 0)):
            value = getattr(self, name)
            if value < least:
                raise BuildError(f"{name} is {value}, at least {least} is allowed (--{name})")
        if self.linkage not in LINKAGES:
            raise BuildError(f"linkage is {self.linkage!r}, allowed are {', '.join(LINKAGES)} (--linkage)")
        sizes = self.fixed_sizes
        if sizes is not None:
            if sizes[:1] != (1,) or any(a >= b for a, b in pairwise(sizes)):
                raise BuildError(
                    f"level sizes are {sizes}, allowed are growing numbers that begin with 1 (--level_sizes)"
                )
            return
        if self.max_clusters < self.min_clusters:
            raise BuildError(
                f"max_clusters is {self.max_clusters}, at least min_clusters is allowed, which is "
                f"{self.min_clusters} (--max_clusters, --min_clusters)"
            )
        if self.levels - 1 > self.max_depth:
            raise BuildError(
                f"levels is {self.levels}, which is {self.levels - 1} below the root, and max_depth allows "
                f"{self.max_depth} (--levels, --max_depth)"
            )


def choose_level_sizes(rules: LevelRules, largest: int, score: Callable[[int], float]) -> tuple[int, ...]:
    """Strictly growing numbers of clusters from 1 to at most `largest`.

    Below the root, sizes start from a geometric progression up to the largest; each is the best-scoring one within
    its window, which reaches to the geometric middle between it and its neighbours, and equal scores go to the size
    nearest the progression. While `max_depth` allows, there is a further level wherever a size scores better than
    both levels around it.

    Args:
        rules: those for levels, clusters and depth; fewer levels where the sizes do not suffice.
        largest: the largest possible number of clusters.
        score: the higher the better; asked of 2 to `largest`.
    """
    largest = min(largest, rules.max_clusters)
    smallest = min(rules.min_clusters, largest)
    n_below = min(rules.levels - 1, largest - smallest + 1)
    if largest == 1 or n_below == 0:
        return (1,)
    start = max(float(smallest), largest ** (1 / n_below))
    targets = [1.0, *(start * (largest / start) ** (rank / max(n_below - 1, 1)) for rank in range(n_below))]
    if n_below == 1:
        targets[-1] = float(largest)
    sizes = [1]
    for rank in range(1, n_below + 1):
        last_possible = largest - (n_below - rank)
        middle = smallest if n_below == 1 else math.ceil(math.sqrt(targets[rank - 1] * targets[rank]))
        low = min(max(sizes[-1] + 1, smallest, middle), last_possible)
        high = last_possible
        if rank < n_below:
            high = max(low, min(high, math.floor(math.sqrt(targets[rank] * targets[rank + 1]))))
        sizes.append(_best(range(low, high + 1), targets[rank], score))
    return _with_further_levels(sizes, range(smallest, largest + 1), rules.max_depth, score)


def _best(window: range, target: float, score: Callable[[int], float]) -> int:
    nearest_first = sorted(window, key=lambda size: (abs(size - target), size))
    return max(nearest_first, key=score) if len(nearest_first) > 1 else nearest_first[0]


def _with_further_levels(
    sizes: list[int], possible: range, max_depth: int, score: Callable[[int], float]
) -> tuple[int, ...]:
    while len(sizes) - 1 < max_depth:
        found = [
            size
            for above, below in pairwise(sizes)
            for size in range(math.ceil(above * _LEAST_GROWTH), math.floor(below / _LEAST_GROWTH) + 1)
            if size in possible and score(size) > score(below) and (above == 1 or score(size) > score(above))
        ]
        if not found:
            break
        sizes = sorted([*sizes, max(found, key=score)])
    return tuple(sizes)
