"""What a build makes: a taxonomy, the cuts that its levels are, and the chunks it was made from.

A tree grows from samples: given labels, or centroids of chunks. Node ids below the number of samples are theirs; the
clusters of the levels follow, level by level.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taxonomy.model import Taxonomy, TaxonomyNode

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from taxonomy.clustering.cuts import Cut


@dataclass(frozen=True)
class LabeledChunk:
    """A chunk of the rollouts that a taxonomy was built from."""

    rollout_id: str
    idx: int
    text: str
    given_label: str | None
    """None where the chunk came without one, or it was not used."""
    sample: int
    """Position of the chunk's sample."""


@dataclass(frozen=True)
class Sample:
    """What the tree grew from: a given label, or a centroid of chunks."""

    given_label: str | None
    """The one label of all its chunks, where labels stay pure."""
    size: int
    """Chunks."""


@dataclass(frozen=True)
class TypicalChunk:
    """One of the chunks that show best what a node is."""

    node_id: str
    rank: int
    """Among those of the node; the best has 1."""
    chunk: LabeledChunk


@dataclass(frozen=True)
class BuiltTaxonomy:
    """A taxonomy with all that its directory tells about how it came about."""

    taxonomy: Taxonomy
    cuts: "tuple[Cut, ...]"
    """One per level; items are the samples in order."""
    samples: tuple[Sample, ...]
    chunks: tuple[LabeledChunk, ...]
    """Sorted by rollout id, each rollout's chunks in their own order."""
    parameters: "DataclassInstance"
    rollouts_sha256: str
    """Of the rollouts' content, whatever the order they came in."""
    warnings: tuple[str, ...]
    """What differs from what was asked for, in sentences."""
    examples: tuple[TypicalChunk, ...] = ()
    """Of each node, the best first; empty where none were looked for, and then no file has them."""

    @property
    def from_given_labels(self) -> bool:
        """Whether every sample is a given label, whole."""
        labels = [sample.given_label for sample in self.samples]
        return None not in labels and len(set(labels)) == len(labels)

    @cached_property
    def _first_ids(self) -> tuple[int, ...]:
        ids = [len(self.samples)]
        for cut in self.cuts:
            ids.append(ids[-1] + cut.n_clusters)
        return tuple(ids)

    def node_id(self, sample: int, level: int) -> str:
        """The node of a level that a sample is under."""
        return str(self._first_ids[level] + self.cuts[level].assignment[sample])


def clusters_of(cut: "Cut") -> list[list[int]]:
    """The items of each cluster."""
    clusters: list[list[int]] = [[] for _ in range(cut.n_clusters)]
    for item, cluster in enumerate(cut.assignment):
        clusters[cluster].append(item)
    return clusters


def tree_nodes(
    cuts: "Sequence[Cut]",
    samples: Sequence[Sample],
    name_of: Callable[[int, int, list[int]], tuple[str, str]],
) -> Iterator[TaxonomyNode]:
    """The clusters of every cut.

    Args:
        cuts: nested, from one cluster on; items are the samples.
        samples: what the tree grows from.
        name_of: from level, cluster and its samples to label and description.
    """
    first_id = len(samples)
    parent_ids: list[str | None] = [None] * len(samples)
    for level, cut in enumerate(cuts):
        for cluster, items in enumerate(clusters_of(cut)):
            label, description = name_of(level, cluster, items)
            given = {samples[item].given_label for item in items}
            yield TaxonomyNode(
                node_id=str(first_id + cluster),
                label=label,
                description=description,
                parent_id=parent_ids[items[0]],
                given_labels=tuple(sorted(each for each in given if each is not None)),
                size=sum(samples[item].size for item in items),
            )
        parent_ids = [str(first_id + cluster) for cluster in cut.assignment]
        first_id += cut.n_clusters


def cut_as_json(cut: "Cut") -> dict[str, Any]:
    return {
        "n_clusters": cut.n_clusters,
        "assignment": list(cut.assignment),
        "distance_threshold": cut.distance_threshold,
        "silhouette": cut.silhouette,
    }


def cut_of_json(content: Mapping[str, Any]) -> "Cut":
    from taxonomy.clustering.cuts import Cut

    return Cut(
        content["n_clusters"],
        tuple(content["assignment"]),
        content["distance_threshold"],
        content["silhouette"],
    )
