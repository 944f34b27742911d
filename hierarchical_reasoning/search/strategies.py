"""Which nodes are expanded next: the one thing that searches differ in.

A strategy looks at the tree as it is and keeps nothing in mind, so that what it says depends on the tree alone. Ties go
to the deeper node, to the likelier thought type, then to the earlier node.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hierarchical_reasoning.search.grown import Grown
from hierarchical_reasoning.search.selection import best_answer
from hierarchical_reasoning.search.settings import SearchName, SearchSettings
from hierarchical_reasoning.trees.leaf_means import LeafSum, leaf_sums


@dataclass(frozen=True)
class Batch:
    """What a strategy wants."""

    expand: Sequence[int]
    """Open nodes, which are expanded together; none ends the search."""
    drop: Mapping[int, str]
    """Open nodes that are pruned before, and why."""


class Strategy(ABC):
    """Chooses among the open nodes of a tree."""

    rolls_out: ClassVar[bool] = False
    """Whether children are made one at a time, each followed down to an answer, so that what it leads to is known."""

    def __init__(self, settings: SearchSettings) -> None:
        self._settings = settings

    @abstractmethod
    def next(self, grown: Grown) -> Batch:
        """What is expanded now."""


class BreadthFirst(Strategy):
    """All of the highest level that has open nodes."""

    def next(self, grown: Grown) -> Batch:
        if not grown.open:
            return Batch((), {})
        depths = {node: grown.thoughts[node].depth for node in grown.open}
        level = min(depths.values())
        return self._level(grown, [node for node, depth in depths.items() if depth == level], level)

    def _level(self, grown: Grown, nodes: Sequence[int], level: int) -> Batch:
        return Batch(nodes, {})


class Beam(BreadthFirst):
    """Level by level, and of each but the deepest the best nodes alone, by exploration score (HATO, spec/000). The
    others are dropped from the tree; a node above the answer that is best so far is not."""

    def _level(self, grown: Grown, nodes: Sequence[int], level: int) -> Batch:
        if level == self._settings.max_depth:
            return Batch(nodes, {})
        best = best_answer(grown)
        safe = set() if best is None else set(grown.tree.path(best.id))
        n = self._settings.max_nodes_per_level
        ranked = sorted(
            nodes, key=lambda node: (node not in safe, -grown.exploration(node), -_prior(grown, node), node)
        )
        why = f"not among the {n} best of its level (--max_nodes_per_level)"
        return Batch(sorted(ranked[:n]), dict.fromkeys(ranked[n:], why))


def _prior(grown: Grown, node: int) -> float:
    return grown.scores(node).prior or 0.0


def _first(grown: Grown, key: Callable[[int], tuple[float, ...]]) -> Batch:
    return Batch([min(grown.open, key=key)] if grown.open else (), {})


class DepthFirst(Strategy):
    """The best of the deepest open nodes: down to an answer, then back to what was left beside the way."""

    def next(self, grown: Grown) -> Batch:
        return _first(
            grown,
            lambda node: (
                -grown.thoughts[node].depth,
                -grown.exploration(node),
                -_prior(grown, node),
                node,
            ),
        )


class BestFirst(Strategy):
    """The open node of the highest exploration score, wherever it is."""

    def next(self, grown: Grown) -> Batch:
        return _first(
            grown,
            lambda node: (
                -grown.exploration(node),
                -grown.thoughts[node].depth,
                -_prior(grown, node),
                node,
            ),
        )


class MonteCarlo(Strategy):
    """Monte Carlo tree search: from the root to the child of the highest

        Q + c P sqrt(1 + N of the parent) / (1 + N)

    until an open node is reached; PUCT (Rosin 2011; Silver et al. 2017). P is the planner's probability of the thought
    type, divided among the children of that type, among those that are still to be explored; or the same for all where
    it gives none. An answer is a
    rollout: N is the number of answers at and below a node, Q the mean of their path rewards; with none, the value that
    is expected of it, or else Q of its parent.

    Of several open nodes that are expanded together, each is chosen as if those before it had been answered, and
    wrongly: a virtual loss (Chaslot, G. et al. 2008, "Parallel Monte-Carlo tree search") turns it elsewhere, unless all
    else is much worse. How many there are is a setting, and not what happens to be in flight.

    Deviations: the 1 in the root, without which nothing told first visits apart; a node is passed over where nothing is
    open below, since no answer is asked for again; and N and Q are those of the tree as it is, so that rewards that
    change (agreement) change them, and so does pruning.
    """

    rolls_out = True

    def next(self, grown: Grown) -> Batch:
        open_below = Counter(above for node in grown.open for above in grown.tree.path(node))
        rollouts = leaf_sums(grown.tree, grown.rewards())
        losses: Counter[int] = Counter()
        chosen: dict[int, None] = {}
        while len(chosen) < self._settings.mcts_leaves and open_below[grown.tree.root]:
            node = grown.tree.root
            while node not in grown.open or node in chosen:
                candidates = [child for child in grown.tree.children(node) if open_below[child]]
                scores = self._scores(grown, node, candidates, rollouts, losses)
                node = max(candidates, key=scores.__getitem__)
            chosen[node] = None
            losses.update(grown.tree.path(node))
            open_below.subtract(grown.tree.path(node))
        return Batch(list(chosen), {})

    def _scores(
        self,
        grown: Grown,
        parent: int,
        children: Sequence[int],
        rollouts: Mapping[int, LeafSum],
        losses: Mapping[int, int],
    ) -> dict[int, float]:
        types = Counter(grown.tree.node(child).thought_type for child in children)
        priors = {
            child: None if prior is None else prior / types[grown.tree.node(child).thought_type]
            for child in children
            for prior in (grown.scores(child).prior,)
        }
        known = [prior for prior in priors.values() if prior is not None]
        total = math.fsum(known)
        above = rollouts[parent]
        n_above = above.count + losses[parent]
        fallback = float(above.total / n_above) if n_above else grown.value(parent).value
        found = {}
        for child, prior in priors.items():
            own = rollouts[child]
            visits = own.count + losses[child]
            share = prior / total if prior is not None and total > 0 else 1 / len(children)
            estimate = grown.estimates.get(child)
            expected = fallback if estimate is None else estimate.value
            mean = float(own.total / visits) if visits else expected
            exploring = share * math.sqrt(1 + n_above) / (1 + visits)
            found[child] = mean + self._settings.mcts_c * exploring
        return found


STRATEGIES: dict[SearchName, type[Strategy]] = {
    "beam": Beam,
    "bfs": BreadthFirst,
    "dfs": DepthFirst,
    "best_first": BestFirst,
    "mcts": MonteCarlo,
}
