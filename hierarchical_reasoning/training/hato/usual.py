"""What makes a run one of HATO, where nothing else is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USUAL: Mapping[str, Any] = {
    "explorer": "search_tree",
    "credit": "hierarchical",
    "objective": "dapo",
    "track_diversity": True,
    "track_novelty": True,
    "track_robustness": True,
}
FOR_BUNDLED: Mapping[str, Any] = {
    "max_depth": 8,
    "branching_factor": 3,
    "max_nodes_per_level": 3,
    "reward_alpha": 0.0,
    "reward_beta": 0.9,
    "reward_gamma": 0.1,
}
"""Besides, for the bundled model. Its problems take more thoughts than three, and the local reward, which counts the
words that a thought shares with what is before it, is highest where it repeats a problem instead of solving it."""
