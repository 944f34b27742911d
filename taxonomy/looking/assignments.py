"""Which thought type each chunk is of, level by level, as the tables of a taxonomy directory say."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from taxonomy.directory import read_labeled_chunks
from taxonomy.model import Taxonomy


@dataclass(frozen=True)
class AssignedChunk:
    """A chunk and its thought type at one level."""

    rollout_id: str
    chunk_idx: int
    text: str
    node_id: str


@dataclass(frozen=True)
class LevelAssignments:
    """The chunks of one level's table."""

    level: int
    chunks: tuple[AssignedChunk, ...]
    """In the table's order; empty for a bare GML file."""
    notes: tuple[str, ...]
    """Rows that are left out, and why, in sentences."""

    def sizes(self) -> dict[str, int]:
        """Chunks per node id; nodes without any are absent."""
        return dict(Counter(chunk.node_id for chunk in self.chunks))


def read_assignments(taxonomy: Taxonomy, tree_path: Path | str, level: int) -> LevelAssignments:
    """A row says which thought type it is of by its name or, where that is unique in the level, its label.

    Raises:
        LevelError: the level does not exist.
        TaxonomyFileError: the table is broken.
    """
    thought_types = taxonomy.at_level(level)
    label_count = Counter(kind.label for kind in thought_types)
    node_of = {kind.label: kind.node_id for kind in thought_types if label_count[kind.label] == 1}
    node_of.update((kind.name, kind.node_id) for kind in thought_types)
    chunks: list[AssignedChunk] = []
    unplaced: Counter[str] = Counter()
    for row in read_labeled_chunks(tree_path, level):
        if row.label in node_of:
            chunks.append(AssignedChunk(row.rollout_id, row.chunk_idx, row.text, node_of[row.label]))
        else:
            unplaced[row.label] += 1
    notes = tuple(
        f"level {level}: {count} chunks labeled {label!r} are left out: no single thought type is so called"
        for label, count in sorted(unplaced.items())
    )
    return LevelAssignments(level, tuple(chunks), notes)


def node_sizes(taxonomy: Taxonomy, tree_path: Path | str) -> dict[str, int]:
    """Chunks under each node, counted in the table of the node's own level; where there is none, what the GML
    says. A node about which neither says anything is absent."""
    sizes: dict[str, int] = {}
    for level in taxonomy.levels:
        counted = read_assignments(taxonomy, tree_path, level).sizes()
        for kind in taxonomy.at_level(level):
            if kind.depth != level:
                continue
            size = counted.get(kind.node_id, 0) if counted else taxonomy.node(kind.node_id).size
            if size is not None:
                sizes[kind.node_id] = size
    return sizes
