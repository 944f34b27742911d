"""The planner's choices: rewards to advantages, advantages to a loss.

In the notation of GRPO (Shao et al., 2024, arXiv 2402.03300), on choices instead of tokens: r reward, A advantage,
rho = pi_new(a) / pi_old(a). Axes: B episodes, C choices, O options. Everything is computed in the dtype given.

Deviation: the KL is not estimated from the action taken, it is summed over the options.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hierarchical_reasoning.training.config import AdvantageKind

_SMALLEST_STD = 1e-6


@dataclass(frozen=True)
class ChoiceLoss:
    """A loss and what belongs beside it in a log, one value a choice."""

    loss_C: torch.Tensor
    kl_C: torch.Tensor
    """KL(old || new), or KL(reference || new), nats."""
    clipped_C: torch.Tensor
    """bool: the ratio has left the trust region on the side where the advantage pushes it; no gradient from A."""


def brevity_reward(characters: int, weight: float) -> float:
    """w / (1 + characters written), which is added to 1[correct]."""
    return weight / (1 + characters)


def group_advantage(rewards_B: torch.Tensor, group_B: torch.Tensor, kind: AdvantageKind) -> torch.Tensor:
    """(B,) advantages within groups.

    ``binary``: r - mean over the group. ``mean``: that, divided by max(population standard deviation, 1e-6).
    Exactly 0 in a group whose rewards are all equal, as in a group of one.

    Args:
        group_B: the group of each episode, any integers.
    """
    advantages_B = torch.zeros_like(rewards_B)
    for group in set(group_B.tolist()):
        rows = (group_B == group).nonzero().squeeze(1)
        rewards = rewards_B[rows]
        if rewards.max() == rewards.min():
            continue
        centred = rewards - rewards.mean()
        if kind == "mean":
            centred = centred / rewards.std(correction=0).clamp(min=_SMALLEST_STD)
        advantages_B[rows] = centred
    return advantages_B


def tempered(log_probs_CO: torch.Tensor, temperature: float) -> torch.Tensor:
    """log of p^(1/T), renormalised over the options: the distribution that is drawn from at temperature T > 0."""
    return log_probs_CO if temperature == 1.0 else (log_probs_CO / temperature).log_softmax(dim=-1)


def clipped_choice_loss(
    new_log_probs_CO: torch.Tensor,
    old_log_probs_CO: torch.Tensor,
    chosen_C: torch.Tensor,
    advantages_C: torch.Tensor,
    *,
    epsilon: float,
    kl_coeff: float,
    reference_log_probs_CO: torch.Tensor | None = None,
) -> ChoiceLoss:
    """-min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A) + kl_coeff * sum_v pi_ref(v) (log pi_ref(v) - log pi_new(v)).

    Args:
        new_log_probs_CO: of every option, by the policy that is trained.
        old_log_probs_CO: by the policy that acted; without gradient.
        chosen_C: the option taken.
        advantages_C: of the episode that each choice belongs to.
        reference_log_probs_CO: by the policy that the KL holds to; None: the one that acted.
    """
    log_ratio_C = (new_log_probs_CO - old_log_probs_CO).gather(1, chosen_C.unsqueeze(1)).squeeze(1)
    ratio_C = log_ratio_C.exp()
    gain_C = ratio_C * advantages_C
    bounded_C = ratio_C.clamp(1 - epsilon, 1 + epsilon) * advantages_C
    held_CO = old_log_probs_CO if reference_log_probs_CO is None else reference_log_probs_CO
    kl_C = (held_CO.exp() * (held_CO - new_log_probs_CO)).sum(dim=-1)
    return ChoiceLoss(
        loss_C=-torch.minimum(gain_C, bounded_C) + kl_coeff * kl_C,
        kl_C=kl_C,
        clipped_C=bounded_C < gain_C,
    )


def entropy(log_probs_CO: torch.Tensor) -> torch.Tensor:
    """(C,) entropy over the options, nats."""
    return -(log_probs_CO.exp() * log_probs_CO).sum(dim=-1)
