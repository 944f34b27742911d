"""How large trees are, how much their paths share, and how often there is something to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from hierarchical_reasoning.trees.tree import ReasoningTree
from hierarchical_reasoning.wording import counted


@dataclass(frozen=True)
class TreeStatistics:
    """Of one tree, or added up over many."""

    trees: int = 0
    nodes: int = 0
    leaves: int = 0
    max_depth: int = 0
    """Of a leaf; the root has depth 0."""
    sum_of_depths: int = 0
    """Over the leaves."""
    tokens_on_paths: int = 0
    """Prompt included, path by path: what is computed where each rollout is a row."""
    unique_tokens: int = 0
    """Each token once: what is computed where the tree is packed."""
    groups: int = 0
    """Sets of at least two that are compared with each other."""
    groups_with_spread: int = 0
    """Of these, those whose rewards differ: the others teach nothing."""

    @property
    def mean_depth(self) -> float | None:
        """Of the leaves; None where there are none, as for all means and shares."""
        return self.sum_of_depths / self.leaves if self.leaves else None

    @property
    def mean_leaves(self) -> float | None:
        """Of a tree."""
        return self.leaves / self.trees if self.trees else None

    @property
    def unique_share(self) -> float | None:
        """Unique tokens of those on all paths."""
        return self.unique_tokens / self.tokens_on_paths if self.tokens_on_paths else None

    @property
    def spread_share(self) -> float | None:
        """Of the groups, those with spread."""
        return self.groups_with_spread / self.groups if self.groups else None

    def in_words(self) -> str:
        """In one line; what does not exist where there is nothing is left out."""
        said = [] if self.trees == 1 else [counted(self.trees, "tree")]
        said.append(f"{self.leaves:,} {'leaf' if self.leaves == 1 else 'leaves'}")
        if self.mean_depth is not None:
            said.append(f"depth {self.mean_depth:.1f}, at most {self.max_depth:,}")
        if self.unique_share is not None:
            said.append(
                f"{self.unique_tokens:,} of {self.tokens_on_paths:,} tokens on paths are unique "
                f"({100 * self.unique_share:.1f} %)"
            )
        if self.spread_share is not None:
            said.append(
                f"{self.groups_with_spread:,} of {counted(self.groups, 'group')} have spread "
                f"({100 * self.spread_share:.1f} %)"
            )
        return "; ".join(said)


def tree_statistics(tree: ReasoningTree, grouped_rewards: Iterable[Sequence[float]] = ()) -> TreeStatistics:
    """Of one tree, in linear time.

    Args:
        grouped_rewards: of each group, the rewards that are compared (`Credit.grouped_rewards`).
    """
    groups = [rewards for rewards in grouped_rewards if len(rewards) > 1]
    depths = {tree.root: 0}
    tokens_to = {tree.root: len(tree.node(tree.root).tokens)}
    for node_id in tree.walk():
        for child in tree.children(node_id):
            depths[child] = depths[node_id] + 1
            tokens_to[child] = tokens_to[node_id] + len(tree.node(child).tokens)
    leaves = tree.leaves()
    return TreeStatistics(
        trees=1,
        nodes=len(tree),
        leaves=len(leaves),
        max_depth=max(depths.values()),
        sum_of_depths=sum(depths[leaf] for leaf in leaves),
        tokens_on_paths=sum(tokens_to[leaf] for leaf in leaves),
        unique_tokens=sum(len(node.tokens) for node in tree.nodes.values()),
        groups=len(groups),
        groups_with_spread=sum(max(rewards) > min(rewards) for rewards in groups),
    )


def added(statistics: Iterable[TreeStatistics]) -> TreeStatistics:
    """Over all of them; with none, nothing but zeros."""
    found = list(statistics)
    totals = {
        field.name: sum(getattr(each, field.name) for each in found) for field in fields(TreeStatistics)
    }
    return TreeStatistics(**{**totals, "max_depth": max((each.max_depth for each in found), default=0)})
