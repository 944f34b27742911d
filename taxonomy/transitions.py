"""How often one thought type follows another: what a Markov planner needs.

Counted in rollouts whose chunks carry given labels, or in the table of chunks that a taxonomy directory has of a
level.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from taxonomy.errors import TaxonomyFileError
from taxonomy.model import Taxonomy
from taxonomy.rollouts import Rollout

START = "<start>"
"""Stands before the first chunk of a rollout."""
END = "<end>"
"""Stands after the last chunk of a rollout."""


@dataclass(frozen=True)
class TransitionCounts:
    """Counts over the thought types of one level."""

    level: int
    counts: Mapping[str, Mapping[str, int]]
    """From a node id (or START) to a node id (or END). Steps of one thought type in a row count as
    transitions from it to itself. Only transitions that occur are listed."""
    rollouts: int
    """How many rollouts were counted."""
    unlabeled_chunks: int
    """Chunks without a label: no transition into or out of them is counted."""


def label_transition_counts(
    rollouts: Iterable[Rollout], taxonomy: Taxonomy, level: int, *, only_correct: bool = False
) -> TransitionCounts:
    """Count start -> thought type -> ... -> end over rollouts whose chunks carry given labels.

    Args:
        rollouts: labeled with the labels that the taxonomy was built from.
        taxonomy: maps each given label to one thought type.
        level: the level whose thought types are counted.
        only_correct: count only rollouts whose `is_correct` is True; ungraded ones are then left out too.

    Raises:
        UnknownLabelError: a chunk's label has no single thought type at this level.
        LevelError: the level does not exist.
    """
    taxonomy.check_level(level)
    node_of: dict[str, str] = {}

    def node(label: str) -> str:
        if label not in node_of:
            node_of[label] = taxonomy.node_for_label(label, level).node_id
        return node_of[label]

    return _count(
        level,
        (
            [None if chunk.label is None else node(chunk.label) for chunk in rollout.chunks]
            for rollout in rollouts
            if rollout.is_correct is True or not only_correct
        ),
    )


def table_transition_counts(taxonomy: Taxonomy, tree_path: Path | str, level: int) -> TransitionCounts:
    """Count over the chunks of a directory's table, rollout by rollout in the order of their places.

    A place that the table leaves out is a chunk without a thought type. Where a rollout ended is known from its last
    chunk in the table.

    Raises:
        TaxonomyFileError: the directory has no table of this level, or a broken one.
        LevelError: the level does not exist.
    """
    from taxonomy.looking.assignments import AssignedChunk, read_assignments

    chunks_of: defaultdict[str, list[AssignedChunk]] = defaultdict(list)
    for chunk in read_assignments(taxonomy, tree_path, level).chunks:
        chunks_of[chunk.rollout_id].append(chunk)
    if not chunks_of:
        raise TaxonomyFileError(
            f"{tree_path}: holds no labeled chunks of level {level} in which transitions could be counted"
        )
    return _count(
        level,
        (_with_gaps({chunk.chunk_idx: chunk.node_id for chunk in chunks}) for chunks in chunks_of.values()),
    )


def _with_gaps(node_at: Mapping[int, str]) -> list[str | None]:
    places = sorted(node_at)
    sequence: list[str | None] = [node_at[places[0]]]
    for before, place in pairwise(places):
        sequence.extend([None] * (place > before + 1))
        sequence.append(node_at[place])
    return sequence


def _count(level: int, sequences: Iterable[Sequence[str | None]]) -> TransitionCounts:
    """Over node ids, a sequence a rollout; None where a chunk has no thought type."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    rollouts = 0
    unlabeled = 0
    for sequence in sequences:
        rollouts += 1
        unlabeled += sum(node_id is None for node_id in sequence)
        for origin, target in pairwise((START, *sequence, END)):
            if origin is not None and target is not None:
                counts[origin][target] += 1
    return TransitionCounts(
        level=level,
        counts={origin: dict(sorted(targets.items())) for origin, targets in sorted(counts.items())},
        rollouts=rollouts,
        unlabeled_chunks=unlabeled,
    )
