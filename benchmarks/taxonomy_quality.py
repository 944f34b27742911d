"""How well clusters of unlabeled steps agree with the labels that people or models gave them.

Each embedder's vectors of the steps (labels hidden) are clustered by k-means alone, and by k-means to 256
centroids that ward then merges, each weighing as many steps as it stands for; agreement is normalised mutual
information with arithmetic mean, which is the V-measure. BERTopic, where installed, gets the MiniLM vectors and is
reduced to the same number of topics, its outliers a cluster of their own (K + 1 in all) or each put into its nearest
topic (K). `supervised` is what a classifier of the same masked TF-IDF learns from the labels of other problems;
`--labels_of` adds what one of discourse's cues learns from the labels of other files, each with its own labels.

    python benchmarks/taxonomy_quality.py --rollouts FILE [--only labels_ok] [--methods discourse tfidf minilm]
        [--bertopic] [--labels_of FILE ...]
"""

import argparse
import gzip
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import v_measure_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from taxonomy.clustering.agglomeration import agglomerate
from taxonomy.embedding import StepText, embed, steps_of
from taxonomy.embedding.cues import properties
from taxonomy.embedding.discourse import function_scores
from taxonomy.embedding.masked_tfidf import tfidf
from taxonomy.reading import read_rollouts
from taxonomy.rollouts import Rollout

Vectors = NDArray[np.float64]
Labels = NDArray[np.str_]
CENTROIDS = 256
_vectors_dir: Path | None = None
"""Where MiniLM's vectors are kept between runs, as `--vectors` says; they take minutes to compute."""


def main() -> None:
    global _vectors_dir
    options = _options()
    _vectors_dir = options.vectors
    rollouts = _rollouts(options.rollouts, options.only)
    given = np.array([chunk.label or "" for rollout in rollouts for chunk in rollout.chunks])
    has_label = given != ""
    steps = list(steps_of(rollouts, with_labels=False))
    labels = given[has_label]
    n_labels = len(set(labels))
    print(
        f"{options.rollouts.name}: {len(rollouts)} rollouts, {len(labels)} labeled steps, {n_labels} labels, "
        f"{min(options.draw, len(labels))} drawn, seeds {options.seeds}"
    )
    print(f"supervised TF-IDF, other problems: {_supervised(steps, has_label, labels):.3f}")
    for path in options.labels_of:
        taught = _taught_elsewhere(path, options.only, steps, options.draw)[has_label]
        print(f"supervised cues, labels of {path.name}: {v_measure_score(labels, taught):.3f}")
    draws = {
        seed: np.random.default_rng(seed).permutation(len(labels))[: options.draw] for seed in options.seeds
    }
    for method in options.methods:
        started = time.perf_counter()
        vectors = _vectors(steps, method)[has_label]
        seconds = time.perf_counter() - started
        rows = [
            _agreements(vectors[draw], labels[draw], n_labels, options.more, seed)
            for seed, draw in draws.items()
        ]
        _print_row(method, rows, n_labels, options.more, seconds)
    if options.bertopic:
        vectors = _vectors(steps, "minilm")[has_label]
        texts = [step.text for step, is_labeled in zip(steps, has_label, strict=True) if is_labeled]
        for seed, draw in draws.items():
            _bertopic([texts[i] for i in draw], vectors[draw], labels[draw], n_labels, options.more, seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=Path, required=True, help="labeled rollouts, .jsonl or .jsonl.gz")
    parser.add_argument("--only", help="leave out rollouts in whose row this field is false")
    parser.add_argument("--methods", nargs="+", default=["discourse", "tfidf"])
    parser.add_argument("--more", type=int, default=30, help="the larger number of clusters")
    parser.add_argument("--draw", type=int, default=8000, help="steps drawn for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--vectors", type=Path, help="directory in which MiniLM's vectors are kept")
    parser.add_argument(
        "--labels_of", type=Path, nargs="+", default=[], help="other labeled rollouts to learn from"
    )
    parser.add_argument("--bertopic", action="store_true")
    return parser.parse_args()


def _rollouts(path: Path, only: str | None) -> tuple[Rollout, ...]:
    """The file's rollouts, without those in whose row the field `only` is false."""
    if only is None:
        return read_rollouts(path, flag="--rollouts")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        kept = [line for line in lines if line.strip() and json.loads(line).get(only, True)]
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "kept.jsonl"
        part.write_text("".join(kept))
        return read_rollouts(part, flag="--rollouts")


def _vectors(steps: Sequence[StepText], method: str) -> Vectors:
    """An embedder's vectors, or those of one of the comparisons below."""
    if method in COMPARISONS:
        return COMPARISONS[method](steps)
    if method != "minilm" or _vectors_dir is None:
        return embed(steps, method=method).astype(np.float64)
    texts = json.dumps([step.text for step in steps])
    path = _vectors_dir / f"{method}_{hashlib.sha256(texts.encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, embed(steps, method=method))
    vectors: Vectors = np.load(path).astype(np.float64)
    return vectors


def _functions(steps: Sequence[StepText]) -> Vectors:
    scores: Vectors = normalize(function_scores(properties(steps)) ** 2 + 1e-6)
    return scores


def _minilm_centred(steps: Sequence[StepText]) -> Vectors:
    """MiniLM without the mean of each problem's steps."""
    vectors = _vectors(steps, "minilm")
    _, problem = np.unique([step.problem for step in steps], return_inverse=True)
    for one in range(problem.max() + 1):
        vectors[problem == one] -= vectors[problem == one].mean(axis=0)
    centred: Vectors = normalize(vectors)
    return centred


COMPARISONS: dict[str, Callable[[Sequence[StepText]], Vectors]] = {
    "functions-only": _functions,
    "minilm-centred": _minilm_centred,
}


def _agreements(vectors: Vectors, labels: Labels, n_labels: int, more: int, seed: int) -> tuple[float, ...]:
    alone = KMeans(n_labels, n_init=3, random_state=seed).fit_predict(vectors)
    many = KMeans(min(CENTROIDS, len(vectors)), n_init=1, random_state=seed).fit(vectors)
    distances = squareform(pdist(many.cluster_centers_))
    weights = np.bincount(many.labels_, minlength=len(distances)).astype(np.float64)
    merges = agglomerate(distances, weights, linkage="ward")
    merged = [merges.assignment(n)[many.labels_] for n in (n_labels, more)]
    return tuple(float(v_measure_score(labels, found)) for found in (alone, *merged))


def _print_row(
    name: str, rows: Sequence[tuple[float, ...]], n_labels: int, more: int, seconds: float
) -> None:
    means, deviations = np.mean(rows, axis=0), np.std(rows, axis=0)
    columns = (f"k-means {n_labels}", f"k-means+ward {n_labels}", f"k-means+ward {more}")
    figures = "  ".join(
        f"{column} {mean:.3f} ±{deviation:.3f}"
        for column, mean, deviation in zip(columns, means, deviations, strict=True)
    )
    print(f"{name:18s} {figures}  ({seconds:.1f} s to embed)", flush=True)


def _supervised(steps: Sequence[StepText], has_label: NDArray[np.bool_], labels: Labels) -> float:
    kept = [step for step, is_labeled in zip(steps, has_label, strict=True) if is_labeled]
    problems = [step.problem for step in kept]
    folds = GroupKFold(min(5, len(set(problems))))
    classifier = LogisticRegression(max_iter=200, C=3)
    predicted = cross_val_predict(
        classifier, tfidf([step.text for step in kept]), labels, groups=problems, cv=folds
    )
    return float(v_measure_score(labels, predicted))


def _taught_elsewhere(path: Path, only: str | None, steps: Sequence[StepText], draw: int) -> Labels:
    """The label that each step would have in another file, as a classifier of cues learns it there."""
    rollouts = _rollouts(path, only)
    given = np.array([chunk.label or "" for rollout in rollouts for chunk in rollout.chunks])
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(given != ""))[:draw]
    there = list(steps_of(rollouts, with_labels=False))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    classifier.fit(properties([there[row] for row in drawn]), given[drawn])
    taught: Labels = classifier.predict(properties(steps))
    return taught


def _bertopic(
    texts: list[str], vectors: Vectors, labels: Labels, n_labels: int, more: int, seed: int
) -> None:
    bertopic, umap_learn = import_module("bertopic"), import_module("umap")
    started = time.perf_counter()
    umap = umap_learn.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed)
    topics = bertopic.BERTopic(umap_model=umap, embedding_model=None)
    found, _ = topics.fit_transform(texts, vectors)
    print(
        f"bertopic seed {seed}: {len(set(found)) - 1} topics {v_measure_score(labels, found):.3f}, "
        f"{np.mean(np.array(found) < 0):.0%} outliers",
        end="",
    )
    for size in (more, n_labels):
        topics.reduce_topics(texts, nr_topics=size + 1)
        reduced = list(topics.topics_)
        placed = topics.reduce_outliers(texts, reduced, strategy="embeddings", embeddings=vectors)
        print(
            f"; {size} and outliers {v_measure_score(labels, reduced):.3f}, "
            f"outliers placed {v_measure_score(labels, placed):.3f}",
            end="",
        )
    print(f"  ({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
