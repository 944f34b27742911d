"""What each node of a tree is worth: local, path and causal reward, and the three as one."""

from hierarchical_reasoning.rewards.backing_up import back_up, hierarchical_scores
from hierarchical_reasoning.rewards.base import LocalReward, RewardWeights
from hierarchical_reasoning.rewards.judge import JudgeLocalReward
from hierarchical_reasoning.rewards.local import HeuristicLocalReward, ValueLocalReward, score_local

__all__ = [
    "HeuristicLocalReward",
    "JudgeLocalReward",
    "LocalReward",
    "RewardWeights",
    "ValueLocalReward",
    "back_up",
    "hierarchical_scores",
    "score_local",
]
