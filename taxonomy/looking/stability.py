"""How much of a taxonomy would come back: rebuilt with other seeds, and from resampled rollouts.

A rebuild groups the directory's chunks anew; the adjusted Rand index says, level by level, how far that agrees
with the directory. Before any other, one with the directory's own seed shows whether it comes back at all. What
rebuilds is a `Rebuild`; `rebuild_of_directory` finds the one for a directory, or says why there is none.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.looking.agreement import agreement
from taxonomy.looking.assignments import read_assignments
from taxonomy.looking.errors import LookingError
from taxonomy.looking.frames import Frame
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
    """Without a row for a level that a rebuild does not carry."""
    reason: str | None = None
    """Why nothing was rebuilt, where nothing was."""
    notes: tuple[str, ...] = ()
    """What is to be known of the rebuilds, in sentences."""

    def values(self, variation: Variation, level: int) -> tuple[float, ...]:
        """The ARI of each rebuild at one level."""
        return tuple(row.ari for row in self.frame if row.variation is variation and row.level == level)


def measure_stability(
    tree_path: Path | str,
    *,
    seeds: int = 5,
    bootstraps: int = 5,
    rollouts: Sequence[Rollout] | None = None,
    stages_dir: Path | None = None,
    rebuild: Rebuild | None = None,
    on_rebuild: Callable[[int, int], None] | None = None,
) -> Stability:
    """Rebuild with `seeds` other seeds and from `bootstraps` draws of the rollouts.

    Args:
        tree_path: a taxonomy directory.
        seeds: 0 for none.
        bootstraps: 0 for none.
        rollouts: those that it was built from, where its build did not keep them.
        stages_dir: where its build kept them; None for beside the directory.
        rebuild: how; None for the way that the directory's manifest records.
        on_rebuild: called before each rebuild with its number, from 1, and how many there are.

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
        found = rebuild_of_directory(tree_path, rollouts=rollouts, stages_dir=stages_dir)
        if isinstance(found, Unbuildable):
            return Stability(Frame(StabilityRow, ()), found.reason)
        rebuild = found
    wanted = _directory_grouping(tree_path)
    notes = [f"rebuilt from {rebuild.source}"]
    rows: list[StabilityRow] = []
    for number, (variation, run, drawn) in enumerate(_runs(rebuild, seeds, bootstraps)):
        if on_rebuild is not None:
            on_rebuild(number + 1, 1 + seeds + bootstraps)
        seed = run if variation is Variation.SEED else rebuild.seed
        compared = list(_compare(variation, run, wanted, rebuild.group(drawn, seed)))
        if number > 0:
            rows.extend(compared)
        else:
            notes.extend(_own_seed_note(compared, len(wanted)))
    stability = Stability(Frame(StabilityRow, tuple(rows)), notes=tuple(notes))
    for variation, count in ((Variation.SEED, seeds), (Variation.BOOTSTRAP, bootstraps)):
        for level in range(len(wanted)):
            missing = count - len(stability.values(variation, level))
            if missing:
                notes.append(f"level {level} is missing from {missing} of {count} {variation.value} rebuilds")
    return replace(stability, notes=tuple(notes))


def _runs(
    rebuild: Rebuild, seeds: int, bootstraps: int
) -> Iterator[tuple[Variation, int, Sequence[Rollout]]]:
    """The directory's own seed first."""
    for seed in range(rebuild.seed, rebuild.seed + 1 + seeds):
        yield Variation.SEED, seed, rebuild.rollouts
    for run in range(bootstraps):
        source = random.Random(f"bootstrap {run}")
        yield Variation.BOOTSTRAP, run, source.choices(rebuild.rollouts, k=len(rebuild.rollouts))


def _own_seed_note(rows: Sequence[StabilityRow], n_levels: int) -> Iterator[str]:
    aris = {row.level: row.ari for row in rows}
    differing = [level for level in range(n_levels) if aris.get(level) != 1.0]
    if differing:
        figures = ", ".join(
            f"level {level} " + (f"{aris[level]:.3f}" if level in aris else "absent") for level in differing
        )
        yield (
            f"with the seed of the directory the rebuild is not the directory (ARI: {figures}), so what the others "
            "differ by is not all due to seeds and draws"
        )


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
    for level, (there, here) in enumerate(zip(wanted, found, strict=True)):
        shared = sorted(there.keys() & here.keys())
        if shared:
            ari = agreement([here[key] for key in shared], [there[key] for key in shared]).ari
            yield StabilityRow(variation, run, level, len(shared), ari)
