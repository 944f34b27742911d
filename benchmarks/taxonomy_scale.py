"""From chunk embeddings to a finished tree: seconds and peak memory, by the number of chunks.

Synthetic embeddings (clumps within clumps of very different sizes, unit length, one in fifty like another) are written
to a file and memory-mapped. Then, in one process for each number of chunks: k-means to centroids, agglomeration, levels
chosen by silhouette, the node of every chunk at every level, and a checked tree with sizes and a typical chunk for each
node. Writing the embeddings is not timed; nodes are named by their typical chunk's number. Peak memory is the process's
resident set, which pages of the mapped file that are in memory belong to.

    OMP_NUM_THREADS=2 python benchmarks/taxonomy_scale.py [--output benchmarks/results/taxonomy_scale.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from taxonomy import Taxonomy, TaxonomyNode
from taxonomy.clustering import Centroids, Cut, LevelRules, centroids, choose_levels

_WRITTEN_ROWS = 10_000


def write_embeddings(path: Path, n: int, dimensions: int, dtype: str) -> None:
    source = np.random.default_rng(n)
    coarse = source.normal(size=(12, dimensions))
    fine = coarse[source.integers(0, 12, 300)] + 0.7 * source.normal(size=(300, dimensions))
    shares = 1 / np.arange(1, 301)
    with path.open("wb") as file:
        for start in range(0, n, _WRITTEN_ROWS):
            count = min(_WRITTEN_ROWS, n - start)
            clumps = source.choice(300, size=count, p=shares / shares.sum())
            rows = fine[clumps] + 0.8 * source.normal(size=(count, dimensions))
            rows[: count // 50] = rows[source.integers(0, count, count // 50)]
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            file.write(rows.astype(dtype).tobytes())


def tree_of(cuts: tuple[Cut, ...], found: Centroids, vectors: np.ndarray[Any, Any]) -> Taxonomy:
    """The clusters of every cut, each named by the centroid nearest to the mean of its chunks."""
    nodes: list[TaxonomyNode] = []
    parents: list[str | None] = [None] * len(found.vectors)
    first_row = np.full(len(found.vectors), -1)
    rows, firsts = np.unique(found.assignment, return_index=True)
    first_row[rows] = firsts
    for level, cut in enumerate(cuts):
        counts = np.bincount(found.spread(cut), minlength=cut.n_clusters)
        clusters = np.asarray(cut.assignment)
        for cluster in range(cut.n_clusters):
            inside = np.flatnonzero(clusters == cluster)
            weights = found.sizes[inside, None]
            mean = (found.vectors[inside] * weights).sum(axis=0) / weights.sum()
            typical = inside[np.linalg.norm(found.vectors[inside] - mean, axis=1).argmin()]
            nodes.append(
                TaxonomyNode(
                    node_id=f"{level}/{cluster}",
                    label=f"like chunk {first_row[typical]}",
                    parent_id=parents[inside[0]],
                    size=int(counts[cluster]),
                )
            )
        parents = [f"{level}/{cluster}" for cluster in cut.assignment]
    return Taxonomy(tuple(nodes), source=f"{len(vectors)} embeddings")


def measure(path: Path, dimensions: int, dtype: str, n_centroids: int, rules: LevelRules) -> dict[str, Any]:
    """One row of the result; run in a process of its own, so that its peak memory is its own."""
    vectors = np.memmap(path, dtype=dtype, mode="r").reshape(-1, dimensions)
    started = time.perf_counter()
    found = centroids(vectors, n=n_centroids, seed=0)
    clustered = time.perf_counter()
    chosen = choose_levels(found.vectors, found.sizes, rules)
    levelled = time.perf_counter()
    taxonomy = tree_of(chosen.cuts, found, vectors)
    finished = time.perf_counter()
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    return {
        "chunks": len(vectors),
        "seconds": round(finished - started, 2),
        "centroids_s": round(clustered - started, 2),
        "levels_s": round(levelled - clustered, 2),
        "tree_s": round(finished - levelled, 2),
        "seconds_per_million": round((finished - started) / len(vectors) * 1e6, 1),
        "peak_rss_gb": round(peak_kib * 1024 / 1e9, 2),
        "file_gb": round(path.stat().st_size / 1e9, 2),
        "centroids": len(found.sizes),
        "level_sizes": [cut.n_clusters for cut in chosen.cuts],
        "nodes": len(taxonomy.nodes),
        "warnings": [*found.warnings, *chosen.warnings],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument("--centroids", type=int, default=512)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--max_clusters", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="Where the embeddings are written for a while.")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        rules = LevelRules(levels=arguments.levels, max_clusters=arguments.max_clusters)
        print(
            json.dumps(
                measure(arguments.measure, arguments.dimensions, arguments.dtype, arguments.centroids, rules)
            )
        )
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "embeddings"
        for n in arguments.chunks:
            write_embeddings(path, n, arguments.dimensions, arguments.dtype)
            command = [sys.executable, __file__, "--measure", str(path), "--dtype", arguments.dtype]
            for name in ("dimensions", "centroids", "levels", "max_clusters"):
                command += [f"--{name}", str(getattr(arguments, name))]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if arguments.output:
        about = {
            "dimensions": arguments.dimensions,
            "dtype": arguments.dtype,
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
        arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
