"""What logits say of each token: its log probability, and how unsure the model was.

Logits of a batch fill gigabytes, so they are gone through a few rows at a time, and no second tensor of their size is
kept for the backward pass: it has the logits themselves, and one number a row. The gradient is the one other such
tensor. Axes: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from hierarchical_reasoning.training.objectives.precision import as_like, at_full_precision

ELEMENTS_AT_ONCE = 2**24
"""Logits that are gone through together: 64 MiB in float32."""


def token_scores(
    logits_TV: torch.Tensor,
    tokens_T: torch.Tensor,
    temperature: torch.Tensor | float = 1.0,
    *,
    elements_at_once: int = ELEMENTS_AT_ONCE,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(T,) log probabilities of the tokens, and (T,) entropies.

    Args:
        logits_TV: raw. Half precision is computed in float32 a few rows at a time; the gradient is of half precision.
        tokens_T: the token that followed each row.
        temperature: above 0; a number, or one for each row.

    Returns:
        log softmax(logits / temperature) at the tokens, differentiable once; and the entropy in nats of
        softmax(logits), at temperature 1 whatever `temperature` is, without gradient.
    """
    full = at_full_precision(logits_TV.new_empty(0))
    temperature_T = as_like(temperature, full).detach().expand(len(tokens_T))
    if bool((temperature_T <= 0).any()):
        raise ValueError(f"the temperature of log probabilities must be above 0, not {temperature}")
    scores: tuple[torch.Tensor, torch.Tensor] = _TokenScores.apply(  # type: ignore[no-untyped-call]
        logits_TV, tokens_T, temperature_T, elements_at_once
    )
    return scores


def token_entropy(logits: torch.Tensor) -> torch.Tensor:
    """(...) entropy in nats of softmax(logits) over the last axis, without gradient; a logit of -inf is no option."""
    entropy: torch.Tensor = torch.special.entr(at_full_precision(logits.detach()).softmax(dim=-1)).sum(dim=-1)
    return entropy


class _TokenScores(torch.autograd.Function):
    """With z = logits / temperature: log p(token) = z[token] - logsumexp(z); d/dlogits = (1[token] - softmax(z)) /
    temperature."""

    @staticmethod
    def forward(
        ctx: Any,
        logits_TV: torch.Tensor,
        tokens_T: torch.Tensor,
        temperature_T: torch.Tensor,
        elements_at_once: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        log_probs_T, entropy_T, normalizer_T = (temperature_T.new_empty(len(tokens_T)) for _ in range(3))
        for rows in _parts(logits_TV, elements_at_once):
            part_TV = at_full_precision(logits_TV[rows])
            entropy_T[rows] = token_entropy(part_TV)
            scaled_TV = part_TV / temperature_T[rows, None]
            normalizer_T[rows] = scaled_TV.logsumexp(dim=1)
            log_probs_T[rows] = scaled_TV.gather(1, tokens_T[rows, None]).squeeze(1) - normalizer_T[rows]
        ctx.save_for_backward(logits_TV, tokens_T, temperature_T, normalizer_T)
        ctx.elements_at_once = elements_at_once
        ctx.mark_non_differentiable(entropy_T)
        return log_probs_T, entropy_T

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients_T: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        logits_TV, tokens_T, temperature_T, normalizer_T = ctx.saved_tensors
        gradient_TV = torch.empty_like(logits_TV)
        for rows in _parts(logits_TV, ctx.elements_at_once):
            share_T1 = (gradients_T[0][rows] / temperature_T[rows]).unsqueeze(1)
            scaled_TV = at_full_precision(logits_TV[rows]) / temperature_T[rows, None]
            part_TV = (scaled_TV - normalizer_T[rows, None]).exp_().mul_(-share_T1)
            gradient_TV[rows] = part_TV.scatter_add_(1, tokens_T[rows, None], share_T1).to(gradient_TV)
        return gradient_TV, None, None, None


def _parts(logits_TV: torch.Tensor, elements_at_once: int) -> Iterator[slice]:
    """As many rows at a time as are allowed together; one at the least."""
    n, vocabulary = logits_TV.shape
    step = max(1, elements_at_once // vocabulary)
    for start in range(0, n, step):
        yield slice(start, start + step)
