"""The most typical chunks of each thought type: those nearest the mean of its chunks.

Chunks of 5 to 100 words come first, each of another rollout; where these do not suffice, others of the same rollouts,
and then shorter and longer ones. No two have the same text.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.built import BuiltTaxonomy, LabeledChunk, TypicalChunk

CHUNKS_A_NODE = 10
READABLE_WORDS = range(5, 101)


def typical_chunks(built: BuiltTaxonomy, vectors: NDArray[np.floating[Any]]) -> tuple[TypicalChunk, ...]:
    """Of every node, in the order of the node ids, at most CHUNKS_A_NODE; none of a node without chunks.

    Args:
        built: the tree with its chunks.
        vectors: of these chunks, a row each.
    """
    sample_of = np.array([chunk.sample for chunk in built.chunks])
    found: list[TypicalChunk] = []
    for level, cut in enumerate(built.cuts):
        node_of = np.asarray(cut.assignment)[sample_of]
        order = np.argsort(node_of, kind="stable")
        ends = np.cumsum(np.bincount(node_of, minlength=cut.n_clusters))
        for rows in np.split(order, ends[:-1]):
            if not len(rows):
                continue
            node_id = built.node_id(int(sample_of[rows[0]]), level)
            own = vectors[rows]
            nearness = np.round(own @ own.mean(axis=0, dtype=np.float64), 9)
            nearest_first = rows[np.argsort(-nearness, kind="stable")]
            chosen = _chosen([built.chunks[row] for row in nearest_first])
            found.extend(TypicalChunk(node_id, rank, chunk) for rank, chunk in enumerate(chosen, start=1))
    return tuple(found)


def _chosen(nearest_first: list[LabeledChunk]) -> list[LabeledChunk]:
    chosen: dict[str, LabeledChunk] = {}
    rollouts: set[str] = set()

    def take(wanted: Callable[[LabeledChunk], bool]) -> None:
        for chunk in nearest_first:
            if len(chosen) == CHUNKS_A_NODE:
                return
            text = chunk.text.strip()
            if text and text not in chosen and wanted(chunk):
                chosen[text] = chunk
                rollouts.add(chunk.rollout_id)

    take(lambda chunk: chunk.rollout_id not in rollouts and _is_readable(chunk))
    take(_is_readable)
    take(lambda chunk: True)
    return list(chosen.values())


def _is_readable(chunk: LabeledChunk) -> bool:
    return len(chunk.text.split()) in READABLE_WORDS
