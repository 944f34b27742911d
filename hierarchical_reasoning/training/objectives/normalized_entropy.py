"""Where the model was unsure: the entropy of each token, set against that of the batch (HAPO).

H is the entropy in nats of the softmax of the raw logits over the whole vocabulary, before temperature and
truncation. Over the valid tokens of a batch, with l = log max(H, 1e-6)::

    m = the `pivot` quantile of l, the nearest value, not interpolated
    s = sqrt(mean((l - m)^2))
    h = (l - m) / s
    h_hat = h / max(h) where h > 0,  h / |min(h)| where h < 0        in [-1, 1], 0 at m

Source: the public code of HAPO (starriver030515/HAPO, `compute_entropy_h` and `compute_entropy_based_temperature`).
Deviations from it:

- It divides negative h by negative min(h), so that no h_hat is below 0 and tokens of low entropy are treated as ones
  of high entropy, against its own rule for clipping. Here the sign is kept.
- It takes the entropy in training after the temperature, here it is the same everywhere: before.
- It holds s, max(h) and |min(h)| above small bounds. Here they are what they are, and where there are none, as with
  equal entropies, h_hat is 0.
- A masked token has h_hat 0; there it has what its padding makes of it.

No gradient passes through anything here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hierarchical_reasoning.training.objectives.precision import at_full_precision
from hierarchical_reasoning.training.objectives.token_scores import token_entropy

SMALLEST_ENTROPY = 1e-6
"""Nats; what is below counts as this."""


@dataclass(frozen=True)
class EntropyStats:
    """The entropies of a batch, as far as another batch can be set against them. Plain numbers: `dataclasses.asdict`
    makes JSON of them.

    Without a valid token all are 0. With one, or with equal entropies, only `m` is not; h_hat is 0 for every token that
    is set against such a batch.
    """

    m: float
    """The pivot: a log entropy."""
    s: float
    """Root mean square distance from it."""
    scale_pos: float
    """1/max(h); 0 where no token lies above the pivot: h_hat is then 0 there too."""
    scale_neg: float
    """1/|min(h)|; 0 where no token lies below the pivot."""


def entropy_signal(
    entropy_BT: torch.Tensor, mask_BT: torch.Tensor, pivot: float
) -> tuple[torch.Tensor, EntropyStats]:
    """(B, T) h_hat of a batch set against itself, and the batch's numbers.

    A batch that is divided among passes or processes is set against the whole of itself: `entropy_stats` of all its
    values, then `entropy_against` of each part.

    Args:
        entropy_BT: nats; what it holds at masked tokens plays no part.
        mask_BT: true, or not 0, at valid tokens.
        pivot: 0 to 1; 0.5 is the median, HAPO's recipes have 0.8.
    """
    stats = entropy_stats(entropy_BT, mask_BT, pivot)
    return entropy_against(stats, entropy_BT, mask_BT), stats


def entropy_stats(entropy_BT: torch.Tensor, mask_BT: torch.Tensor, pivot: float) -> EntropyStats:
    """The numbers of the valid tokens, in whatever shape they come.

    The pivot's rank is pivot * (n - 1), rounded to the nearest, halves to even, as ``torch.quantile`` does it.
    """
    if not 0 <= pivot <= 1:
        raise ValueError(f"the entropy pivot must lie in 0 to 1, not {pivot}")
    logs_N = _log_entropy(entropy_BT)[mask_BT.bool()]
    n = logs_N.numel()
    if n == 0:
        return EntropyStats(0.0, 0.0, 0.0, 0.0)
    pivot_value = logs_N.kthvalue(round(pivot * (n - 1)) + 1).values
    distances_N = logs_N - pivot_value
    s = float(distances_N.square().mean().sqrt())
    above, below = float(distances_N.max()), -float(distances_N.min())
    return EntropyStats(float(pivot_value), s, s / above if above else 0.0, s / below if below else 0.0)


def entropy_against(
    stats: EntropyStats, entropy_BT: torch.Tensor, mask_BT: torch.Tensor | None = None
) -> torch.Tensor:
    """(B, T) h_hat of tokens set against a batch, their own or an earlier one; clamped to [-1, 1], 0 where masked."""
    logs_BT = _log_entropy(entropy_BT)
    if stats.s == 0:
        h_hat_BT = torch.zeros_like(logs_BT)
    else:
        h_BT = (logs_BT - stats.m) / stats.s
        h_hat_BT = torch.where(h_BT > 0, h_BT * stats.scale_pos, h_BT * stats.scale_neg).clamp(-1, 1)
    return h_hat_BT if mask_BT is None else h_hat_BT.masked_fill(~mask_BT.bool(), 0.0)


def adaptive_temperature(
    logits: torch.Tensor, temperature: torch.Tensor | float, stats: EntropyStats | None, tau: float
) -> torch.Tensor:
    """T (1 + tau h_hat): warmer where the model is less sure than usual, cooler where it is surer.

    Deviation from the published code: it adds 1e-6 to s.

    Args:
        logits: (..., V) raw.
        temperature: T; a number, or one for each row of logits.
        stats: of the previous batch; None before there is one: T as it is.
        tau: the largest change, as a share of T.

    Returns:
        (...) one temperature for each row of logits.
    """
    entropy = token_entropy(logits)
    h_hat = torch.zeros_like(entropy) if stats is None else entropy_against(stats, entropy)
    return temperature * (1 + tau * h_hat)


def _log_entropy(entropy: torch.Tensor) -> torch.Tensor:
    return at_full_precision(entropy.detach()).clamp(min=SMALLEST_ENTROPY).log()
