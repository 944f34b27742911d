"""Figures of a taxonomy, one row per level: sizes, silhouette, stability, agreement with given labels.

What cannot be known from the directory is None, and `Stats.notes` says why.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from taxonomy.directory import THRESHOLDS_FILE, load_taxonomy
from taxonomy.errors import TaxonomyFileError
from taxonomy.looking.agreement import agreement
from taxonomy.looking.assignments import LevelAssignments, read_assignments
from taxonomy.looking.errors import LookingError
from taxonomy.looking.frames import Frame
from taxonomy.looking.given_labels import GivenLabels, labels_of_directory, labels_of_rollouts
from taxonomy.looking.source_rollouts import KeptStages
from taxonomy.looking.stability import Stability, StabilityRow, Variation, measure_stability
from taxonomy.model import Taxonomy
from taxonomy.rollouts import Rollout


@dataclass(frozen=True)
class LevelStats:
    """One level; the measures of agreement are those of `taxonomy.looking.agreement`."""

    level: int
    thought_types: int
    chunks: int | None
    """In the level's table; None where the directory has none."""
    smallest: int | None
    """Chunks of the smallest thought type, 0 where one has none."""
    median: float | None
    largest: int | None
    silhouette: float | None
    """As the builder recorded it, in the space it clustered in."""
    seed_ari: float | None
    """Mean over rebuilds with other seeds."""
    seed_ari_min: float | None
    bootstrap_ari: float | None
    """Mean over rebuilds from resampled rollouts."""
    bootstrap_ari_min: float | None
    labeled_chunks: int | None
    """With a known given label, which the rest is about."""
    nmi: float | None
    v_measure: float | None
    homogeneity: float | None
    completeness: float | None
    purity: float | None
    ari: float | None


@dataclass(frozen=True)
class Stats:
    """All figures of a taxonomy."""

    levels: Frame[LevelStats]
    stability: Frame[StabilityRow]
    """Every rebuild."""
    given_labels: str
    """Where the given labels come from, or why there are none."""
    notes: tuple[str, ...]
    """What is missing or left out, in sentences."""


def taxonomy_stats(
    tree_path: Path | str,
    *,
    rollouts: Sequence[Rollout] | None = None,
    stages_dir: Path | None = None,
    seeds: int = 5,
    bootstraps: int = 5,
    on_rebuild: Callable[[int, int], None] | None = None,
) -> Stats:
    """Figures of every level.

    Args:
        tree_path: what `load_taxonomy` takes; a bare GML file has no chunks, so little is known of it.
        rollouts: labeled ones that share their ids with the directory's chunks, for the agreement with given
            labels; None for the labels that the directory keeps apart itself, or that its build kept.
        stages_dir: where its build kept its stages; None for beside the directory.
        seeds: rebuilds with other seeds; 0 for none.
        bootstraps: rebuilds from resampled rollouts; 0 for none.
        on_rebuild: called before each rebuild with its number, from 1, and how many there are.

    Raises:
        LookingError: a number below 0, or rollouts that share no chunk with the directory.
        TaxonomyError: the directory's files are broken.
    """
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    stability = measure_stability(
        tree_path,
        seeds=seeds,
        bootstraps=bootstraps,
        rollouts=rollouts,
        stages_dir=stages_dir,
        on_rebuild=on_rebuild,
    )
    labels = _given_labels(taxonomy, tree_path, rollouts, stages_dir)
    silhouettes = _recorded_silhouettes(Path(tree_path) / THRESHOLDS_FILE)
    notes: list[str] = []
    if stability.reason:
        notes.append(f"stability is not measured: {stability.reason}")
    notes.extend(stability.notes)
    if not labels.label_of:
        notes.append(f"agreement with given labels is not measured: {labels.source}")
    rows = []
    any_chunks = False
    for level in taxonomy.levels:
        assignments = read_assignments(taxonomy, tree_path, level)
        notes.extend(assignments.notes)
        any_chunks = any_chunks or bool(assignments.chunks)
        rows.append(_level_stats(taxonomy, assignments, labels, stability, silhouettes))
    if not any_chunks:
        notes.append(f"{tree_path}: holds no labeled chunks, so sizes are not known")
    elif labels.label_of and rollouts is not None and all(row.labeled_chunks is None for row in rows):
        raise LookingError(
            f"{tree_path}: none of its chunks is in the rollouts, by id and idx; the rollouts must be those "
            "that the taxonomy was built from (--rollouts_file)"
        )
    return Stats(Frame(LevelStats, tuple(rows)), stability.frame, labels.source, tuple(notes))


def _given_labels(
    taxonomy: Taxonomy, tree_path: Path | str, rollouts: Sequence[Rollout] | None, stages_dir: Path | None
) -> GivenLabels:
    """Those of the rollouts that are named; else those that the directory keeps pure, or its build kept."""
    if rollouts is not None:
        return labels_of_rollouts(rollouts)
    pure = labels_of_directory(taxonomy, tree_path)
    if pure.label_of:
        return pure
    kept = labels_of_rollouts(KeptStages(tree_path, stages_dir).given_rollouts() or ())
    return kept if kept.label_of else pure


def _level_stats(
    taxonomy: Taxonomy,
    assignments: LevelAssignments,
    labels: GivenLabels,
    stability: Stability,
    silhouettes: dict[int, float | None],
) -> LevelStats:
    level = assignments.level
    thought_types = taxonomy.at_level(level)
    counted = assignments.sizes()
    sizes = [counted.get(kind.node_id, 0) for kind in thought_types] if counted else None
    seed_aris = stability.values(Variation.SEED, level)
    bootstrap_aris = stability.values(Variation.BOOTSTRAP, level)
    labeled = [
        (chunk.node_id, label)
        for chunk in assignments.chunks
        if (label := labels.label_of.get((chunk.rollout_id, chunk.chunk_idx))) is not None
    ]
    agreed = agreement([group for group, _ in labeled], [label for _, label in labeled]) if labeled else None
    return LevelStats(
        level=level,
        thought_types=len(thought_types),
        chunks=None if sizes is None else sum(sizes),
        smallest=None if sizes is None else min(sizes),
        median=None if sizes is None else float(median(sizes)),
        largest=None if sizes is None else max(sizes),
        silhouette=silhouettes.get(len(thought_types)),
        seed_ari=mean(seed_aris) if seed_aris else None,
        seed_ari_min=min(seed_aris, default=None),
        bootstrap_ari=mean(bootstrap_aris) if bootstrap_aris else None,
        bootstrap_ari_min=min(bootstrap_aris, default=None),
        labeled_chunks=agreed.items if agreed else None,
        nmi=agreed.nmi if agreed else None,
        v_measure=agreed.v_measure if agreed else None,
        homogeneity=agreed.homogeneity if agreed else None,
        completeness=agreed.completeness if agreed else None,
        purity=agreed.purity if agreed else None,
        ari=agreed.ari if agreed else None,
    )


def _recorded_silhouettes(table: Path) -> dict[int, float | None]:
    """By number of clusters; empty where the directory has no such table."""
    if not table.is_file():
        return {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as handle:
            return {
                int(row["n_clusters"]): float(score) if (score := row["silhouette_score"]) else None
                for row in csv.DictReader(handle)
            }
    except KeyError as error:
        raise TaxonomyFileError(f"{table}: lacks the column {error}") from error
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise TaxonomyFileError(f"{table}: cannot be read: {error}") from error
