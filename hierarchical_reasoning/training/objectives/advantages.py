"""Advantages of tokens, as HAPO computes them: averaged over tokens, then redistributed by entropy.

Source: the public code of HAPO (starriver030515/HAPO, `compute_hapo_outcome_advantage` and `ada_advantage`).
Axes: B sequences, T tokens. No gradient passes through anything here.
"""

from __future__ import annotations

import torch

from hierarchical_reasoning.training.objectives.precision import as_like, at_full_precision

EPSILON = 1e-6
"""Added to standard deviations."""
LARGEST_ADVANTAGE = 5.0
"""From this on a group falls back to advantages of whole sequences."""


def token_level_group_advantage(
    rewards_B: torch.Tensor,
    mask_BT: torch.Tensor,
    group_B: torch.Tensor,
    *,
    normalize: bool = True,
    largest: float = LARGEST_ADVANTAGE,
) -> torch.Tensor:
    """(B, T) advantages; every valid token of a group counts alike, so that long sequences weigh more.

    A = (r - mean) / (std + 1e-6), where mean and population std of the sequence's reward are over the valid tokens of
    the group. Where any |A| of a valid token is `largest` or more, the whole group has GRPO's advantage instead: mean
    and unbiased std over its sequences.

    0 at masked tokens, and exactly 0 where all valid tokens of a group have the same reward, as in a group of one.

    Deviations from the published code: it also looks for large |A| at masked tokens, which there have a reward of 0;
    and where rewards are equal it leaves what rounding makes of 0 / 1e-6.

    Args:
        rewards_B: one a sequence.
        mask_BT: true, or not 0, at valid tokens.
        group_B: the group of each sequence, any integers.
        normalize: False: r - mean alone (`norm_adv_by_std_in_grpo` off), in the fallback too.
    """
    rewards_B = at_full_precision(rewards_B.detach())
    mask_BT = mask_BT.bool()
    tokens_B = mask_BT.sum(dim=1).to(rewards_B)
    advantage_B = torch.zeros_like(rewards_B)
    for group in set(group_B.tolist()):
        rows = (group_B == group).nonzero().squeeze(1)
        advantage_B[rows] = _of_group(rewards_B[rows], tokens_B[rows], normalize=normalize, largest=largest)
    return advantage_B.unsqueeze(1).masked_fill(~mask_BT, 0.0)


def _of_group(
    rewards_G: torch.Tensor, tokens_G: torch.Tensor, *, normalize: bool, largest: float
) -> torch.Tensor:
    with_tokens_G = tokens_G > 0
    compared = rewards_G[with_tokens_G]
    if len(compared) == 0 or compared.max() == compared.min():
        return torch.zeros_like(rewards_G)
    centred_G = rewards_G - (rewards_G * tokens_G).sum() / tokens_G.sum()
    std = ((centred_G.square() * tokens_G).sum() / tokens_G.sum()).sqrt()
    advantage_G = centred_G / (std + EPSILON) if normalize else centred_G
    if advantage_G[with_tokens_G].abs().max() < largest:
        return advantage_G
    centred_G = rewards_G - rewards_G.mean()
    return centred_G / (rewards_G.std() + EPSILON) if normalize else centred_G


def redistribute_advantage(
    advantage_BT: torch.Tensor,
    h_hat_BT: torch.Tensor,
    ratio_BT: torch.Tensor,
    clip_low_BT: torch.Tensor | float,
    clip_high_BT: torch.Tensor | float,
    beta: float,
) -> torch.Tensor:
    """(B, T) advantages, with A (1 + beta h_hat) in place of A for some tokens.

    A ratio is *neutral* when 1 - c_low / 2 < ratio < 1 + c_high / 2, strictly. Where h_hat > 0, tokens that are not
    neutral are changed; elsewhere those that are.

    Args:
        h_hat_BT: see `entropy_signal`.
        ratio_BT: new probability over old; no gradient passes through it.
        clip_low_BT: c_low, as adapted by `adaptive_clip` where that is used; so with c_high.
        beta: strength; HAPO has 1.
    """
    advantage_BT, h_hat_BT, ratio_BT = (
        at_full_precision(values.detach()) for values in (advantage_BT, h_hat_BT, ratio_BT)
    )
    low_BT, high_BT = as_like(clip_low_BT, ratio_BT), as_like(clip_high_BT, ratio_BT)
    neutral_BT = (ratio_BT > 1 - low_BT / 2) & (ratio_BT < 1 + high_BT / 2)
    changed_BT = torch.where(h_hat_BT > 0, ~neutral_BT, neutral_BT)
    return torch.where(changed_BT, advantage_BT * (1 + beta * h_hat_BT), advantage_BT)
