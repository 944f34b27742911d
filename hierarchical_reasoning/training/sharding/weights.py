"""The weights of a model in training: as a plain model has them, and those of LoRA alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from peft import PeftModel
from peft.tuners.lora import Embedding, Linear, LoraLayer
from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper, transpose

from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.sharding.tensors import check_same, named_tensors, whole


@dataclass(frozen=True)
class _Named:
    """A tensor of the base model under its plain name."""

    name: str
    tensor: torch.Tensor
    lora: LoraLayer | None


def full_weights(accelerator: Accelerator, model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter and persistent buffer as the plain model's ``state_dict()`` names it, with LoRA merged in; the
    model itself does not change. Collective: every process takes all of them, and gets all values.

    Tensors are gathered one by one, so at most one is whole at a time unless the caller keeps them. One that is neither
    sharded nor merged is the model's own, not a copy. A merged one is summed in float32 and has the base's dtype.

    Raises:
        TrainingError: LoRA was put where it cannot be merged.
    """
    yield from plain_weights(accelerator.unwrap_model(model))


def plain_weights(plain: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """`full_weights` of a model that nothing but adapters wraps."""
    base = plain.get_base_model() if isinstance(plain, PeftModel) else plain
    named = list(_plain_names(base))
    _check_ties(named)
    for each in named:
        weight = whole(each.tensor)
        if each.lora is not None:
            weight = _merged(weight, each.lora)
        yield each.name, weight


def adapter_weights(accelerator: Accelerator, model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """What LoRA trains, by the names of the model with LoRA; nothing where there is no LoRA. Collective, as
    `full_weights` is."""
    if not isinstance(accelerator.unwrap_model(model), PeftModel):
        return
    for name, tensor in named_tensors(accelerator, model).items():
        if tensor.requires_grad:
            yield name, whole(tensor)


def load_adapter_weights(model: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put what `adapter_weights` gave into a model with LoRA that is not yet prepared.

    Raises:
        TrainingError: they are those of another model or other LoRA settings.
    """
    own = {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if tensor.requires_grad}
    check_same("LoRA weights", {name: tensor.shape for name, tensor in own.items()}, tensors)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _plain_names(base: Any) -> Iterator[_Named]:
    wrappers = {
        name: module
        for name, module in base.named_modules()
        if isinstance(module, LoraLayer | AuxiliaryTrainingWrapper)
    }
    for name, tensor in base.state_dict(keep_vars=True).items():
        owner = next((prefix for prefix in _prefixes(name) if prefix in wrappers), None)
        if owner is None:
            yield _Named(name, tensor, None)
            continue
        wrapper = wrappers[owner]
        inner = name[len(owner) + 1 :]
        kept = _kept_part(owner, wrapper)
        if inner.startswith(f"{kept}."):
            rest = inner[len(kept) + 1 :]
            lora = wrapper if isinstance(wrapper, LoraLayer) and rest == "weight" else None
            yield _Named(f"{owner}.{rest}", tensor, lora)


def _prefixes(name: str) -> Iterator[str]:
    """The modules that a tensor is in, the outermost first."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def _kept_part(owner: str, wrapper: LoraLayer | AuxiliaryTrainingWrapper) -> str:
    """What a wrapped module computes with, besides LoRA."""
    if isinstance(wrapper, ModulesToSaveWrapper):
        return f"modules_to_save.{wrapper.active_adapters[0]}"
    if (
        type(wrapper) in (Linear, Embedding)
        and not wrapper.lora_variant
        and not any(wrapper.lora_bias.values())
    ):
        return "base_layer"
    raise TrainingError(
        f"LoRA on {owner} ({type(wrapper).__name__}) cannot be merged into the planner; plain LoRA on linear and "
        "embedding layers can"
    )


def _check_ties(named: list[_Named]) -> None:
    """Raises TrainingError where a tied tensor would be two after merging."""
    by_tensor: dict[int, list[_Named]] = {}
    for each in named:
        by_tensor.setdefault(id(each.tensor), []).append(each)
    for tied in by_tensor.values():
        if len(tied) > 1 and any(each.lora is not None for each in tied):
            names = " and ".join(each.name for each in tied)
            raise TrainingError(
                f"{names} are one tensor, so LoRA on it cannot be merged; leave it out of LoRA's target modules"
            )


def _merged(weight: torch.Tensor, layer: LoraLayer) -> torch.Tensor:
    """weight + scale * B A, the sum over the adapters in use. Collective."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    total = weight.to(wide, copy=True)
    for adapter in layer.active_adapters:
        if isinstance(layer, Embedding):
            down, up = layer.lora_embedding_A[adapter], layer.lora_embedding_B[adapter]
            transposed = True
        else:
            down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
            transposed = layer.fan_in_fan_out
        product = whole(up).to(wide) @ whole(down).to(wide)
        total += transpose(product, transposed) * layer.scaling[adapter]
    return total.to(weight.dtype)
