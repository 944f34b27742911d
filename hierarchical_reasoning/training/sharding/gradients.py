"""One gradient from several forward passes on several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType


@contextmanager
def one_pass(accelerator: Accelerator, model: Any, *, last: bool) -> Iterator[Callable[[torch.Tensor], None]]:
    """For one forward pass and its ``backward(loss)``, both inside; what it yields is that function.

    After the last pass the gradient is that of the *sum* of all losses, over passes and processes. Every process makes
    the same number of passes, each through the whole of the prepared model: one that is short of work takes any lesson
    with a loss of 0. Gradients are exchanged in the last pass alone, except with ZeRO 2 and 3, which do so in each.

    With DeepSpeed the last ``backward`` clips the gradient and steps too: the optimizer's own ``step`` does nothing.

    Args:
        model: as `Accelerator.prepare` returned it.
        last: whether it is the last pass before a step.
    """
    deepspeed = accelerator.distributed_type is DistributedType.DEEPSPEED
    if deepspeed:
        model.set_gradient_accumulation_boundary(is_boundary=last)

    def backward(loss: torch.Tensor) -> None:
        # All of them average over processes.
        total = loss * accelerator.num_processes
        if deepspeed:
            accelerator.deepspeed_engine_wrapped.backward(total, sync_gradients=last, scale_wrt_gas=False)
        else:
            accelerator.backward(total)

    with nullcontext() if last or deepspeed else accelerator.no_sync(model):
        yield backward
