"""What trees come to, in numbers that add up over many of them; every figure says where it is from."""

from hierarchical_reasoning.trees.metrics.answers import agreement, all_at_k
from hierarchical_reasoning.trees.metrics.estimates import estimates_and_rewards
from hierarchical_reasoning.trees.metrics.ngrams import SeenNgrams
from hierarchical_reasoning.trees.metrics.of_tree import tree_metrics
from hierarchical_reasoning.trees.metrics.record import Ratio, TreeMetrics, figures_in_words

__all__ = [
    "Ratio",
    "SeenNgrams",
    "TreeMetrics",
    "agreement",
    "all_at_k",
    "estimates_and_rewards",
    "figures_in_words",
    "tree_metrics",
]
