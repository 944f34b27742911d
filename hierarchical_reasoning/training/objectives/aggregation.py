"""From a loss per token to one number, in the ways that verl names (`agg_loss`, `loss_agg_mode`).

With w the weight of a token (1 unless given), over the valid tokens::

    token-mean                sum(w loss) / sum(w)
    seq-mean-token-sum        mean over sequences of sum_t(w loss)
    seq-mean-token-mean       mean over sequences of sum_t(w loss) / sum_t(w)
    seq-mean-token-sum-norm   mean over sequences of sum_t(w loss) / horizon             (Dr. GRPO)

Sequences without a valid token are not counted. As in verl since 0.7; before, it did count them, and
``seq-mean-token-sum-norm`` did not divide by the number of sequences. Deviation: verl has no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch

from hierarchical_reasoning.training.config import Aggregation
from hierarchical_reasoning.training.objectives.precision import at_full_precision, unmasked


@dataclass(frozen=True)
class Totals:
    """What sums are divided by. Where a batch is divided among passes or processes, those of the whole batch: then the
    losses of the parts add up to the loss of the whole."""

    tokens: float
    """Valid tokens, each as often as its weight."""
    sequences: float
    """With a valid token."""
    horizon: float
    """The longest that a sequence can be; the same throughout training, so that no loss depends on its batch."""

    @classmethod
    def of(cls, mask_BT: torch.Tensor, weights_BT: torch.Tensor | None = None) -> Totals:
        """Those of a batch by itself, with T as the horizon."""
        mask_BT = mask_BT.bool()
        tokens = mask_BT if weights_BT is None else at_full_precision(weights_BT).masked_fill(~mask_BT, 0.0)
        return cls(float(tokens.sum()), int(mask_BT.any(dim=1).sum()), mask_BT.shape[1])


def aggregated(
    loss_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    aggregation: Aggregation = "token-mean",
    *,
    weights_BT: torch.Tensor | None = None,
    totals: Totals | None = None,
) -> torch.Tensor:
    """The loss as one number; 0, with a gradient of 0, where no token is valid.

    Args:
        weights_BT: not below 0; a token that stands for several, as one that many paths of a tree share, counts as
            often.
        totals: of the batch that this is a part of; None: this is the whole.
    """
    if aggregation not in get_args(Aggregation):
        raise ValueError(
            f"there is no aggregation {aggregation!r}; choose one of {', '.join(get_args(Aggregation))}"
        )
    loss_BT = at_full_precision(loss_BT)
    totals = totals or Totals.of(mask_BT, weights_BT)
    weights_BT = unmasked(torch.ones_like(loss_BT) if weights_BT is None else weights_BT, mask_BT, loss_BT)
    summed_B = (unmasked(loss_BT, mask_BT, loss_BT) * weights_BT).sum(dim=1)
    if aggregation == "token-mean":
        return _divided(summed_B.sum(), totals.tokens)
    if aggregation == "seq-mean-token-mean":
        weight_B = weights_BT.sum(dim=1)
        summed_B = summed_B / weight_B.masked_fill(weight_B == 0, 1.0)
    if aggregation == "seq-mean-token-sum-norm":
        summed_B = _divided(summed_B, totals.horizon)
    return _divided(summed_B.sum(), totals.sequences)


def _divided(total: torch.Tensor, by: float) -> torch.Tensor:
    """Where there is nothing to divide by, the total is 0 already."""
    return total / by if by else total
