"""The numbers of the trees that a run's searches grew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hierarchical_reasoning.results.records import TreesSummary
from hierarchical_reasoning.trees.metrics import (
    SeenNgrams,
    TreeMetrics,
    estimates_and_rewards,
    tree_metrics,
)
from hierarchical_reasoning.trees.tree import ReasoningTree
from hierarchical_reasoning.values.calibration import Calibration


def summarize_trees(
    trees: Iterable[ReasoningTree], *, ballot: Callable[[str], str] = str, calibrated: bool
) -> TreesSummary | None:
    """None without a tree.

    Args:
        trees: in the order of the problems, since novelty is against those before.
        ballot: of an answer, the form that equal answers share.
        calibrated: whether values were told before the rewards, and the rewards by something else: a value head's are,
            unless it gives the rewards too; those of sampled answers are not.
    """
    found, seen = TreeMetrics(), SeenNgrams()
    pairs: list[tuple[float, float]] = []
    for tree in trees:
        found += tree_metrics(tree, seen=seen, ballot=ballot)
        seen.add(tree)
        if calibrated:
            pairs += estimates_and_rewards(tree)
    if not found.trees:
        return None
    return TreesSummary(figures=found.figures(), calibration=calibration_of(pairs))


def calibration_of(pairs: Sequence[tuple[float, float]]) -> Calibration | None:
    """Of estimates and the rewards that came; None without any."""
    if not pairs:
        return None
    return Calibration.of([estimate for estimate, _ in pairs], [reward for _, reward in pairs])
