"""Every node of a taxonomy with its size and share: what pictures show, as a table."""

from dataclasses import dataclass
from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.looking.assignments import node_sizes
from taxonomy.looking.frames import Frame
from taxonomy.model import Taxonomy, TaxonomyNode


@dataclass(frozen=True)
class NodeRow:
    """One node."""

    node_id: str
    parent_id: str | None
    level: int
    label: str
    description: str
    size: int | None
    """Chunks under the node; None where nothing says so."""
    share: float | None
    """Of all chunks."""
    share_of_parent: float | None
    children: int


def node_frame(tree_path: Path | str) -> Frame[NodeRow]:
    """One row per node, parents before children, siblings by label.

    Raises:
        TaxonomyError: as `load_taxonomy` raises it.
    """
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    return Frame(NodeRow, node_rows(taxonomy, node_sizes(taxonomy, tree_path)))


def node_rows(taxonomy: Taxonomy, sizes: dict[str, int]) -> tuple[NodeRow, ...]:
    """The rows from sizes already counted, by node id."""
    total = sizes.get(taxonomy.root.node_id)
    return tuple(_row(taxonomy, node, sizes, total) for node in taxonomy.walk())


def _row(taxonomy: Taxonomy, node: TaxonomyNode, sizes: dict[str, int], total: int | None) -> NodeRow:
    size = sizes.get(node.node_id)
    return NodeRow(
        node_id=node.node_id,
        parent_id=node.parent_id,
        level=taxonomy.depth(node.node_id),
        label=node.label,
        description=node.description,
        size=size,
        share=_share(size, total),
        share_of_parent=None if node.parent_id is None else _share(size, sizes.get(node.parent_id)),
        children=len(taxonomy.children(node.node_id)),
    )


def _share(size: int | None, of: int | None) -> float | None:
    return size / of if size is not None and of else None
