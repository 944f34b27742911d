"""The optimizer's state by the names of parameters, whole, so that it can be taken up on any number of processes.

Keys are ``{parameter}.{name of the state}``: ``exp_avg``, ``exp_avg_sq`` and ``step`` with AdamW, and with ZeRO under
bf16 ``master``, the float32 weights that it steps on. Learning rate and schedule are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor, distribute_tensor

from hierarchical_reasoning.training.sharding import zero
from hierarchical_reasoning.training.sharding.tensors import check_same, named_tensors, whole, whole_shape

_STATE_NAMES = (*zero.MOMENTS, zero.STEP)


def optimizer_tensors(
    accelerator: Accelerator, model: Any, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Copies on the CPU, in the first process; nothing in the others, nor before the first step. Collective."""
    parameters = _trained(accelerator, model)
    if accelerator.distributed_type is DistributedType.DEEPSPEED:
        found = zero.optimizer_tensors(model, parameters)
    else:
        found = _tensors(optimizer, parameters)
    return {
        key: tensor.to("cpu", copy=True).contiguous() for key, tensor in found if accelerator.is_main_process
    }


def load_optimizer_tensors(
    accelerator: Accelerator,
    model: Any,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, torch.Tensor],
) -> None:
    """Take up what `optimizer_tensors` gave the first process; every process gives all of it. Collective.

    Args:
        model: prepared, with the weights of the same moment.

    Raises:
        TrainingError: they are of another model, or some are missing.
    """
    parameters = _trained(accelerator, model)
    states: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, what = key.rpartition(".")
        states.setdefault(name, {})[what] = tensor
    deepspeed = accelerator.distributed_type is DistributedType.DEEPSPEED
    # A parameter that has had no gradient yet has no state; ZeRO keeps one for it nevertheless.
    with_state = parameters if deepspeed else {n: p for n, p in parameters.items() if n in states}
    _check(with_state, tensors, zero.state_names(parameters) if deepspeed else _STATE_NAMES)
    if not states:
        return
    if deepspeed:
        zero.load_states(model, parameters, states)
    else:
        _load(optimizer, parameters, states)


def _trained(accelerator: Accelerator, model: Any) -> dict[str, torch.Tensor]:
    """Parameters that are trained; a tied one by the first of its names."""
    unique: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in named_tensors(accelerator, model).items():
        if tensor.requires_grad:
            unique.setdefault(id(tensor), (name, tensor))
    return dict(unique.values())


def _tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            yield f"{name}.{key}", whole(value)


def _check(
    parameters: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], names: Sequence[str]
) -> None:
    """Raises TrainingError unless there is every state of these parameters and no other, or nothing."""
    wanted = {
        f"{name}.{what}": torch.Size() if what == zero.STEP else whole_shape(parameter)
        for name, parameter in parameters.items()
        for what in names
    }
    check_same("optimizer's tensors", wanted if tensors else {}, tensors)


def _load(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, Mapping[str, torch.Tensor]],
) -> None:
    names = {id(parameter): name for name, parameter in parameters.items()}
    in_order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        index: {what: _placed(value, parameter) for what, value in states[names[id(parameter)]].items()}
        for index, parameter in enumerate(in_order)
        if names[id(parameter)] in states
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _placed(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Sharded as the parameter is; the step, a number, is everywhere."""
    if isinstance(parameter, DTensor) and value.ndim > 0:
        # Every process has all of it, so none needs to send.
        return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return value.clone()
