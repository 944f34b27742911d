"""Names and descriptions of a tree's nodes without a model, distinct within each level (`medoid`).

- A node that is a given label, whole, is called so; one that joins labels is called after the most frequent ones.
- A part of a label is called after the label and what is said in it more than in the label's other parts.
- Where a model labeled the chunks, a leaf has the most frequent of its labels that no larger leaf has.
- Chunks without labels: what their steps do (`taxonomy.naming.functions`) and, where several nodes of the level do the
  same or no function shows, what is said in them more than in the other nodes.

Where neither a label nor a function brings a description, it begins the node's most typical chunk. A node that no cut
divides is repeated on the next level, under the same name.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from taxonomy.building.growing import Grown
from taxonomy.distinct_names import FINISH_THINKING
from taxonomy.naming.composed import (
    ROOT_DESCRIPTION,
    ROOT_NAME,
    display_label,
    excerpt_description,
    joined,
    longer_names,
    lower_joined,
    name_node,
)
from taxonomy.naming.node_facts import NodeFacts
from taxonomy.naming.phrases import distinctive_phrases, without_content

_PHRASES_SHOWN = 2
_WORDS_OF_A_CHUNK = 5


@dataclass(frozen=True)
class NodeName:
    """What a node is called, and what it means."""

    label: str
    description: str


Names = list[list[NodeName]]
"""By level and cluster."""


def is_part_of_label(node: NodeFacts, total_of: dict[str, int]) -> bool:
    """Whether a node holds some of the chunks of one label, and no others."""
    return len(node.members) == 1 and node.size < total_of[node.members[0].label]


def names_without_model(
    grown: Grown,
    facts: Sequence[Sequence[NodeFacts]],
    texts: Sequence[str],
    traces: Sequence[str],
    *,
    labels_are_pure: bool,
) -> Names:
    """
    Args:
        grown: the tree.
        facts: of its nodes.
        texts: of the chunks.
        traces: id of each chunk's trace.
        labels_are_pure: whether each sample has chunks of one label only.
    """
    names: dict[int, list[NodeName]] = {}
    for level in range(len(facts) - 1, -1, -1):
        below = names.get(level + 1, [])
        proposed = _Proposals(grown, facts[level], texts, traces, labels_are_pure)
        names[level] = distinct_on_level(facts[level], below, proposed)
    return [names[level] for level in range(len(facts))]


def distinct_on_level(
    nodes: Sequence[NodeFacts], below: Sequence[NodeName], proposed: "_Proposals"
) -> list[NodeName]:
    """The first name proposed for each node that neither another of the level nor a part of the node has, the larger
    nodes first; nodes that are repeated below have the name they have there."""
    chosen: dict[int, NodeName] = {
        node.cluster: below[node.children[0]] for node in nodes if node.level > 0 and len(node.children) == 1
    }
    used = {FINISH_THINKING.casefold(), *(folded(name.label) for name in chosen.values())}
    for node in sorted(nodes, key=lambda node: (-node.size, node.cluster)):
        if node.cluster in chosen:
            continue
        # What is divided below is not called like a part of it, so that the division shows.
        parts = {folded(below[child].label) for child in node.children}
        name = next(
            name
            for name in _with_numbers(proposed.of(node))
            if folded(name.label) not in used and folded(name.label) not in parts
        )
        chosen[node.cluster] = name
        used.add(folded(name.label))
    return [chosen[node.cluster] for node in nodes]


def _with_numbers(names: Sequence[NodeName]) -> Iterator[NodeName]:
    yield from names
    for number in count(2):
        yield NodeName(f"{names[0].label} ({number})", names[0].description)


def folded(label: str) -> str:
    """What two names of one level may not have in common."""
    return " ".join(label.split()).casefold()


class _Proposals:
    """What a node of one level could be called, the best first."""

    def __init__(
        self,
        grown: Grown,
        nodes: Sequence[NodeFacts],
        texts: Sequence[str],
        traces: Sequence[str],
        labels_are_pure: bool,
    ) -> None:
        self._pure = labels_are_pure
        self._total_of: dict[str, int] = {}
        for node in nodes:
            for member in node.members:
                self._total_of[member.label] = self._total_of.get(member.label, 0) + member.size
        level = nodes[0].level
        cluster_of_chunk = np.asarray(grown.cuts[level].assignment)[np.asarray(grown.sample_of_chunk)]
        self._doing = Counter(node.functions for node in nodes)
        self._phrases: dict[int, tuple[str, ...]] = {}
        for group in self._compared(nodes):
            position = {cluster: place for place, cluster in enumerate(group)}
            rows = np.flatnonzero(np.isin(cluster_of_chunk, group)).tolist()
            found = distinctive_phrases(
                [texts[row] for row in rows],
                [position[int(cluster_of_chunk[row])] for row in rows],
                [traces[row] for row in rows],
            )
            self._phrases.update(zip(group, found, strict=True))

    def _compared(self, nodes: Sequence[NodeFacts]) -> list[list[int]]:
        """Groups of nodes that are to be told apart by what is said in them."""
        if not any(node.members for node in nodes):
            return [[node.cluster for node in nodes]] if len(nodes) > 1 else []
        if not self._pure:
            return []
        groups: dict[str, list[int]] = {}
        for node in nodes:
            if is_part_of_label(node, self._total_of):
                groups.setdefault(node.members[0].label, []).append(node.cluster)
        return list(groups.values())

    def of(self, node: NodeFacts) -> list[NodeName]:
        if node.level == 0 and not (self._pure and len(node.members) == 1):
            return [NodeName(ROOT_NAME, ROOT_DESCRIPTION)]
        if not node.members:
            return self._by_functions(node) if node.functions else self._by_phrases(node)
        if not self._pure:
            return self._by_labels(node)
        if is_part_of_label(node, self._total_of):
            member = node.members[0]
            whole, does = display_label(member.label), member.description.strip().rstrip(".")
            return [NodeName(f"{whole}: {said}", f"{does}. Typical: {said}.") for said in self._said(node)]
        return self._by_members(node)

    def _by_phrases(self, node: NodeFacts) -> list[NodeName]:
        return [NodeName(said, self._excerpt(node)) for said in self._said(node)]

    def _by_functions(self, node: NodeFacts) -> list[NodeName]:
        name = joined([function.name for function in node.functions])
        does = lower_joined([function.description for function in node.functions])
        names = [NodeName(f"{name}: {said}", f"{does}. Typical: {said}.") for said in self._said(node)]
        if self._doing[node.functions] > 1:
            return names
        return [NodeName(name, names[0].description), *names]

    def _by_labels(self, node: NodeFacts) -> list[NodeName]:
        if not node.children:
            return [
                NodeName(display_label(m.label), m.description or self._excerpt(node)) for m in node.members
            ]
        return self._by_members(node)

    def _by_members(self, node: NodeFacts) -> list[NodeName]:
        joins_all = NodeName(*name_node(node.members))
        others = [NodeName(name, joins_all.description) for name in longer_names(node.members)]
        return [joins_all, *others]

    def _said(self, node: NodeFacts) -> list[str]:
        phrases = self._phrases.get(node.cluster, ())
        said = [
            ", ".join(f"“{phrase}”" for phrase in phrases[:shown])
            for shown in range(min(_PHRASES_SHOWN, len(phrases)), len(phrases) + 1)
            if shown
        ]
        if said:
            return said
        words = without_content(node.examples[0]).split() if node.examples else []
        if not words:
            return ["Steps without words"]
        begins = " ".join(words[:_WORDS_OF_A_CHUNK])
        return [f"“{begins} ...”" if len(words) > _WORDS_OF_A_CHUNK else f"“{begins}”"]

    def _excerpt(self, node: NodeFacts) -> str:
        return excerpt_description(node.examples[0]) if node.examples else "Steps without words."
