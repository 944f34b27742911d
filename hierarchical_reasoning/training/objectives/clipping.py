"""The clipped objective of tokens: PPO's, with bounds for each token, a dual clip and a KL term.

rho = pi_new / pi_old of a token, A its advantage, c_low and c_high its clip ranges, c the dual clip. Per token::

    objective = min(rho A, clip(rho, 1 - c_low, 1 + c_high) A)
    objective = max(objective, c A)   where A < 0                    (Ye et al., 2020, arXiv 1912.09729)
    loss = -objective + coefficient * KL

Sources: PPO (Schulman et al., 2017); `compute_policy_loss` of verl, and `ada_clip` of HAPO (starriver030515/HAPO).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from hierarchical_reasoning.training.config import Aggregation
from hierarchical_reasoning.training.objectives.aggregation import Totals, aggregated
from hierarchical_reasoning.training.objectives.precision import as_like, at_full_precision, unmasked

KlEstimator = Literal["k1", "k2", "k3"]
_LARGEST_LOG_RATIO = 20.0
"""Beyond it a ratio stays what it is there, and has no gradient: exp of more would overflow."""


@dataclass(frozen=True, eq=False)
class Clip:
    """How far a token's ratio may go from 1 before its gradient ends."""

    low: torch.Tensor | float = 0.2
    """Down to 1 - low; a number, or one for each token (see `adaptive_clip`)."""
    high: torch.Tensor | float = 0.2
    """Up to 1 + high."""
    dual: float | None = 3.0
    """Above 1: with A < 0 the loss is no more than -A times this. None: no such bound."""

    def __post_init__(self) -> None:
        if self.dual is not None and not self.dual > 1:
            raise ValueError(f"the dual clip must be above 1, or None for none, not {self.dual}")


@dataclass(frozen=True, eq=False)
class KlTerm:
    """A penalty for leaving a reference policy, estimated from the tokens taken (Schulman, 2020, "Approximating KL
    divergence"). With d = log pi_new - log pi_reference: k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d.

    The mean of k1 and of k3 is KL(new || reference) on tokens of the new policy; the gradient of k2 is its gradient
    there, and that of k1 has the mean 0.
    """

    reference_log_probs_BT: torch.Tensor
    coefficient: float
    estimator: KlEstimator = "k3"


@dataclass(frozen=True)
class TokenLoss:
    """A loss and what belongs beside it in a log."""

    loss: torch.Tensor
    """One number, aggregated; what is differentiated."""
    loss_BT: torch.Tensor
    """Not weighted; 0 where masked."""
    kl_BT: torch.Tensor
    """As estimated, before its coefficient; 0 where masked, or without a KL term."""
    clipped_BT: torch.Tensor
    """bool: the ratio has left its bounds on the side where the advantage pushes it; no gradient from A."""
    dual_clipped_BT: torch.Tensor
    """bool: the dual clip bounds the loss; no gradient from A."""


def adaptive_clip(
    h_hat_BT: torch.Tensor, low: float, high: float, alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, T) c_low and c_high: an unsure token may rise further, a sure one fall further.

    c_low = low (1 - alpha h_hat) where h_hat <= 0, else low.
    c_high = high (1 + alpha h_hat) where h_hat > 0, else high.
    """
    h_hat_BT = at_full_precision(h_hat_BT.detach())
    return low * (1 - alpha * h_hat_BT.clamp(max=0)), high * (1 + alpha * h_hat_BT.clamp(min=0))


def importance_ratio(
    log_probs_BT: torch.Tensor, old_log_probs_BT: torch.Tensor, mask_BT: torch.Tensor
) -> torch.Tensor:
    """(B, T) new probability over old; 1 where masked."""
    return _log_ratio(at_full_precision(log_probs_BT), old_log_probs_BT, mask_BT).exp()


def clipped_objective(
    log_probs_BT: torch.Tensor,
    old_log_probs_BT: torch.Tensor,
    advantage_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    clip: Clip | None = None,
    *,
    aggregation: Aggregation = "token-mean",
    weights_BT: torch.Tensor | None = None,
    totals: Totals | None = None,
    kl: KlTerm | None = None,
) -> TokenLoss:
    """The loss of a batch. Half precision is computed in float32, and masked tokens may hold anything.

    A ratio exactly on a bound is not clipped. Deviation from verl: k3 is not clamped, nor k1 and k2.

    Args:
        log_probs_BT: by the policy that is trained; alone in having a gradient.
        old_log_probs_BT: by the policy that wrote the tokens, at the same temperature.
        clip: None: 0.2 on both sides, dual clip 3.
        aggregation: see `aggregated`; so with `weights_BT` and `totals`.
    """
    clip = clip or Clip()
    log_probs_BT = at_full_precision(log_probs_BT)
    advantage_BT = unmasked(advantage_BT.detach(), mask_BT, log_probs_BT)
    ratio_BT = importance_ratio(log_probs_BT, old_log_probs_BT, mask_BT)
    gain_BT = ratio_BT * advantage_BT
    low_BT, high_BT = (
        unmasked(as_like(side, log_probs_BT).expand_as(log_probs_BT), mask_BT, log_probs_BT)
        for side in (clip.low, clip.high)
    )
    bounded_BT = ratio_BT.clamp(1 - low_BT, 1 + high_BT) * advantage_BT
    clipped_BT = bounded_BT < gain_BT
    objective_BT = torch.where(clipped_BT, bounded_BT, gain_BT)
    dual_clipped_BT = torch.zeros_like(clipped_BT)
    if clip.dual is not None:
        floor_BT = clip.dual * advantage_BT
        dual_clipped_BT = (advantage_BT < 0) & (objective_BT < floor_BT)
        objective_BT = torch.where(dual_clipped_BT, floor_BT, objective_BT)
    kl_BT = torch.zeros_like(objective_BT) if kl is None else _kl(kl, log_probs_BT, mask_BT)
    loss_BT = -objective_BT + (0.0 if kl is None else kl.coefficient) * kl_BT
    return TokenLoss(
        loss=aggregated(loss_BT, mask_BT, aggregation, weights_BT=weights_BT, totals=totals),
        loss_BT=loss_BT,
        kl_BT=kl_BT,
        clipped_BT=clipped_BT,
        dual_clipped_BT=dual_clipped_BT,
    )


def _kl(kl: KlTerm, log_probs_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    reference_BT = kl.reference_log_probs_BT.detach()
    if kl.estimator == "k3":
        minus_d_BT = -_log_ratio(log_probs_BT, reference_BT, mask_BT)
        return minus_d_BT.exp() - 1 - minus_d_BT
    d_BT = unmasked(log_probs_BT, mask_BT, log_probs_BT) - unmasked(reference_BT, mask_BT, log_probs_BT)
    if kl.estimator == "k2":
        return d_BT.square() / 2
    if kl.estimator == "k1":
        return d_BT
    raise ValueError(f"there is no KL estimator {kl.estimator!r}; choose one of k1, k2, k3")


def _log_ratio(new_BT: torch.Tensor, old_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """log new - log old, within +-20; 0 where masked."""
    difference_BT = unmasked(new_BT, mask_BT, new_BT) - unmasked(old_BT.detach(), mask_BT, new_BT)
    return difference_BT.clamp(-_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)
