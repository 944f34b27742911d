"""LoRA adapters, put into a model."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from peft import LoraConfig, get_peft_model


def with_lora(module: Any, *, r: int, alpha: int, seed: int) -> Any:
    """The module with adapters on all linear layers but the head; they alone are trained.

    Args:
        module: changed in place.
        r: their rank.
        alpha: their scale is ``alpha / r``.
        seed: of their first weights, with which they change nothing yet.
    """
    lora = LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings(), torch.random.fork_rng():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name of old
        return get_peft_model(module, lora)
