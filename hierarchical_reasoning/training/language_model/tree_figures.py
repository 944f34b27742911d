"""What the trees of an update come to (`trees.metrics`), update by update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.trees.metrics import Ratio, SeenNgrams, TreeMetrics, tree_metrics


class TreeFigures:
    """Of one process, whose own earlier trees are what novelty is against; those of the same update come in order."""

    def __init__(
        self, config: LanguageModelConfig, trees_file: Callable[[int], Path], ballot: Callable[[str], str]
    ) -> None:
        """
        Args:
            trees_file: of an update, the file of its trees.
            ballot: `Verifier.ballot`.
        """
        self._config = config
        self._trees_file = trees_file
        self._ballot = ballot
        self._seen = SeenNgrams() if config.track_novelty else None

    def of(self, trees: Sequence[ReasoningTree]) -> TreeMetrics:
        """Those that the configuration asks for."""
        found = TreeMetrics()
        for tree in trees:
            found += tree_metrics(tree, seen=self._seen, ballot=self._ballot)
            if self._seen is not None:
                self._seen.add(tree)
        if not self._config.track_diversity:
            found = replace(found, diversity=Ratio(), type_paths=Ratio())
        if not self._config.track_robustness:
            found = replace(found, robustness=Ratio(), all_at_k={})
        return found

    def take_up(self, updates: int) -> None:
        """Where a run goes on behind so many updates: what was seen in them."""
        if self._seen is None:
            return
        for update in range(1, updates + 1):
            if (path := self._trees_file(update)).is_file():
                for placed in TreeFile(path):
                    self._seen.add(placed.tree)
