"""A tree of token segments: the prompt is the root, a path to a leaf is one rollout, what rollouts share stands once.

It grows by adding nodes; nothing rewrites the tokens of a path. Two changes leave every other path as it was: a node is
cut in two, so that something can branch off within it, and a subtree is removed. What a search prunes is removed too,
and remembered apart, to be looked at. No method recurses, so that a path may have any number of nodes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from hierarchical_reasoning.trees.node import Leaf, Node, NodeKind, Scores


class ReasoningTree:
    """The rollouts of one problem. Nodes are called by their `id`; an id is never given twice.

    A leaf is a node without children; the root is none, since nothing was drawn yet where it stands alone. Methods that
    take an id raise KeyError where there is no such node.
    """

    root = 0
    """The id of the root in every tree."""

    def __init__(
        self,
        problem_id: str,
        prompt_tokens: Sequence[int],
        prompt_text: str,
        *,
        update: int | None = None,
        sample: int | None = None,
    ) -> None:
        tokens = tuple(prompt_tokens)
        prompt = Node(self.root, None, tokens, prompt_text, kind="prompt", given=len(tokens))
        self._begin(problem_id, update, [prompt], (), next_id=1)
        self.sample = sample
        """Which of several independent attempts at the problem it is of; None where that is not told."""

    @classmethod
    def from_nodes(
        cls,
        problem_id: str,
        nodes: Iterable[Node],
        *,
        pruned: Iterable[Node] = (),
        next_id: int,
        update: int | None = None,
        sample: int | None = None,
        chosen: int | None = None,
    ) -> ReasoningTree:
        """The tree that had these nodes, in any order that keeps that of children, had pruned those, and chosen that
        leaf.

        Raises:
            ValueError: they are no tree: an id twice, none that is the root, an unknown parent, a cycle, a graded node
                with children; `next_id` is taken; a node is pruned and says nothing of it; or `chosen` is no leaf.
        """
        tree = cls.__new__(cls)
        tree._begin(problem_id, update, nodes, pruned, next_id=next_id)
        tree.sample = sample
        if chosen is not None and chosen not in tree._nodes:
            raise ValueError(f"`chosen` is {chosen}, and the tree has no such node")
        tree.choose(chosen)
        return tree

    def _begin(
        self,
        problem_id: str,
        update: int | None,
        nodes: Iterable[Node],
        pruned: Iterable[Node],
        *,
        next_id: int,
    ) -> None:
        self.problem_id = problem_id
        self.update = update
        """The update of training that it was grown for; None outside training."""
        self._nodes: dict[int, Node] = {}
        self._children: dict[int, list[int]] = {}
        self._next_id = next_id
        self._chosen: int | None = None
        for node in nodes:
            if node.id in self._nodes:
                raise ValueError(f"`id` {node.id} is that of two nodes; ids must differ")
            if not 0 <= node.id < next_id:
                raise ValueError(f"`id` is {node.id}, expected 0 to {next_id - 1}, below `next_id`")
            if (node.parent is None) != (node.id == self.root):
                raise ValueError(
                    f"`parent` of node {node.id} is {node.parent}; node {self.root} alone has none"
                )
            if node.pruned is not None:
                raise ValueError(f"node {node.id} says that it is pruned, and is in the tree")
            self._nodes[node.id] = node
            self._children[node.id] = []
        self._join()
        self._pruned: dict[int, Node] = {}
        for node in pruned:
            if node.pruned is None:
                raise ValueError(f"node {node.id} is among the pruned ones, and its `pruned` says nothing")
            if node.id in self._nodes or node.id in self._pruned or not 0 <= node.id < next_id:
                raise ValueError(
                    f"`id` {node.id} of a pruned node is taken, or not below `next_id` {next_id}"
                )
            self._pruned[node.id] = node
        if apart := self._pruned.keys() - {node.id for node in self._pruned_below(self._nodes)}:
            raise ValueError(f"`parent` of pruned node {min(apart)}: it does not hang on the tree")

    def _join(self) -> None:
        for node in self._nodes.values():
            if node.parent is None:
                continue
            if node.parent not in self._nodes:
                raise ValueError(f"`parent` of node {node.id} is {node.parent}, and there is no such node")
            if self._nodes[node.parent].leaf is not None:
                raise ValueError(
                    f"node {node.parent} has a `leaf` and a child, {node.id}; a graded node has no children"
                )
            self._children[node.parent].append(node.id)
        if self.root not in self._nodes:
            raise ValueError(f"there is no node {self.root}, the root")
        if apart := self._nodes.keys() - set(self.walk()):
            raise ValueError(
                f"`parent` of node {min(apart)}: the nodes above it form a cycle, so the root is not among them"
            )

    @property
    def nodes(self) -> Mapping[int, Node]:
        """By id, in the order in which they were added."""
        return MappingProxyType(self._nodes)

    @property
    def pruned(self) -> Mapping[int, Node]:
        """What was pruned, by id. Nothing else here looks at it."""
        return MappingProxyType(self._pruned)

    @property
    def chosen(self) -> int | None:
        """The leaf that the search answers with; None where none was chosen."""
        return self._chosen

    @property
    def next_id(self) -> int:
        """That of the node added next."""
        return self._next_id

    def __len__(self) -> int:
        return len(self._nodes)

    def __eq__(self, other: object) -> bool:
        """Whether everything is the same: nodes, their order, what was chosen, and the id that comes next."""
        if not isinstance(other, ReasoningTree):
            return NotImplemented
        return self._contents() == other._contents()

    __hash__ = None  # type: ignore[assignment]  # it grows

    def _contents(self) -> tuple[object, ...]:
        nodes = [*self._nodes.values(), *self._pruned.values()]
        return self.problem_id, self.update, self.sample, self._next_id, self._chosen, nodes

    def node(self, node_id: int) -> Node:
        try:
            return self._nodes[node_id]
        except KeyError:
            raise KeyError(f"the tree of problem {self.problem_id!r} has no node {node_id}") from None

    def add(
        self,
        parent: int,
        tokens: Sequence[int],
        text: str,
        *,
        kind: NodeKind = "drawn",
        given: int = 0,
        thought_type: str | None = None,
        log_probs: Sequence[float] = (),
        ended: bool = False,
    ) -> int:
        """Add a node behind the children that `parent` has; returns its id. The arguments are the fields of `Node`.

        Raises:
            ValueError: the fields contradict each other, or `parent` is graded or chosen.
        """
        if self.node(parent).leaf is not None or parent == self._chosen:
            is_what = "chosen" if parent == self._chosen else "graded"
            raise ValueError(f"node {parent} is {is_what}, and takes no children")
        node = Node(
            id=self._next_id,
            parent=parent,
            tokens=tuple(tokens),
            text=text,
            kind=kind,
            given=given,
            thought_type=thought_type,
            log_probs=tuple(log_probs),
            ended=ended,
        )
        self._nodes[node.id] = node
        self._children[node.id] = []
        self._children[parent].append(node.id)
        self._next_id += 1
        return node.id

    def grade(self, node_id: int, leaf: Leaf) -> None:
        """Say how the rollout that ends with a leaf was graded, once.

        Raises:
            ValueError: it is no leaf, or is graded already.
        """
        node = self.node(node_id)
        if node.leaf is not None or not self.is_leaf(node_id):
            reason = "is graded already" if node.leaf is not None else "is no leaf"
            raise ValueError(f"node {node_id} {reason}; a rollout is graded once, at its leaf")
        self._nodes[node_id] = replace(node, leaf=leaf)

    def score(self, node_id: int, scores: Scores) -> None:
        """Say what a search thinks of a node now."""
        self._nodes[node_id] = replace(self.node(node_id), scores=scores)

    def choose(self, node_id: int | None) -> None:
        """Say which leaf the search answers with, in place of the one chosen before; None: none any more.

        Raises:
            ValueError: it is no leaf.
        """
        if node_id is not None and not self.is_leaf(node_id):
            raise ValueError(
                f"node {node_id} is no leaf, and cannot be chosen; what is chosen ends a rollout"
            )
        self._chosen = node_id

    def split(self, node_id: int, at_token: int, at_character: int) -> int:
        """Cut a node in two as `Node.cut` does; returns the id of the tail, which takes the children, and is chosen
        where the node was.

        Raises:
            ValueError: there is no such place in the node, or it is the root.
        """
        head, tail = self.node(node_id).cut(at_token, at_character, tail_id=self._next_id)
        children = self._children[node_id]
        self._nodes[node_id], self._nodes[tail.id] = head, tail
        self._children[node_id], self._children[tail.id] = [tail.id], children
        for child in children:
            self._nodes[child] = replace(self._nodes[child], parent=tail.id)
        for gone in [gone for gone in self._pruned.values() if gone.parent == node_id]:
            self._pruned[gone.id] = replace(gone, parent=tail.id)
        if self._chosen == node_id:
            self._chosen = tail.id
        self._next_id += 1
        return tail.id

    def remove_subtree(self, node_id: int) -> None:
        """Remove a node and all below it, what was pruned there too. A parent that loses its last child is a leaf.

        Raises:
            ValueError: it is the root, or what was chosen is below it.
        """
        removed = {node.id for node in self._take_out(node_id)}
        for gone in self._pruned_below(removed):
            del self._pruned[gone.id]

    def prune(self, node_id: int, why: str) -> int:
        """Remove a node and all below it, and remember them as pruned; returns how many these are.

        Raises:
            ValueError: it is the root, what was chosen is below it, or no reason is given.
        """
        if not why:
            raise ValueError(f"node {node_id} is pruned without a reason; say `why`")
        taken = self._take_out(node_id)
        self._pruned.update((node.id, replace(node, pruned=why)) for node in taken)
        return len(taken)

    def _pruned_below(self, nodes: Container[int]) -> list[Node]:
        """What was pruned below these, by way of other pruned nodes too."""
        children: dict[int, list[Node]] = {}
        for node in self._pruned.values():
            assert node.parent is not None  # the root alone has none, and is never taken out
            children.setdefault(node.parent, []).append(node)
        found = [node for parent, below in children.items() if parent in nodes for node in below]
        for node in found:  # it grows
            found.extend(children.get(node.id, ()))
        return found

    def _take_out(self, node_id: int) -> list[Node]:
        """A node and all below it; a node before its children."""
        parent = self.node(node_id).parent
        if parent is None:
            raise ValueError("the root cannot be removed; drop the whole tree instead")
        taken = [self._nodes[found] for found in self.walk(node_id)]
        if any(node.id == self._chosen for node in taken):
            raise ValueError(
                f"node {self._chosen} is chosen, and node {node_id} on its path; choose another one first"
            )
        self._children[parent].remove(node_id)
        for node in taken:
            del self._nodes[node.id], self._children[node.id]
        return taken

    def children(self, node_id: int) -> tuple[int, ...]:
        """In the order in which they were added."""
        self.node(node_id)
        return tuple(self._children[node_id])

    def siblings(self, node_id: int) -> tuple[int, ...]:
        """The other children of its parent; the root has none."""
        parent = self.node(node_id).parent
        return () if parent is None else tuple(other for other in self._children[parent] if other != node_id)

    def is_leaf(self, node_id: int) -> bool:
        return not self.children(node_id) and node_id != self.root

    def leaves(self) -> tuple[int, ...]:
        """From the first path to the last."""
        return self.descendant_leaves(self.root)

    def descendant_leaves(self, node_id: int) -> tuple[int, ...]:
        """The leaves at and below a node, from the first path to the last."""
        return tuple(found for found in self.walk(node_id) if self.is_leaf(found))

    def walk(self, node_id: int = root) -> Iterator[int]:
        """The node and all below it: a node before its children, children in order."""
        self.node(node_id)
        waiting = [node_id]
        while waiting:
            found = waiting.pop()
            yield found
            waiting.extend(reversed(self._children[found]))

    def path(self, node_id: int) -> tuple[int, ...]:
        """From the root to the node, both included."""
        found = [node_id]
        while (parent := self.node(found[-1]).parent) is not None:
            found.append(parent)
        return tuple(reversed(found))

    def path_tokens(self, node_id: int) -> tuple[int, ...]:
        """All tokens from the first of the prompt to the last of the node."""
        return tuple(token for found in self.path(node_id) for token in self._nodes[found].tokens)

    def depth(self, node_id: int) -> int:
        """How many nodes are above it; 0 for the root."""
        return len(self.path(node_id)) - 1

    def rewards(self) -> dict[int, float | None]:
        """Of every leaf; None where grading failed.

        Raises:
            ValueError: a leaf is not graded.
        """
        found: dict[int, float | None] = {}
        for leaf_id in self.leaves():
            leaf = self._nodes[leaf_id].leaf
            if leaf is None:
                raise ValueError(f"leaf {leaf_id} of the tree of problem {self.problem_id!r} is not graded")
            found[leaf_id] = leaf.reward
        return found
