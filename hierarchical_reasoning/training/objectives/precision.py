"""In what precision objectives are computed."""

from __future__ import annotations

import torch

_HALF = (torch.float16, torch.bfloat16)


def at_full_precision(values: torch.Tensor) -> torch.Tensor:
    """As they are, but half precision as float32: log probabilities and their ratios need more than 8 bits."""
    return values.float() if values.dtype in _HALF else values


def as_like(value: torch.Tensor | float, like: torch.Tensor) -> torch.Tensor:
    """The value in the dtype and on the device of `like`."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def unmasked(values_BT: torch.Tensor, mask_BT: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The values in the dtype and on the device of `like`, and 0 where `mask_BT` is false, so that what padding holds,
    NaN and infinities too, reaches neither values nor gradients."""
    return as_like(values_BT, like).masked_fill(~mask_BT.bool(), 0.0)
