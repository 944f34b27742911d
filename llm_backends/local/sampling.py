"""Drawing tokens and choices.

Every request has a stream of uniform numbers of its own, a pure function of (seed, step): what is drawn does
not depend on what else is in flight. Axes: N rows, V vocabulary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from llm_backends.token_streams import SMALLEST_ENTROPY, AdaptiveTemperature
from llm_backends.types import Request

UInt64s = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]


def stream_seed(request: Request) -> int:
    """The 64-bit seed of a request's stream: a stable hash of what makes it a question and a sample of its
    own."""
    identity = [
        request.sampling.seed,
        [[message.role, message.content] for message in request.messages],
        request.sample_index,
        request.choices,
    ]
    digest = hashlib.sha256(json.dumps(identity, ensure_ascii=True).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def uniforms(seeds_N: UInt64s, steps_N: UInt64s) -> Floats:
    """Number `step` of the stream of each seed, in [0, 1): SplitMix64 (Steele et al., 2014), top 53 bits."""
    with np.errstate(over="ignore"):
        state = seeds_N + (steps_N + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    numbers: Floats = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def sample_tokens(
    logits_NV: torch.Tensor,
    temperature_N: Floats,
    top_k_N: npt.NDArray[np.int64],
    top_p_N: Floats,
    uniforms_N: Floats,
) -> torch.Tensor:
    """One token a row, (N,): the likeliest where the temperature is 0, elsewhere by inverse distribution
    function.

    The temperature is applied first, then top-k, then top-p on what is left; tokens of equal logit at top-k's
    edge stay.
    """
    drawn = np.flatnonzero(temperature_N > 0.0)
    if drawn.size == 0:
        return logits_NV.argmax(dim=-1)
    tokens_N = None if drawn.size == len(temperature_N) else logits_NV.argmax(dim=-1)
    rows = torch.from_numpy(drawn).to(logits_NV.device)
    logits_DV = logits_NV.index_select(0, rows) if tokens_N is not None else logits_NV
    scale_D = np.maximum(temperature_N[drawn], np.finfo(np.float32).tiny).astype(np.float32)
    scale_D1 = torch.from_numpy(scale_D).to(logits_DV.device).unsqueeze(1)
    scaled_DV = (logits_DV.float() - logits_DV.amax(dim=-1, keepdim=True).float()) / scale_D1
    top_k_D, top_p_D = top_k_N[drawn], top_p_N[drawn]
    if (top_k_D > 0).any() or (top_p_D < 1.0).any():
        scaled_DV = _truncated(scaled_DV, top_k_D, top_p_D)
    probs_DV = scaled_DV.softmax(dim=-1, dtype=torch.float64)
    tokens_D = _inverse_cdf(probs_DV, torch.from_numpy(uniforms_N[drawn]).to(probs_DV.device))
    if tokens_N is None:
        return tokens_D
    return tokens_N.index_copy_(0, rows, tokens_D)


def penalized(logits_NV: torch.Tensor, seen_NV: npt.NDArray[np.bool_], penalty_N: Floats) -> torch.Tensor:
    """The logits, those of tokens seen divided by the row's penalty where they are positive, else multiplied by it:
    as transformers and vLLM have it (Keskar et al., 2019), over prompt and text."""
    penalty_N1 = torch.from_numpy(penalty_N.astype(np.float32)).to(logits_NV.device).unsqueeze(1)
    logits_NV = logits_NV.float()
    changed_NV = torch.where(logits_NV > 0, logits_NV / penalty_N1, logits_NV * penalty_N1)
    return torch.where(torch.from_numpy(seen_NV).to(logits_NV.device), changed_NV, logits_NV)


def temperature_factors(logits_NV: torch.Tensor, adaptive_N: Sequence[AdaptiveTemperature | None]) -> Floats:
    """By what each row's temperature is multiplied; 1 where nothing adapts it. The logits are raw."""
    numbers_N5 = np.array([each.numbers() if each is not None else (0.0,) * 5 for each in adaptive_N])
    m_N, s_N, scale_pos_N, scale_neg_N, tau_N = numbers_N5.T
    log_probs_NV = logits_NV.float().log_softmax(dim=-1)
    entropy_N = torch.special.entr(log_probs_NV.exp()).sum(dim=-1).double().cpu().numpy()
    distance_N = np.log(np.maximum(entropy_N, SMALLEST_ENTROPY)) - m_N
    h_N = np.divide(distance_N, s_N, out=np.zeros_like(distance_N), where=s_N > 0)
    h_hat_N = np.clip(np.where(h_N > 0, h_N * scale_pos_N, h_N * scale_neg_N), -1.0, 1.0)
    factors_N: Floats = 1.0 + tau_N * h_hat_N
    return factors_N


def draw_choice(log_probs: Floats, temperature: float, uniform: float) -> int:
    """Index of one option: drawn from p^(1/temperature), renormalised; the likeliest at temperature 0."""
    if temperature == 0.0:
        return int(log_probs.argmax())
    with np.errstate(over="ignore"):
        scaled = (log_probs - log_probs.max()) / temperature
    cumulative = np.exp(scaled).cumsum()
    target = min(uniform * cumulative[-1], np.nextafter(cumulative[-1], 0.0))
    return int(np.searchsorted(cumulative, target, side="right"))


def _inverse_cdf(probs_DV: torch.Tensor, uniforms_D: torch.Tensor) -> torch.Tensor:
    cumulative_DV = probs_DV.cumsum(dim=-1)
    total_D1 = cumulative_DV[:, -1:]
    # Below the total, so that rounding never leads past the last token.
    below_D1 = torch.nextafter(total_D1, torch.zeros_like(total_D1))
    targets_D1 = torch.minimum(uniforms_D.unsqueeze(1) * total_D1, below_D1)
    # right=True skips tokens of probability 0.
    return torch.searchsorted(cumulative_DV, targets_D1, right=True).squeeze(1)


def _truncated(scaled_DV: torch.Tensor, top_k_D: npt.NDArray[np.int64], top_p_D: Floats) -> torch.Tensor:
    """The logits with -inf at every token outside a row's top-k and top-p."""
    device, vocabulary = scaled_DV.device, scaled_DV.shape[1]
    keep_D = np.where(top_k_D > 0, np.minimum(top_k_D, vocabulary), vocabulary)
    sorted_DV, order_DV = scaled_DV.sort(dim=-1, descending=True, stable=True)
    smallest_kept_D1 = sorted_DV.gather(1, torch.from_numpy(keep_D - 1).to(device).unsqueeze(1))
    sorted_DV = sorted_DV.masked_fill(sorted_DV < smallest_kept_D1, float("-inf"))
    probs_DV = sorted_DV.softmax(dim=-1, dtype=torch.float64)
    before_DV = probs_DV.cumsum(dim=-1) - probs_DV
    top_p_D1 = torch.from_numpy(np.where(top_p_D < 1.0, top_p_D, 2.0)).to(device).unsqueeze(1)
    sorted_DV = sorted_DV.masked_fill(before_DV >= top_p_D1, float("-inf"))
    return torch.empty_like(scaled_DV).scatter_(1, order_DV, sorted_DV)
