"""The tree of thought types, and what it looks like from each level.

Depth is what the edges say: the root is at level 0. A level holds the nodes at that depth and the leaves that
end above it, so every level covers everything. Nothing here reads or writes files.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from taxonomy.distinct_names import NameSource, distinct_names
from taxonomy.errors import LevelError, TaxonomyFileError, UnknownLabelError

_SHOWN_IN_MESSAGES = 5


@dataclass(frozen=True)
class TaxonomyNode:
    """One node as files hold it."""

    node_id: str
    label: str
    description: str = ""
    """One sentence; empty where the file has none."""
    parent_id: str | None = None
    """None for the root."""
    given_labels: tuple[str, ...] = ()
    """The labels of the rollouts that this node stands for, sorted; empty for a tree not built from given
    labels."""
    size: int | None = None
    """Number of chunks under the node, where known."""
    examples: tuple[str, ...] = ()
    """Example texts that came with the file."""


@dataclass(frozen=True)
class ThoughtType:
    """A node as a planner sees it at one level."""

    node_id: str
    label: str
    description: str
    depth: int
    """The node's own depth; below the level asked for where a leaf ends above that level."""
    name: str
    """What the option is called: distinct within the level, case-insensitively, and never the word for
    stopping."""


@dataclass(frozen=True)
class Taxonomy:
    """A rooted tree of nodes, checked when made.

    Raises:
        TaxonomyFileError: the nodes are no tree; the message says which nodes are to blame.
    """

    nodes: tuple[TaxonomyNode, ...]
    """In any order; everything below answers in canonical order (depth first, siblings by label)."""
    source: str = "taxonomy"
    """Where it came from, for messages."""
    _names_by_level: dict[int, tuple[ThoughtType, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not self.nodes:
            raise TaxonomyFileError(f"{self.source}: the taxonomy has no nodes")
        self._check_ids_and_labels()
        self._check_single_root()
        if len(self._depth_of) != len(self.nodes):
            cut_off = [node for node in self.nodes if node.node_id not in self._depth_of]
            raise TaxonomyFileError(
                f"{self.source}: not a tree: a cycle, so that the root does not reach {_listed(cut_off)}"
            )

    def _check_ids_and_labels(self) -> None:
        if len(self._node_of) != len(self.nodes):
            times_used = Counter(node.node_id for node in self.nodes)
            twice = [node for node in self.nodes if times_used[node.node_id] > 1]
            raise TaxonomyFileError(f"{self.source}: node ids used more than once: {_listed(twice)}")
        unnamed = [node for node in self.nodes if not node.label.strip()]
        if unnamed:
            raise TaxonomyFileError(f"{self.source}: nodes without a label: {_listed(unnamed)}")

    def _check_single_root(self) -> None:
        known = {None, *self._node_of}
        orphans = [node for node in self.nodes if node.parent_id not in known]
        if orphans:
            raise TaxonomyFileError(
                f"{self.source}: not a tree: nodes whose parent does not exist: {_listed(orphans)}"
            )
        roots = [node for node in self.nodes if node.parent_id is None]
        if not roots:
            raise TaxonomyFileError(
                f"{self.source}: not a tree: no root, every node has a parent (a cycle): "
                + _listed(self.nodes)
            )
        if len(roots) > 1:
            raise TaxonomyFileError(f"{self.source}: not a tree: {len(roots)} roots: {_listed(roots)}")

    @cached_property
    def _node_of(self) -> Mapping[str, TaxonomyNode]:
        return {node.node_id: node for node in self.nodes}

    @cached_property
    def _children_of(self) -> Mapping[str, tuple[TaxonomyNode, ...]]:
        children: dict[str, list[TaxonomyNode]] = {node.node_id: [] for node in self.nodes}
        for node in self.nodes:
            if node.parent_id is not None:
                children[node.parent_id].append(node)
        return {node_id: tuple(sorted(found, key=_canonical_key)) for node_id, found in children.items()}

    @cached_property
    def _depth_of(self) -> Mapping[str, int]:
        """Depth of every node the root reaches, in canonical order. Iterative: trees may be deep."""
        depths: dict[str, int] = {}
        pending = [(self.root, 0)]
        while pending:
            node, depth = pending.pop()
            depths[node.node_id] = depth
            pending.extend((child, depth + 1) for child in reversed(self._children_of[node.node_id]))
        return depths

    @property
    def root(self) -> TaxonomyNode:
        return next(node for node in self.nodes if node.parent_id is None)

    @property
    def levels(self) -> range:
        """The levels that exist, from 0 to the depth of the deepest node."""
        return range(max(self._depth_of.values()) + 1)

    @property
    def given_labels(self) -> tuple[str, ...]:
        """Every label of the rollouts this taxonomy was built from; empty for any other taxonomy."""
        return tuple(sorted({label for node in self.nodes for label in node.given_labels}))

    def walk(self) -> tuple[TaxonomyNode, ...]:
        """Every node in canonical order, parents before children."""
        return tuple(self._node_of[node_id] for node_id in self._depth_of)

    def node(self, node_id: str) -> TaxonomyNode:
        """Raises UnknownLabelError where there is no such node."""
        try:
            return self._node_of[node_id]
        except KeyError:
            raise UnknownLabelError(f"{self.source}: no node with id {node_id!r}") from None

    def depth(self, node_id: str) -> int:
        return self._depth_of[self.node(node_id).node_id]

    def children(self, node_id: str) -> tuple[TaxonomyNode, ...]:
        """The node's children in canonical order; empty for a leaf."""
        return self._children_of[self.node(node_id).node_id]

    def subtree(self, node_id: str) -> tuple[TaxonomyNode, ...]:
        """The node and everything below it, in canonical order."""
        found: list[TaxonomyNode] = []
        pending = [self.node(node_id)]
        while pending:
            found.append(pending.pop())
            pending.extend(reversed(self._children_of[found[-1].node_id]))
        return tuple(found)

    def check_level(self, level: int, *, flag: str = "--label_level") -> int:
        """The level itself; raises LevelError, which names the flag, where it does not exist."""
        if level not in self.levels:
            raise LevelError(
                f"{self.source}: level {level} does not exist; "
                f"the levels are {self.levels[0]} to {self.levels[-1]} ({flag})"
            )
        return level

    def at_level(self, level: int) -> tuple[ThoughtType, ...]:
        """The thought types of a level: nodes at that depth, and leaves that end above it."""
        self.check_level(level)
        if level not in self._names_by_level:
            self._names_by_level[level] = self._thought_types(level)
        return self._names_by_level[level]

    def _thought_types(self, level: int) -> tuple[ThoughtType, ...]:
        found = [
            (self._node_of[node_id], depth)
            for node_id, depth in self._depth_of.items()
            if depth == level or (depth < level and not self._children_of[node_id])
        ]
        names = distinct_names([self._name_source(node) for node, _ in found])
        return tuple(
            ThoughtType(node.node_id, node.label, node.description, depth, name)
            for (node, depth), name in zip(found, names, strict=True)
        )

    def _name_source(self, node: TaxonomyNode) -> NameSource:
        return NameSource(
            label=node.label,
            ancestors=tuple(ancestor.label for ancestor in self._path(node)[1:]),
            description=node.description,
        )

    def _path(self, node: TaxonomyNode) -> list[TaxonomyNode]:
        """The node, its parent, and so on to the root."""
        path = [node]
        while path[-1].parent_id is not None:
            path.append(self._node_of[path[-1].parent_id])
        return path

    def ancestor_at(self, node_id: str, level: int) -> ThoughtType:
        """The thought type of `level` that covers this node: an ancestor, or the node itself.

        Raises:
            LevelError: the level does not exist, or the node lies above it and has children.
        """
        on_path = {ancestor.node_id for ancestor in self._path(self.node(node_id))}
        for thought_type in self.at_level(level):
            if thought_type.node_id in on_path:
                return thought_type
        raise LevelError(
            f"{self.source}: node {node_id!r} is at level {self.depth(node_id)} and has children, "
            f"so no single thought type of level {level} covers it"
        )

    def node_for_label(self, given_label: str, level: int) -> ThoughtType:
        """The one thought type of `level` that stands for a given label of the rollouts.

        Raises:
            UnknownLabelError: no node of that level stands for the label, or several do.
            LevelError: the level does not exist.
        """
        found = [
            thought_type
            for thought_type in self.at_level(level)
            if given_label in self._node_of[thought_type.node_id].given_labels
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownLabelError(
                f"{self.source}: at level {level} the label {given_label!r} is spread over "
                f"{len(found)} thought types: {', '.join(repr(thought_type.name) for thought_type in found)}"
            )
        known = ", ".join(repr(label) for label in self.given_labels)
        raise UnknownLabelError(
            f"{self.source}: no thought type stands for the label {given_label!r}; "
            + (f"the labels it was built from are {known}" if known else "it was not built from given labels")
        )


def _canonical_key(node: TaxonomyNode) -> tuple[str, str, tuple[int, int, str]]:
    number = int(node.node_id) if re.fullmatch(r"[0-9]{1,18}", node.node_id) else None
    by_id = (1, 0, node.node_id) if number is None else (0, number, node.node_id)
    return node.label.casefold(), node.label, by_id


def _listed(nodes: tuple[TaxonomyNode, ...] | list[TaxonomyNode]) -> str:
    shown = ", ".join(f"{node.node_id} ({node.label!r})" for node in nodes[:_SHOWN_IN_MESSAGES])
    return (
        shown if len(nodes) <= _SHOWN_IN_MESSAGES else f"{shown} and {len(nodes) - _SHOWN_IN_MESSAGES} more"
    )
