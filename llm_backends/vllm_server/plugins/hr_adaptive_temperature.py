"""HAPO's adaptive temperature in a vLLM server, for requests that bring its five numbers.

`vllm serve --logits-processors hr_adaptive_temperature:AdaptiveTemperature`, with this file's folder on PYTHONPATH. A
request has them in `vllm_xargs`: {"hr_adaptive_temperature": [m, s, scale_pos, scale_neg, tau]}. Its temperature T is
then T (1 + tau h_hat) at each token, with H the entropy of the raw logits in nats::

    h = (log max(H, 1e-6) - m) / s,   h_hat = h scale_pos where h > 0, else h scale_neg,   clamped to [-1, 1]

For vLLM's first model runner (VLLM_USE_V2_MODEL_RUNNER=0), whose processors see raw logits; those of the second see
them after penalties. Logits are divided here and by T later: a repetition penalty in between multiplies or divides, so
the order makes no difference. Presence and frequency penalties, which add, must be off.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

FIELD = "hr_adaptive_temperature"
SMALLEST_ENTROPY = 1e-6

Numbers = tuple[float, ...]


class AdaptiveTemperature(LogitsProcessor):  # type: ignore[misc]
    """Divides the logits of the requests that ask for it by 1 + tau h_hat."""

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """:raises ValueError: the request's numbers are none, or it has a penalty that adds."""
        numbers = numbers_in(sampling_params)
        if numbers is not None and (sampling_params.presence_penalty or sampling_params.frequency_penalty):
            raise ValueError(f"{FIELD} goes with no presence_penalty and no frequency_penalty; set them to 0")

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._device = device
        self._numbers: dict[int, Numbers] = {}
        """By row of the batch."""
        self._rows_R = torch.zeros(0, dtype=torch.long, device=device)
        self._numbers_5R = torch.zeros(5, 0, device=device)

    def is_argmax_invariant(self) -> bool:
        """It is, but says no: vLLM shows raw logits to the others alone."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow the requests as they come, move and go."""
        if process_dict_updates(self._numbers, batch_update, lambda params, _, __: numbers_in(params)):
            self._rows_R = torch.tensor(list(self._numbers), dtype=torch.long, device=self._device)
            numbers_R5 = torch.tensor(list(self._numbers.values()), dtype=torch.float32, device=self._device)
            self._numbers_5R = numbers_R5.reshape(-1, 5).T

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """(N, V) raw logits, changed in place where a row's request has numbers."""
        if self._numbers:
            rows_RV = logits[self._rows_R]
            logits[self._rows_R] = rows_RV / factors(rows_RV, *self._numbers_5R).unsqueeze(1).to(logits.dtype)
        return logits


def factors(
    logits_RV: torch.Tensor,
    m_R: torch.Tensor,
    s_R: torch.Tensor,
    scale_pos_R: torch.Tensor,
    scale_neg_R: torch.Tensor,
    tau_R: torch.Tensor,
) -> torch.Tensor:
    """(R,) 1 + tau h_hat."""
    log_probs_RV = logits_RV.float().log_softmax(dim=-1)
    entropy_R = torch.special.entr(log_probs_RV.exp()).sum(dim=-1)
    distance_R = entropy_R.clamp(min=SMALLEST_ENTROPY).log() - m_R
    h_R = torch.where(s_R > 0, distance_R / s_R, 0.0)
    h_hat_R = torch.where(h_R > 0, h_R * scale_pos_R, h_R * scale_neg_R).clamp(-1, 1)
    return 1 + tau_R * h_hat_R


def numbers_in(sampling_params: Any) -> Numbers | None:
    """Those of a request; None where it has none.

    :raises ValueError: they are not five finite numbers, all but the first 0 or more, the last below 1.
    """
    given = (sampling_params.extra_args or {}).get(FIELD)
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 5 or not all(map(_is_finite, given)):
        raise ValueError(
            f"{FIELD} is {given!r}; it must be [m, s, scale_pos, scale_neg, tau], finite numbers"
        )
    if min(given[1:]) < 0 or given[4] >= 1:
        raise ValueError(f"{FIELD} is {given!r}; all but m must be 0 or more, and tau less than 1")
    return tuple(map(float, given))


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
