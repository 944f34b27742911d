"""Chunks that no part of the tree was grown from get the thought types of the nearest one, at every level."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.built import BuiltTaxonomy, LabeledChunk, Sample
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


def with_remaining_chunks(
    built: BuiltTaxonomy, chunks: Sequence[tuple[str, int, str]], vectors: NDArray[np.floating[Any]]
) -> BuiltTaxonomy:
    """The taxonomy with every chunk in it.

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
    sample_of = np.array([known[chunks[row][:2]].sample for row in inside])
    sums = np.zeros((len(built.samples), vectors.shape[1]))
    np.add.at(sums, sample_of, vectors[inside])
    means = sums / np.maximum(np.bincount(sample_of, minlength=len(built.samples)), 1)[:, None]
    placed = dict(zip(outside, nearest_samples(vectors[outside], means).tolist(), strict=True))
    extra = np.bincount(list(placed.values()), minlength=len(built.samples))
    added: dict[str, int] = {}
    for sample, count in enumerate(extra.tolist()):
        for level in built.taxonomy.levels:
            node_id = built.node_id(sample, level)
            added[node_id] = added.get(node_id, 0) + count
    nodes = tuple(
        replace(node, size=(node.size or 0) + added.get(node.node_id, 0)) for node in built.taxonomy.nodes
    )
    return replace(
        built,
        taxonomy=Taxonomy(nodes, source=built.taxonomy.source),
        samples=tuple(
            Sample(sample.given_label, sample.size + int(count))
            for sample, count in zip(built.samples, extra, strict=True)
        ),
        chunks=tuple(
            known.get((rollout_id, idx)) or LabeledChunk(rollout_id, idx, text, None, placed[row])
            for row, (rollout_id, idx, text) in enumerate(chunks)
        ),
        warnings=(
            *built.warnings,
            f"{len(outside)} of {len(chunks)} chunks without a label were given that of the nearest ones",
        ),
    )
