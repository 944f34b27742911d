"""Training spread over processes: one process, DDP, FSDP2 and DeepSpeed ZeRO 1, 2, 3, each with LoRA or without, seen
as one.

*Collective* in a docstring: every process calls it, in the same order. Left out on purpose: FSDP1, fp16, DataParallel,
and models split by tensor, context or pipeline.
"""

from hierarchical_reasoning.training.sharding.collectives import any_true, gather_objects, sum_across
from hierarchical_reasoning.training.sharding.gradients import one_pass
from hierarchical_reasoning.training.sharding.launch import Launch, check_launch, use_one_device
from hierarchical_reasoning.training.sharding.loading import whole_models
from hierarchical_reasoning.training.sharding.optimizer_state import load_optimizer_tensors, optimizer_tensors
from hierarchical_reasoning.training.sharding.supported import check_sharding
from hierarchical_reasoning.training.sharding.weights import (
    adapter_weights,
    full_weights,
    load_adapter_weights,
)

__all__ = [
    "Launch",
    "adapter_weights",
    "any_true",
    "check_launch",
    "check_sharding",
    "full_weights",
    "gather_objects",
    "load_adapter_weights",
    "load_optimizer_tensors",
    "one_pass",
    "optimizer_tensors",
    "sum_across",
    "use_one_device",
    "whole_models",
]
