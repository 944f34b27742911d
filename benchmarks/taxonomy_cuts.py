"""How long it takes to score every cut of a tree by its silhouette, against computing each from nothing.

Both start from the same centroids, agglomerate them by ward, and score every cut from 2 clusters to one less than there
are centroids. The straight way is SciPy's ``linkage``, and for each cut ``fcluster`` and scikit-learn's
``silhouette_score``, which computes all distances anew. Where that takes long, an even sample of its cuts is timed, and
the time of all is what that makes of it; the linkage is always timed as a whole. The two must agree on every cut that
both scored.

The system behind this one took 1.8 s, 20 s and 50 s for the cuts of its search, on two cores (512, 1,000 and 2,000).

    python benchmarks/taxonomy_cuts.py [--output benchmarks/results/taxonomy_cuts.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from taxonomy.clustering import agglomerate, merge_silhouettes


@dataclass(frozen=True)
class Row:
    """One number of centroids."""

    centroids: int
    cuts: int
    """Scored by both, of which the straight way was timed on `timed_cuts`."""
    timed_cuts: int
    straight_s: float
    """Of all cuts: as measured where all were timed, else scaled."""
    incremental_s: float
    """The median of three."""
    straight_over_incremental: float
    largest_difference: float
    """Between the two silhouettes of a cut, over the timed ones."""


def clumped(n: int, dimensions: int, seed: int) -> NDArray[np.float64]:
    """Centroids as they come: clumps within clumps, unit length."""
    source = np.random.default_rng(seed)
    coarse = source.normal(size=(8, dimensions))
    fine = coarse[source.integers(0, 8, 60)] + 0.7 * source.normal(size=(60, dimensions))
    made = fine[source.integers(0, 60, n)] + 0.5 * source.normal(size=(n, dimensions))
    unit: NDArray[np.float64] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def incremental(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The silhouette of each cut, at the index of its number of clusters."""
    distances = squareform(pdist(vectors))
    dendrogram = agglomerate(distances, np.ones(len(vectors)), linkage="ward")
    return merge_silhouettes(distances, dendrogram, largest=len(vectors) - 1)


def straight(vectors: NDArray[np.float64], timed_cuts: int) -> tuple[dict[int, float], float]:
    """(the silhouette of each timed cut, seconds that all cuts take)."""
    started = time.perf_counter()
    merges = linkage(vectors, method="ward")
    linked = time.perf_counter() - started
    n_cuts = len(vectors) - 2
    chosen = np.unique(np.linspace(2, len(vectors) - 1, min(timed_cuts, n_cuts)).round().astype(int)).tolist()
    started = time.perf_counter()
    scores = {
        n_clusters: float(silhouette_score(vectors, fcluster(merges, n_clusters, criterion="maxclust")))
        for n_clusters in chosen
    }
    return scores, linked + (time.perf_counter() - started) * n_cuts / len(chosen)


def compare(n: int, dimensions: int, timed_cuts: int) -> Row:
    vectors = clumped(n, dimensions, seed=n)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        found = incremental(vectors)
        seconds.append(time.perf_counter() - started)
    expected, straight_s = straight(vectors, timed_cuts)
    difference = max(abs(found[n_clusters] - score) for n_clusters, score in expected.items())
    if difference > 1e-9:
        raise SystemExit(f"the two ways differ by {difference} at {n} centroids")
    median = float(np.median(seconds))
    return Row(
        centroids=n,
        cuts=n - 2,
        timed_cuts=len(expected),
        straight_s=round(straight_s, 2),
        incremental_s=round(median, 4),
        straight_over_incremental=round(straight_s / median, 1),
        largest_difference=float(f"{difference:.1e}"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--centroids", type=int, nargs="+", default=[512, 1000, 2000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--timed_cuts", type=int, default=400, help="Cuts to time of the straight way.")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for n in arguments.centroids:
        rows.append(asdict(compare(n, arguments.dimensions, arguments.timed_cuts)))
        print("  ".join(f"{key} {value:,}" for key, value in rows[-1].items()), flush=True)
    if arguments.output:
        about = {
            "dimensions": arguments.dimensions,
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
        arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
