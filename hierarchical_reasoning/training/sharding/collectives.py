"""What processes tell each other besides gradients. All of it is collective, and plain where there is one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

T = TypeVar("T")


def any_true(accelerator: Accelerator, flag: bool) -> bool:
    """Whether the flag is up in any process."""
    return sum_across(accelerator, [float(flag)])[0] > 0


def sum_across(accelerator: Accelerator, numbers: Sequence[float]) -> list[float]:
    """Each number summed over the processes, in float64: counts stay exact."""
    summed: torch.Tensor = accelerator.reduce(
        torch.tensor(numbers, dtype=torch.float64, device=accelerator.device), reduction="sum"
    )
    return summed.tolist()


def gather_objects(accelerator: Accelerator, items: Sequence[T]) -> list[T]:
    """The items of all processes, in the order of the processes."""
    if accelerator.num_processes == 1:
        return list(items)
    gathered: list[T] = gather_object(list(items))
    return gathered
