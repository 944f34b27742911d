"""Rewards to advantages, advantages to a loss: pure functions of tensors, on any device.

`choices` is for the planner, whose actions are thought types; the rest is for tokens, in the notation of GRPO, DAPO
and HAPO: rho the ratio of new to old probability, A the advantage, H the entropy. What is for tokens is computed in the
dtype given, half precision in float32, in which results then are; where there is a mask, tokens that it leaves out may
hold anything. Tokens that are in no rows, as in a packed batch, are one row.
"""

from hierarchical_reasoning.training.config import Aggregation
from hierarchical_reasoning.training.objectives.advantages import (
    redistribute_advantage,
    token_level_group_advantage,
)
from hierarchical_reasoning.training.objectives.aggregation import Totals, aggregated
from hierarchical_reasoning.training.objectives.choices import (
    ChoiceLoss,
    brevity_reward,
    clipped_choice_loss,
    entropy,
    group_advantage,
    tempered,
)
from hierarchical_reasoning.training.objectives.clipping import (
    Clip,
    KlEstimator,
    KlTerm,
    TokenLoss,
    adaptive_clip,
    clipped_objective,
    importance_ratio,
)
from hierarchical_reasoning.training.objectives.normalized_entropy import (
    EntropyStats,
    adaptive_temperature,
    entropy_against,
    entropy_signal,
    entropy_stats,
)
from hierarchical_reasoning.training.objectives.token_scores import token_entropy, token_scores

__all__ = [
    "Aggregation",
    "ChoiceLoss",
    "Clip",
    "EntropyStats",
    "KlEstimator",
    "KlTerm",
    "TokenLoss",
    "Totals",
    "adaptive_clip",
    "adaptive_temperature",
    "aggregated",
    "brevity_reward",
    "clipped_choice_loss",
    "clipped_objective",
    "entropy",
    "entropy_against",
    "entropy_signal",
    "entropy_stats",
    "group_advantage",
    "importance_ratio",
    "redistribute_advantage",
    "tempered",
    "token_entropy",
    "token_level_group_advantage",
    "token_scores",
]
