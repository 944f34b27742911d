"""Chunks that change their place in a finished tree, and the sizes that follow from it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.built import BuiltTaxonomy, LabeledChunk
from taxonomy.model import Taxonomy

_BLOCK_ROWS = 8192


def nearest_samples(
    vectors: NDArray[np.floating[Any]], means: NDArray[np.floating[Any]]
) -> NDArray[np.int64]:
    """The position of the nearest mean (Euclidean) of each row; the first of equally near ones."""
    lengths = (means**2).sum(axis=1)
    blocks = [
        np.argmin(lengths - 2 * vectors[start : start + _BLOCK_ROWS] @ means.T, axis=1)
        for start in range(0, len(vectors), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int64)


def sample_means(
    sample_of_row: Sequence[int], vectors: NDArray[np.floating[Any]], n_samples: int
) -> NDArray[np.float64]:
    """The mean vector of each sample's chunks; zeros where it has none."""
    sums = np.zeros((n_samples, vectors.shape[1]))
    np.add.at(sums, np.asarray(sample_of_row), vectors)
    return sums / np.maximum(np.bincount(sample_of_row, minlength=n_samples), 1)[:, None]


def with_chunks(built: BuiltTaxonomy, chunks: Sequence[LabeledChunk]) -> BuiltTaxonomy:
    """The taxonomy with other chunks, or chunks elsewhere in it: every size is counted again."""
    counts = np.bincount([chunk.sample for chunk in chunks], minlength=len(built.samples)).tolist()
    size_of: dict[str, int] = {}
    for level in built.taxonomy.levels:
        for sample, count in enumerate(counts):
            node_id = built.node_id(sample, level)
            size_of[node_id] = size_of.get(node_id, 0) + count
    nodes = tuple(replace(node, size=size_of[node.node_id]) for node in built.taxonomy.nodes)
    return replace(
        built,
        taxonomy=Taxonomy(nodes, source=built.taxonomy.source),
        samples=tuple(
            replace(sample, size=count) for sample, count in zip(built.samples, counts, strict=True)
        ),
        chunks=tuple(chunks),
    )


def with_remaining_chunks(
    built: BuiltTaxonomy, chunks: Sequence[tuple[str, int, str]], vectors: NDArray[np.floating[Any]]
) -> BuiltTaxonomy:
    """The taxonomy with every chunk in it: those that it was not grown from go to the nearest sample, and so get the
    thought types of that at every level.

    Args:
        built: from some of the chunks.
        chunks: rollout id, idx and text of all of them, sorted as `built.chunks` are.
        vectors: of all of them, a row each.
    """
    known = {(chunk.rollout_id, chunk.idx): chunk for chunk in built.chunks}
    inside = [row for row, (rollout_id, idx, _) in enumerate(chunks) if (rollout_id, idx) in known]
    outside = [row for row, (rollout_id, idx, _) in enumerate(chunks) if (rollout_id, idx) not in known]
    if not outside:
        return built
    sample_of = [known[chunks[row][:2]].sample for row in inside]
    means = sample_means(sample_of, vectors[inside], len(built.samples))
    placed = dict(zip(outside, nearest_samples(vectors[outside], means).tolist(), strict=True))
    everything = tuple(
        known.get((rollout_id, idx)) or LabeledChunk(rollout_id, idx, text, None, placed[row])
        for row, (rollout_id, idx, text) in enumerate(chunks)
    )
    note = f"{len(outside)} of {len(chunks)} chunks without a label were given that of the nearest ones"
    return replace(with_chunks(built, everything), warnings=(*built.warnings, note))
