"""What differs between two taxonomies: their nodes and labels, and what they say of the chunks they share.

Node ids mean nothing across two builds, so a node is known by its label (white space collapsed, case kept) and
its place: its level and its parent's label. Where a label has nodes in both, those at equal places are the
same node; of the others, in canonical order, the first of A moved to the first of B, and so on, and what is
left over is removed or added. So each node of A is kept, moved or removed, each of B kept, moved or added.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.looking.agreement import agreement
from taxonomy.looking.assignments import read_assignments
from taxonomy.looking.frames import Frame
from taxonomy.model import Taxonomy, TaxonomyNode


class Change(Enum):
    """What became of a node on the way from A to B."""

    KEPT = "kept"
    MOVED = "moved"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class NodeChange:
    """One node of A, of B, or of both."""

    change: Change
    label: str
    level_a: int | None
    """None where A has no such node; so for the other fields of A, and of B."""
    parent_a: str | None
    """The parent's label; None for a root as well."""
    level_b: int | None
    parent_b: str | None
    redescribed: bool
    """Whether both have it and describe it differently."""


@dataclass(frozen=True)
class LevelAgreement:
    """What both say of the chunks they share, at one level."""

    level: int
    thought_types_a: int
    thought_types_b: int
    shared_chunks: int
    """Of the same rollout and idx, and the same text."""
    only_a: int
    only_b: int
    ari: float | None
    """None where no chunk is shared; so for the rest."""
    nmi: float | None
    same_label: float | None
    """Share of the shared chunks whose thought types are called the same."""


@dataclass(frozen=True)
class TaxonomyDiff:
    """A against B."""

    nodes: Frame[NodeChange]
    """Every node, kept ones too; those of A in canonical order, then those that B added."""
    labels_added: tuple[str, ...]
    """Labels that only B has, sorted."""
    labels_removed: tuple[str, ...]
    labels_moved: tuple[str, ...]
    """Labels of both of which a node moved."""
    levels: Frame[LevelAgreement]
    """The levels that both have."""
    notes: tuple[str, ...]
    """What is left out, in sentences."""

    def count(self, change: Change) -> int:
        return sum(row.change is change for row in self.nodes)


def diff_taxonomies(path_a: Path | str, path_b: Path | str) -> TaxonomyDiff:
    """Compare two taxonomies, directories or GML files.

    Raises:
        TaxonomyError: as `load_taxonomy` raises it.
    """
    a, b = load_taxonomy(path_a, flag="A"), load_taxonomy(path_b, flag="B")
    changes = tuple(_node_changes(a, b))
    labels_a = {_label(node) for node in a.nodes}
    labels_b = {_label(node) for node in b.nodes}
    notes: list[str] = []
    levels = tuple(
        _level_agreement(a, path_a, b, path_b, level, notes) for level in a.levels if level in b.levels
    )
    for name, taxonomy, other in (("A", a, b), ("B", b, a)):
        only = [str(level) for level in taxonomy.levels if level not in other.levels]
        if only:
            notes.append(f"only {name} has the levels {', '.join(only)}")
    if not any(level.shared_chunks for level in levels):
        notes.append("they share no labeled chunks, so their assignments are not compared")
    return TaxonomyDiff(
        nodes=Frame(NodeChange, changes),
        labels_added=tuple(sorted(labels_b - labels_a)),
        labels_removed=tuple(sorted(labels_a - labels_b)),
        labels_moved=tuple(sorted({row.label for row in changes if row.change is Change.MOVED})),
        levels=Frame(LevelAgreement, levels),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Placed:
    node: TaxonomyNode
    level: int
    parent: str | None

    @property
    def place(self) -> tuple[int, str | None]:
        return self.level, self.parent


def _node_changes(a: Taxonomy, b: Taxonomy) -> Iterator[NodeChange]:
    placed_a, placed_b = _placed(a), _placed(b)
    for label, nodes in placed_a.items():
        yield from _changes_of_label(label, nodes, placed_b.get(label, []))
    for label, nodes in placed_b.items():
        if label not in placed_a:
            yield from _changes_of_label(label, [], nodes)


def _placed(taxonomy: Taxonomy) -> dict[str, list[_Placed]]:
    """Nodes by label, in canonical order."""
    found: defaultdict[str, list[_Placed]] = defaultdict(list)
    for node in taxonomy.walk():
        parent = None if node.parent_id is None else _label(taxonomy.node(node.parent_id))
        found[_label(node)].append(_Placed(node, taxonomy.depth(node.node_id), parent))
    return dict(found)


def _changes_of_label(label: str, in_a: list[_Placed], in_b: list[_Placed]) -> Iterator[NodeChange]:
    left_b = list(in_b)
    left_a = []
    for here in in_a:
        there = next((candidate for candidate in left_b if candidate.place == here.place), None)
        if there is None:
            left_a.append(here)
        else:
            left_b.remove(there)
            yield _change(label, here, there)
    for one, other in zip_longest(left_a, left_b):
        yield _change(label, one, other)


def _change(label: str, a: _Placed | None, b: _Placed | None) -> NodeChange:
    if a is None:
        change = Change.ADDED
    elif b is None:
        change = Change.REMOVED
    else:
        change = Change.KEPT if a.place == b.place else Change.MOVED
    return NodeChange(
        change=change,
        label=label,
        level_a=a.level if a else None,
        parent_a=a.parent if a else None,
        level_b=b.level if b else None,
        parent_b=b.parent if b else None,
        redescribed=a is not None and b is not None and a.node.description != b.node.description,
    )


def _level_agreement(
    a: Taxonomy, path_a: Path | str, b: Taxonomy, path_b: Path | str, level: int, notes: list[str]
) -> LevelAgreement:
    in_a, in_b = _chunk_nodes(a, path_a, level, "A", notes), _chunk_nodes(b, path_b, level, "B", notes)
    shared = sorted(in_a.keys() & in_b.keys())
    groups_a, groups_b = [in_a[key] for key in shared], [in_b[key] for key in shared]
    agreed = agreement(groups_a, groups_b) if shared else None
    same = sum(
        _label(a.node(one)) == _label(b.node(other)) for one, other in zip(groups_a, groups_b, strict=True)
    )
    return LevelAgreement(
        level=level,
        thought_types_a=len(a.at_level(level)),
        thought_types_b=len(b.at_level(level)),
        shared_chunks=len(shared),
        only_a=len(in_a) - len(shared),
        only_b=len(in_b) - len(shared),
        ari=agreed.ari if agreed else None,
        nmi=agreed.nmi if agreed else None,
        same_label=same / len(shared) if shared else None,
    )


def _chunk_nodes(
    taxonomy: Taxonomy, path: Path | str, level: int, name: str, notes: list[str]
) -> Mapping[tuple[str, int, str], str]:
    """Node ids by rollout id, idx and text; a chunk that stands in the table twice counts once."""
    assignments = read_assignments(taxonomy, path, level)
    notes.extend(f"{name}, {note}" for note in assignments.notes)
    keys = Counter((chunk.rollout_id, chunk.chunk_idx, chunk.text) for chunk in assignments.chunks)
    repeated = sum(times - 1 for times in keys.values())
    if repeated:
        notes.append(f"{name}, level {level}: {repeated} rows repeat another row's chunk; the last counts")
    return {(chunk.rollout_id, chunk.chunk_idx, chunk.text): chunk.node_id for chunk in assignments.chunks}


def _label(node: TaxonomyNode) -> str:
    return " ".join(node.label.split())
