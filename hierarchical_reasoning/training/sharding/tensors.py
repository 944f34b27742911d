"""The tensors of a prepared model, whole and by their plain names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor

from hierarchical_reasoning.training.errors import TrainingError


def named_tensors(accelerator: Accelerator, model: Any) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers by the names of the model that was prepared, sharded as they are. A tied one
    has several names."""
    # Not `named_parameters`: that shows what FSDP2 has gathered for a forward pass and not yet let go.
    tensors: dict[str, torch.Tensor] = accelerator.unwrap_model(model).state_dict(keep_vars=True)
    return tensors


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor, without its graph: a new one where it is sharded, else the tensor itself. Collective."""
    if isinstance(tensor, DTensor):
        return tensor.full_tensor().detach()
    if hasattr(tensor, "ds_id"):  # ZeRO 3
        from deepspeed.runtime.zero import GatheredParameters

        with GatheredParameters([tensor]):
            return tensor.detach().clone()
    return tensor.detach()


def whole_shape(tensor: torch.Tensor) -> torch.Size:
    """The shape that `whole` has."""
    shape: torch.Size = getattr(tensor, "ds_shape", tensor.shape)
    return shape


def check_same(what: str, wanted: Mapping[str, torch.Size], given: Mapping[str, torch.Tensor]) -> None:
    """Raises TrainingError where names or shapes differ."""
    wrong = sorted(
        name
        for name in wanted.keys() | given.keys()
        if name not in wanted or name not in given or wanted[name] != given[name].shape
    )
    if wrong:
        raise TrainingError(
            f"the checkpoint's {what} are not those of this model: {', '.join(wrong[:3])}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''} are missing, unknown or of another shape; "
            "give the settings of the checkpoint (--planner_model_name, --lora_r), or choose another --output_dir"
        )
