"""Building a taxonomy again from what its directory holds.

A directory that was built from given labels holds all that is needed: the chunks' texts, their given labels,
the labels' descriptions, the level sizes, and in its manifest the parameters.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from taxonomy.directory import MANIFEST_FILE, load_taxonomy
from taxonomy.errors import TaxonomyFileError
from taxonomy.looking.assignments import read_assignments
from taxonomy.looking.given_labels import ChunkKey, labels_of_directory
from taxonomy.model import Taxonomy
from taxonomy.rollouts import Chunk, Rollout

Grouping = Mapping[ChunkKey, str]
"""The thought type (any name for it) of each chunk, by rollout id and chunk idx."""


@dataclass(frozen=True)
class Rebuild:
    """A way to build a directory's taxonomy again."""

    rollouts: tuple[Rollout, ...]
    """What it was built from."""
    seed: int
    """That it was built with."""
    group: Callable[[Sequence[Rollout], int], Sequence[Grouping]]
    """From rollouts and a seed to a grouping of their chunks per level."""


@dataclass(frozen=True)
class Unbuildable:
    """Why a taxonomy cannot be built again."""

    reason: str


def rebuild_of_directory(tree_path: Path | str) -> Rebuild | Unbuildable:
    """The rebuild of a directory that was built from given labels.

    Raises:
        TaxonomyError: the directory's files are broken.
    """
    parameters = _parameters(Path(tree_path) / MANIFEST_FILE)
    if parameters is None:
        return Unbuildable(f"no {MANIFEST_FILE} records how it was built")
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    labels = labels_of_directory(taxonomy, tree_path)
    if not labels.label_of:
        return Unbuildable(f"given labels are not known: {labels.source}")
    sizes = [len(taxonomy.at_level(level)) for level in taxonomy.levels]
    grows = sizes[0] == 1 and all(a < b for a, b in pairwise(sizes))
    if not grows or sizes[-1] != len(taxonomy.given_labels):
        return Unbuildable(
            f"its level sizes, {', '.join(map(str, sizes))}, are not those of a tree that ends with its "
            f"{len(taxonomy.given_labels)} given labels"
        )
    rollouts = _rollouts(taxonomy, tree_path, labels.label_of)

    def group(some: Sequence[Rollout], seed: int) -> list[dict[ChunkKey, str]]:
        from taxonomy.build import build_taxonomy

        present = len({chunk.label for rollout in some for chunk in rollout.chunks})
        built = build_taxonomy(
            some,
            level_sizes=sorted({min(size, present) for size in sizes}),
            seed=seed,
            dimensions=parameters.dimensions,
            description_weight=parameters.description_weight,
        ).taxonomy
        return [_grouping(built, some, level) for level in built.levels]

    return Rebuild(rollouts, parameters.seed, group)


@dataclass(frozen=True)
class _Parameters:
    seed: int
    dimensions: int
    description_weight: float


def _parameters(manifest: Path) -> _Parameters | None:
    """None where there is no manifest, or one that does not record these."""
    try:
        content: Any = json.loads(manifest.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise TaxonomyFileError(f"{manifest}: cannot be read as JSON: {error}") from error
    recorded = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(recorded, dict):
        return None
    seed, dimensions = recorded.get("seed"), recorded.get("dimensions")
    weight = recorded.get("description_weight")
    if isinstance(seed, int) and isinstance(dimensions, int) and isinstance(weight, int | float):
        return _Parameters(seed, dimensions, float(weight))
    return None


def _rollouts(
    taxonomy: Taxonomy, tree_path: Path | str, label_of: Mapping[ChunkKey, str]
) -> tuple[Rollout, ...]:
    """The directory's chunks as labeled rollouts; what a rebuild does not read stays empty."""
    chunks: dict[str, list[Chunk]] = {}
    for chunk in read_assignments(taxonomy, tree_path, taxonomy.levels[-1]).chunks:
        label = label_of[chunk.rollout_id, chunk.chunk_idx]
        description = taxonomy.node(chunk.node_id).description or None
        found = Chunk(idx=chunk.chunk_idx, text=chunk.text, label=label, description=description)
        chunks.setdefault(chunk.rollout_id, []).append(found)
    return tuple(Rollout(rollout_id, "", tuple(found)) for rollout_id, found in chunks.items())


def _grouping(taxonomy: Taxonomy, rollouts: Sequence[Rollout], level: int) -> dict[ChunkKey, str]:
    node_of = {label: taxonomy.node_for_label(label, level).node_id for label in taxonomy.given_labels}
    return {
        (rollout.id, chunk.idx): node_of[chunk.label]
        for rollout in rollouts
        for chunk in rollout.chunks
        if chunk.label is not None
    }
