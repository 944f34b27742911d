"""What trees come to, in numbers that add up over many of them; every figure says where it is from."""

from hierarchical_reasoning.trees.metrics.answers import agreement, all_at_k
from hierarchical_reasoning.trees.metrics.footprint import Footprint, Measuring
from hierarchical_reasoning.trees.metrics.ngrams import SeenNgrams
from hierarchical_reasoning.trees.metrics.of_tree import tree_metrics
from hierarchical_reasoning.trees.metrics.record import Ratio, TreeMetrics

__all__ = [
    "Footprint",
    "Measuring",
    "Ratio",
    "SeenNgrams",
    "TreeMetrics",
    "agreement",
    "all_at_k",
    "tree_metrics",
]
