"""How much of a taxonomy would come back: rebuilt with other seeds, and from resampled rollouts.

A rebuild groups the directory's own chunks anew; the adjusted Rand index says, level by level, how far that
agrees with the directory. What rebuilds is a `Rebuild`; `rebuild_of_directory` finds the one for directories
that were built from given labels, and says why there is none for others.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.looking.agreement import agreement
from taxonomy.looking.assignments import read_assignments
from taxonomy.looking.errors import LookingError
from taxonomy.looking.frames import Frame
from taxonomy.looking.given_labels import ChunkKey
from taxonomy.looking.rebuilding import Grouping, Rebuild, Unbuildable, rebuild_of_directory
from taxonomy.rollouts import Rollout


class Variation(Enum):
    """What differs between the directory and a rebuild."""

    SEED = "seed"
    BOOTSTRAP = "bootstrap"
    """As many rollouts, drawn with replacement; the seed is the directory's."""


@dataclass(frozen=True)
class StabilityRow:
    """One level of one rebuild."""

    variation: Variation
    run: int
    """The seed, or the number of the draw."""
    level: int
    chunks: int
    """That both group."""
    ari: float
    """Between the directory and the rebuild: 1 where they are the same, 0 where they agree by chance."""


@dataclass(frozen=True)
class Stability:
    """All rebuilds."""

    frame: Frame[StabilityRow]
    reason: str | None = None
    """Why nothing was rebuilt, where nothing was."""

    def values(self, variation: Variation, level: int) -> tuple[float, ...]:
        """The ARI of each rebuild at one level."""
        return tuple(row.ari for row in self.frame if row.variation is variation and row.level == level)


def measure_stability(
    tree_path: Path | str, *, seeds: int = 5, bootstraps: int = 5, rebuild: Rebuild | None = None
) -> Stability:
    """Rebuild with `seeds` other seeds and from `bootstraps` draws of the rollouts.

    Args:
        tree_path: a taxonomy directory.
        seeds: 0 for none.
        bootstraps: 0 for none.
        rebuild: how; None for the way that the directory's manifest records.

    Raises:
        LookingError: a number below 0.
        TaxonomyError: the directory's files are broken.
    """
    for name, number in (("seeds", seeds), ("bootstraps", bootstraps)):
        if number < 0:
            raise LookingError(f"{name} is {number}, 0 or more is allowed (--{name})")
    if seeds == bootstraps == 0:
        return Stability(Frame(StabilityRow, ()), "not asked for (--seeds, --bootstraps)")
    if rebuild is None:
        found = rebuild_of_directory(tree_path)
        if isinstance(found, Unbuildable):
            return Stability(Frame(StabilityRow, ()), found.reason)
        rebuild = found
    wanted = _directory_grouping(tree_path)
    rows: list[StabilityRow] = []
    for seed in range(rebuild.seed + 1, rebuild.seed + 1 + seeds):
        rows.extend(_compare(Variation.SEED, seed, wanted, rebuild.group(rebuild.rollouts, seed)))
    for run in range(bootstraps):
        drawn, original_id = _draw(rebuild.rollouts, run)
        found_again = rebuild.group(drawn, rebuild.seed)
        renamed = [_renamed(grouping, original_id) for grouping in found_again]
        rows.extend(_compare(Variation.BOOTSTRAP, run, wanted, renamed))
    return Stability(Frame(StabilityRow, tuple(rows)))


def _directory_grouping(tree_path: Path | str) -> list[Grouping]:
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    return [
        {
            (chunk.rollout_id, chunk.chunk_idx): chunk.node_id
            for chunk in read_assignments(taxonomy, tree_path, level).chunks
        }
        for level in taxonomy.levels
    ]


def _compare(
    variation: Variation, run: int, wanted: Sequence[Grouping], found: Sequence[Grouping]
) -> Iterator[StabilityRow]:
    for level, (there, here) in enumerate(zip(wanted, found, strict=False)):
        shared = sorted(there.keys() & here.keys())
        if shared:
            ari = agreement([here[key] for key in shared], [there[key] for key in shared]).ari
            yield StabilityRow(variation, run, level, len(shared), ari)


def _draw(rollouts: Sequence[Rollout], run: int) -> tuple[list[Rollout], dict[str, str]]:
    """As many rollouts with new ids, and the old id of each new one."""
    source = random.Random(f"bootstrap {run}")
    picked = source.choices(rollouts, k=len(rollouts))
    drawn = [replace(rollout, id=f"{position:09}") for position, rollout in enumerate(picked)]
    return drawn, {new.id: old.id for new, old in zip(drawn, picked, strict=True)}


def _renamed(grouping: Grouping, original_id: Mapping[str, str]) -> dict[ChunkKey, str]:
    """Copies of one rollout are grouped alike, so each chunk counts once."""
    return {(original_id[rollout_id], idx): node_id for (rollout_id, idx), node_id in grouping.items()}
