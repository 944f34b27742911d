"""What is known of every node of a tree before it has a name: its chunks, its labels, its place."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.built import clusters_of
from taxonomy.building.growing import Grown
from taxonomy.naming.composed import Member
from taxonomy.naming.functions import Function, prevailing, shares

EXAMPLES_A_NODE = 12


@dataclass(frozen=True)
class NodeFacts:
    """A node: a cluster of one level."""

    level: int
    cluster: int
    size: int
    """Chunks."""
    examples: tuple[str, ...]
    """Texts of chunks, those nearest the mean of the node first."""
    members: tuple[Member, ...]
    """The labels of its chunks, the most frequent first; empty where chunks have none."""
    children: tuple[int, ...]
    """Clusters of the next level; empty on the last."""
    functions: tuple[Function, ...] = ()
    """What its steps do, as far as their cues show it."""


def facts_of(
    grown: Grown,
    texts: Sequence[str],
    vectors: NDArray[np.floating[Any]],
    labels: Sequence[str | None],
    descriptions: Mapping[str, str],
    shown: NDArray[np.int64],
) -> list[list[NodeFacts]]:
    """By level, the facts of each cluster.

    Args:
        grown: the tree.
        texts: of the chunks.
        vectors: of the chunks.
        labels: of the chunks, as far as there are any.
        descriptions: of the labels.
        shown: the functions of the chunks (`shown_functions`).
    """
    everywhere = shares(shown)
    sample_of_chunk = np.asarray(grown.sample_of_chunk)
    facts = []
    for level, cut in enumerate(grown.cuts):
        cluster_of_chunk = np.asarray(cut.assignment)[sample_of_chunk]
        below = None if level + 1 == len(grown.cuts) else grown.cuts[level + 1]
        by_cluster = np.argsort(cluster_of_chunk, kind="stable")
        ends = np.cumsum(np.bincount(cluster_of_chunk, minlength=cut.n_clusters))
        facts.append(
            [
                NodeFacts(
                    level=level,
                    cluster=cluster,
                    size=len(rows),
                    examples=_nearest_texts(rows, texts, vectors),
                    members=_members(rows, labels, descriptions),
                    children=() if below is None else tuple(sorted({below.assignment[i] for i in items})),
                    functions=prevailing(shares(shown[rows]), everywhere),
                )
                for cluster, (rows, items) in enumerate(
                    zip(np.split(by_cluster, ends[:-1]), clusters_of(cut), strict=True)
                )
            ]
        )
    return facts


def _nearest_texts(
    rows: NDArray[np.int64], texts: Sequence[str], vectors: NDArray[np.floating[Any]]
) -> tuple[str, ...]:
    own = np.asarray(vectors[rows], dtype=np.float64)
    nearness = np.round(own @ own.mean(axis=0), 9)
    found: dict[str, None] = {}
    for place in np.argsort(-nearness, kind="stable"):
        text = texts[rows[place]].strip()
        if text:
            found[text] = None
        if len(found) == EXAMPLES_A_NODE:
            break
    return tuple(found)


def _members(
    rows: NDArray[np.int64], labels: Sequence[str | None], descriptions: Mapping[str, str]
) -> tuple[Member, ...]:
    counts = Counter(label for row in rows.tolist() if (label := labels[row]) is not None)
    by_frequency = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    return tuple(Member(label, descriptions.get(label, ""), count) for label, count in by_frequency)
