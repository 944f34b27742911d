"""GML in and out.

Reading takes files as they are found: labels in `node_label` or `label`, descriptions missing, leaves at any
depth, `level` attributes ignored (depth is what the edges say). Leaves of `type "sample"` are the centroids
that a tree was grown from, not thought types: they only tell which given labels their ancestors stand for.

Writing escapes everything but plain ASCII, so that any text comes back equal from networkx, with one
exception of networkx's own: the texts `[]` and `()` come back from it as an empty list and tuple (this reader
undoes that).

Files are untrusted: their size is bounded, and whatever is wrong with one is a TaxonomyFileError with its
path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxonomy.errors import TaxonomyFileError
from taxonomy.model import Taxonomy, TaxonomyNode

if TYPE_CHECKING:
    import networkx as nx

MAX_GML_BYTES = 64 * 2**20
MAX_NODES = 50_000
EXAMPLE_SEPARATOR = "|||"
"""Between the texts of an `examples` attribute."""


@dataclass(frozen=True)
class LabelText:
    """A label and its description from a table beside the GML."""

    label: str
    description: str


def read_gml(path: Path | str, labels: Mapping[str, LabelText] | None = None) -> Taxonomy:
    """The taxonomy of one GML file.

    Args:
        path: the file.
        labels: by node id, for nodes whose label or description the GML lacks.

    Raises:
        TaxonomyFileError: the file is missing, too large, broken, or no tree of labeled nodes.
    """
    path = Path(path)
    graph = _parse(path)
    if not graph.is_directed():
        raise TaxonomyFileError(
            f"{path}: the graph is undirected; a taxonomy has 'directed 1' and edges from parent to child"
        )
    if graph.is_multigraph():
        raise TaxonomyFileError(
            f"{path}: the graph has 'multigraph 1'; a taxonomy has one edge per parent and child"
        )
    if len(graph) == 0:
        raise TaxonomyFileError(f"{path}: the graph has no nodes")
    if len(graph) > MAX_NODES:
        raise TaxonomyFileError(f"{path}: the graph has {len(graph)} nodes; {MAX_NODES} are read at most")
    _check_one_parent(graph, path)
    id_of = _node_ids(graph)
    samples = {key for key in graph if _is_sample(graph, key)}
    given_labels = _given_labels(graph, samples)
    text_of = _label_texts(graph, samples, id_of, labels or {}, path)
    nodes = []
    for key, attributes in graph.nodes(data=True):
        if key in samples:
            continue
        parent = next(iter(graph.predecessors(key)), None)
        size = attributes.get("size")
        nodes.append(
            TaxonomyNode(
                node_id=id_of[key],
                label=text_of[key].label,
                description=text_of[key].description,
                parent_id=None if parent is None else id_of[parent],
                given_labels=given_labels.get(key, ()),
                size=size if isinstance(size, int) else None,
                examples=_examples(attributes.get("examples")),
            )
        )
    return Taxonomy(tuple(nodes), source=str(path))


def gml_bytes(graph: "nx.DiGraph[str]") -> bytes:
    """The graph as GML; the names of its nodes become `label`, the thought types' labels are `node_label`."""
    import networkx as nx

    return "".join(f"{line}\n" for line in nx.generate_gml(graph)).encode("ascii")


def taxonomy_graph(taxonomy: Taxonomy) -> "nx.DiGraph[str]":
    """The taxonomy as `read_gml` reads it: a sample leaf per given label, numbered in the order of the
    labels.

    Clusters carry `type`, `level`, `size` (chunks), `samples` (number of sample leaves), `subtree_size`
    (nodes in the subtree, itself included, samples not), `leaf_node_ids` (the sample leaves' names) and
    `datapoint_indices` (the positions of the sample leaves' given labels in `taxonomy.given_labels`).
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for node in taxonomy.walk():
        graph.add_node(node.node_id, node_label=node.label, description=node.description, type="cluster")
        attributes = graph.nodes[node.node_id]
        attributes["level"] = taxonomy.depth(node.node_id)
        if node.size is not None:
            attributes["size"] = node.size
        if node.examples:
            attributes["examples"] = f" {EXAMPLE_SEPARATOR} ".join(node.examples)
        if node.parent_id is not None:
            graph.add_edge(node.parent_id, node.node_id)
    for node in taxonomy.walk():
        graph.nodes[node.node_id]["subtree_size"] = 1 + len(nx.descendants(graph, node.node_id))
    _add_samples(graph, taxonomy)
    return graph


def _add_samples(graph: "nx.DiGraph[str]", taxonomy: Taxonomy) -> None:
    import networkx as nx

    position_of = {label: position for position, label in enumerate(taxonomy.given_labels)}
    homes: list[tuple[int, str]] = []
    for node in taxonomy.walk():
        below = {label for child in taxonomy.children(node.node_id) for label in child.given_labels}
        homes.extend((position_of[label], node.node_id) for label in set(node.given_labels) - below)
    clusters = list(graph)
    free_names = (name for number in count() if (name := str(number)) not in clusters)
    for (position, home), name in zip(sorted(homes), free_names, strict=False):
        given_label = taxonomy.given_labels[position]
        graph.add_node(name, type="sample", level="leaf", orig_leaf_node_id=name, given_label=given_label)
        graph.add_edge(home, name)
    for cluster in clusters:
        leaves = [name for name in nx.descendants(graph, cluster) if graph.nodes[name]["type"] == "sample"]
        if leaves:
            leaves.sort(key=int)
            positions = sorted({position_of[graph.nodes[leaf]["given_label"]] for leaf in leaves})
            graph.nodes[cluster].update(
                samples=len(leaves), leaf_node_ids=leaves, datapoint_indices=positions
            )


def _parse(path: Path) -> "nx.Graph[Any]":
    import networkx as nx

    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_GML_BYTES + 1)
    except FileNotFoundError as error:
        raise TaxonomyFileError(f"{path}: no such file") from error
    except OSError as error:
        raise TaxonomyFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_GML_BYTES:
        raise TaxonomyFileError(f"{path}: larger than {MAX_GML_BYTES // 2**20} MiB")
    try:
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
        return nx.parse_gml(lines, label="id")
    except RecursionError as error:
        raise TaxonomyFileError(f"{path}: not valid GML: nested too deeply") from error
    except (
        nx.NetworkXException,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
    ) as error:
        # networkx reports only some malformed files as its own errors; the rest surface as these.
        raise TaxonomyFileError(f"{path}: not valid GML: {_shortened(str(error))}") from error


def _check_one_parent(graph: "nx.Graph[Any]", path: Path) -> None:
    crowded = [key for key in graph if graph.in_degree(key) > 1]
    if crowded:
        key = crowded[0]
        parents = ", ".join(str(parent) for parent in graph.predecessors(key))
        others = f" (and {len(crowded) - 1} more such nodes)" if len(crowded) > 1 else ""
        raise TaxonomyFileError(
            f"{path}: not a tree: node with id {key} has {graph.in_degree(key)} parents: {parents}{others}"
        )


def _node_ids(graph: "nx.Graph[Any]") -> dict[Any, str]:
    """Node ids: the nodes' names (`label`, as networkx writes them) where those are distinct, else their
    `id`."""
    names = {key: _text(attributes.get("label")) for key, attributes in graph.nodes(data=True)}
    if all(names.values()) and len(set(names.values())) == len(names):
        return names
    return {key: str(key) for key in graph}


def _is_sample(graph: "nx.Graph[Any]", key: object) -> bool:
    return bool(graph.nodes[key].get("type") == "sample" and graph.out_degree(key) == 0)


def _given_labels(graph: "nx.Graph[Any]", samples: set[Any]) -> dict[Any, tuple[str, ...]]:
    """The given labels of the samples under each node, sorted; nothing for nodes above or on a cycle, which
    are no taxonomy. Nodes with the same labels share one tuple: a chain above many samples costs no more than
    its length."""
    found: dict[Any, frozenset[str]] = {}
    children_left = {key: graph.out_degree(key) for key in graph}
    ready = [key for key, left in children_left.items() if not left]
    while ready:
        key = ready.pop()
        given_label = _text(graph.nodes[key].get("given_label")) if key in samples else ""
        below = {found[child] for child in graph.successors(key)}
        if given_label:
            found[key] = frozenset((given_label,))
        else:
            found[key] = below.pop() if len(below) == 1 else frozenset[str]().union(*below)
        for parent in graph.predecessors(key):
            children_left[parent] -= 1
            if not children_left[parent]:
                ready.append(parent)
    in_order = {labels: tuple(sorted(labels)) for labels in set(found.values())}
    return {key: in_order[labels] for key, labels in found.items()}


def _label_texts(
    graph: "nx.Graph[Any]",
    samples: set[Any],
    id_of: Mapping[Any, str],
    labels: Mapping[str, LabelText],
    path: Path,
) -> dict[Any, LabelText]:
    thought_types = [key for key in graph if key not in samples]
    if not thought_types:
        raise TaxonomyFileError(f"{path}: every node is of type 'sample', so there are no thought types")
    attribute = _label_attribute(graph, thought_types)
    texts = {}
    for key in thought_types:
        attributes = graph.nodes[key]
        beside = labels.get(id_of[key], LabelText("", ""))
        own_label = _text(attributes.get(attribute)) if attribute else ""
        # A table beside the GML is made of labels; `label` alone may be no more than a node's name.
        label = beside.label or own_label if attribute == "label" else own_label or beside.label
        texts[key] = LabelText(label, _text(attributes.get("description")) or beside.description)
    unlabeled = [id_of[key] for key in thought_types if not texts[key].label.strip()]
    if unlabeled:
        raise TaxonomyFileError(
            f"{path}: {len(unlabeled)} nodes have no label, such as {', '.join(unlabeled[:5])}; labels are "
            "read from 'node_label', from 'label', or, where the file is named hierarchical_tree.gml, from "
            "labels_and_descriptions.csv in the same directory"
        )
    return texts


def _label_attribute(graph: "nx.Graph[Any]", thought_types: list[Any]) -> str:
    """Where this file keeps the thought types' labels; empty where `label` holds nothing but numbers."""
    if any(_text(graph.nodes[key].get("node_label")) for key in thought_types):
        return "node_label"
    names = [_text(graph.nodes[key].get("label")) for key in thought_types]
    return "" if all(name.isdecimal() or not name for name in names) else "label"


def _examples(value: object) -> tuple[str, ...]:
    texts = (part.strip() for part in _text(value).split(EXAMPLE_SEPARATOR))
    return tuple(text for text in texts if text)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        # networkx reads the texts "[]" and "()" as empty containers, and a repeated key as a list.
        return ("[]" if isinstance(value, list) else "()") if not value else " ".join(map(str, value))
    return str(value)


def _shortened(message: str, limit: int = 200) -> str:
    return message if len(message) <= limit else f"{message[:limit]}..."
