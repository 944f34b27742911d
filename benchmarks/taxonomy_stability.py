"""How much of a grouping of unlabeled steps comes back with another seed: ours beside BERTopic's.

Steps are embedded once, labels hidden, and grouped with each seed into as many groups as there are given labels: by
what `taxonomy build` does with texts (k-means to centroids, ward), and by BERTopic on MiniLM's vectors (its UMAP
takes the seed), reduced to as many topics, with outliers a topic of their own or put into the nearest. Printed are
the adjusted Rand index between every two seeds, mean and least, and the agreement with the given labels: a grouping
that puts all into one group would be stable too.

    python benchmarks/taxonomy_stability.py --rollouts FILE [--methods discourse tfidf minilm] [--bertopic]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, v_measure_score

from taxonomy.building.growing import grow_from_vectors
from taxonomy.clustering import LevelRules
from taxonomy.embedding import StepText, embed, steps_of
from taxonomy.reading import read_inputs

Vectors = NDArray[np.float64]
Groups = NDArray[np.int64]
CENTROIDS = 512
"""As `taxonomy build` has it unless told otherwise."""


def main() -> None:
    options = _options()
    rollouts = read_inputs([options.rollouts], flag="--rollouts").rollouts
    steps = list(steps_of(rollouts, with_labels=False))
    given = np.array([chunk.label or "" for rollout in rollouts for chunk in rollout.chunks])
    labeled = np.flatnonzero(given != "")
    drawn = np.sort(np.random.default_rng(0).permutation(labeled)[: options.draw])
    labels = given[drawn]
    n_groups = len(set(labels.tolist()))
    print(f"{options.rollouts.name}: {len(drawn)} of {len(labeled)} labeled steps, {n_groups} groups")
    print(f"{'':34} ARI between seeds: mean  least   NMI with the labels")
    for method in options.methods:
        vectors = _vectors(steps, drawn, method)
        _report(
            f"build, {method}",
            lambda seed, vectors=vectors: {"": _built(vectors, n_groups, seed)},
            options.seeds,
            labels,
        )
    if options.bertopic:
        texts = [steps[row].text for row in drawn]
        vectors = _vectors(steps, drawn, "minilm")
        _report("BERTopic", lambda seed: _bertopic(texts, vectors, n_groups, seed), options.seeds, labels)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=Path, required=True, help="labeled rollouts")
    parser.add_argument("--methods", nargs="+", default=["discourse", "tfidf"], help="embedders")
    parser.add_argument("--draw", type=int, default=4000, help="labeled steps, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--bertopic", action="store_true")
    return parser.parse_args()


def _vectors(steps: Sequence[StepText], drawn: NDArray[np.int64], method: str) -> Vectors:
    """Of the drawn steps. `discourse` looks at whole traces, so all are embedded; a sentence model need not."""
    if method == "minilm":
        return embed([steps[row] for row in drawn], method=method).astype(np.float64)
    return embed(steps, method=method)[drawn].astype(np.float64)


def _built(vectors: Vectors, n_groups: int, seed: int) -> Groups:
    rules = LevelRules(min_cluster_size=max(2, len(vectors) // 500), fixed_sizes=(1, n_groups))
    grown = grow_from_vectors(vectors, rules, n_centroids=CENTROIDS, seed=seed)
    return np.array(grown.cuts[-1].assignment)[list(grown.sample_of_chunk)]


def _bertopic(texts: list[str], vectors: Vectors, n_groups: int, seed: int) -> dict[str, Groups]:
    bertopic, umap_learn = import_module("bertopic"), import_module("umap")
    umap = umap_learn.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed)
    topics = bertopic.BERTopic(umap_model=umap, embedding_model=None, nr_topics=n_groups + 1)
    found, _ = topics.fit_transform(texts, vectors)
    placed = topics.reduce_outliers(texts, found, strategy="embeddings", embeddings=vectors)
    return {"outliers apart": np.array(found), "outliers placed": np.array(placed)}


def _report(
    name: str, group: Callable[[int], dict[str, Groups]], seeds: Sequence[int], labels: NDArray[np.str_]
) -> None:
    started = time.perf_counter()
    runs = [group(seed) for seed in seeds]
    seconds = (time.perf_counter() - started) / len(seeds)
    for kind in runs[0]:
        found = [run[kind] for run in runs]
        aris = [adjusted_rand_score(one, other) for one, other in combinations(found, 2)]
        agreed = np.mean([v_measure_score(labels, each) for each in found])
        title = f"{name}, {kind}" if kind else name
        print(
            f"{title:34} {np.mean(aris):22.3f}  {min(aris):.3f}   {agreed:.3f}  ({seconds:.1f} s a seed)",
            flush=True,
        )


if __name__ == "__main__":
    main()
