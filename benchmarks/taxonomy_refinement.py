"""What `--refine labels` brings: clusters of steps whose labels were never seen, with and without it.

Half of a file's problems teach the embedder; the steps of the other half are embedded with their labels hidden, by
the model as it was and as it was refined, and clustered by k-means, and by k-means to 256 centroids that ward then
merges. Agreement with the labels is normalised mutual information with arithmetic mean, which is the V-measure;
the ratio is that of the refined model's to the other's. The default without a model stands beside them, and so does a
classifier that learns the same labels from masked TF-IDF: supervised, like the refined model, and hence a fair bound.

    python benchmarks/taxonomy_refinement.py --rollouts FILE [--only labels_ok] [--embedder minilm] [--max_steps 4000]
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import v_measure_score

from taxonomy.embedding import DEFAULT_METHOD, StepText, embed, steps_of
from taxonomy.embedding.masked_tfidf import tfidf
from taxonomy.embedding.sentences import minilm_path
from taxonomy.reading import read_rollouts
from taxonomy.refining.labels import lesson_of_labels
from taxonomy.refining.training import refine
from taxonomy.rollouts import Rollout

Vectors = NDArray[np.float32]
CENTROIDS = 256


def main() -> None:
    options = _options()
    rollouts = _rollouts(options.rollouts, options.only)
    teaching, hidden = _halves(rollouts, options.seed, options.max_steps)
    labels = [str(step.label) for step in hidden]
    n_labels = len(set(labels))
    print(
        f"{options.rollouts.name}: {len(teaching)} steps teach, {len(hidden)} are clustered, {n_labels} labels"
    )
    print(f"supervised TF-IDF      {v_measure_score(labels, _predicted(teaching, hidden)):.3f}")
    bare = [_without_label(step) for step in hidden]
    print(f"{DEFAULT_METHOD:22s} {_figures(embed(bare), labels, n_labels, options.seeds)[0]}")
    before, base = _figures(embed(bare, method=options.embedder), labels, n_labels, options.seeds)
    print(f"{options.embedder:22s} {before}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = minilm_path() if options.embedder == "minilm" else options.embedder.partition(":")[2]
        started = time.perf_counter()
        refined = refine(
            options.embedder, model, lesson_of_labels(teaching, seed=options.seed), Path(folder) / "m", _say
        )
        seconds = time.perf_counter() - started
        vectors = embed(bare, method=f"sentence-transformers:{Path(folder) / 'm'}")
    after, better = _figures(vectors, labels, n_labels, options.seeds)
    print(f"{options.embedder + ' refined':22s} {after}")
    print(
        f"ratio: k-means {better[0] / base[0]:.2f}, k-means+ward {better[1] / base[1]:.2f}; {seconds:.0f} s to refine"
    )
    print(*refined.notes, sep="\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=Path, required=True, help="labeled rollouts, .jsonl or .jsonl.gz")
    parser.add_argument("--only", help="keep rollouts in whose row this field is true")
    parser.add_argument("--embedder", default="minilm", help="minilm, or sentence-transformers:NAME_OR_PATH")
    parser.add_argument("--max_steps", type=int, default=4000, help="of each half, drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the halves and of the training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of k-means")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


def _rollouts(path: Path, only: str | None) -> tuple[Rollout, ...]:
    """The file's rollouts, or those in whose row the field `only` is true."""
    if only is None:
        return read_rollouts(path, flag="--rollouts")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        kept = [line for line in lines if line.strip() and json.loads(line).get(only)]
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "kept.jsonl"
        part.write_text("".join(kept))
        return read_rollouts(part, flag="--rollouts")


def _halves(rollouts: Sequence[Rollout], seed: int, max_steps: int) -> tuple[list[StepText], list[StepText]]:
    """Labeled steps of half of the problems, and of the other half."""
    steps = [step for step in steps_of(rollouts) if step.label is not None]
    problems = sorted({step.problem for step in steps})
    source = random.Random(seed)
    taught = set(source.sample(problems, len(problems) // 2))
    halves = ([s for s in steps if s.problem in taught], [s for s in steps if s.problem not in taught])
    teaching, hidden = (source.sample(half, min(max_steps, len(half))) for half in halves)
    return teaching, hidden


def _without_label(step: StepText) -> StepText:
    return replace(step, label=None, description=None)


def _predicted(teaching: Sequence[StepText], hidden: Sequence[StepText]) -> list[str]:
    vectors = tfidf([step.text for step in (*teaching, *hidden)])
    classifier = LogisticRegression(max_iter=200, C=3)
    classifier.fit(vectors[: len(teaching)], [step.label for step in teaching])
    return list(classifier.predict(vectors[len(teaching) :]))


def _figures(
    vectors: Vectors, labels: Sequence[str], n_labels: int, seeds: Sequence[int]
) -> tuple[str, tuple[float, ...]]:
    """Agreement by k-means, and by k-means and ward: in words, and the means over the seeds."""
    found = []
    for seed in seeds:
        alone = KMeans(n_labels, n_init=3, random_state=seed).fit_predict(vectors)
        many = KMeans(min(CENTROIDS, len(vectors)), n_init=1, random_state=seed).fit(vectors)
        merges = linkage(many.cluster_centers_, "ward")
        merged = cut_tree(merges, n_clusters=n_labels).ravel()[many.labels_]
        found.append([v_measure_score(labels, clusters) for clusters in (alone, merged)])
    means, deviations = np.mean(found, axis=0), np.std(found, axis=0)
    names = (f"k-means {n_labels}", f"k-means+ward {n_labels}")
    shown = zip(names, means, deviations, strict=True)
    return "  ".join(f"{name} {mean:.3f} ±{deviation:.3f}" for name, mean, deviation in shown), tuple(means)


if __name__ == "__main__":
    main()
