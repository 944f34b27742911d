"""What meta-learners share: parameters as a mapping, tasks, and the inner steps that adapt to one.

Pure functions of tensors: a loss is any callable of parameters and a batch, such as one that calls a module by
`torch.func.functional_call`. Nothing here draws at random, so equal batches give equal results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import torch

from hierarchical_reasoning.training.errors import DivergedError

Batch = TypeVar("Batch")
Parameters: TypeAlias = Mapping[str, torch.Tensor]
"""By name; what is trained, and nothing else."""
Loss: TypeAlias = Callable[[Parameters, Batch], torch.Tensor]
"""A scalar, differentiable in the parameters."""


@dataclass(frozen=True)
class Task(Generic[Batch]):
    """One family, as an outer step meets it."""

    support: Sequence[Batch]
    """A batch for each inner step."""
    query: Batch
    """What the adapted parameters are measured by; none of it is in `support`."""


@dataclass(frozen=True)
class OuterStep:
    """What came of an outer step; losses are means over its tasks."""

    parameters: Parameters
    before: float
    """Loss on the query batches by the parameters as they were."""
    after: float
    """By the adapted ones."""


class MetaLearner(Protocol):
    """Turns what adaptation to tasks found into a better start."""

    def step(self, parameters: Parameters, tasks: Sequence[Task[Batch]], loss: Loss[Batch]) -> OuterStep:
        """One outer step. Parameters are detached, given and returned alike.

        Raises:
            DivergedError: a loss is not a finite number.
        """

    def state(self) -> dict[str, torch.Tensor]:
        """What later steps depend on besides parameters."""

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state` gave."""


def adapt(
    parameters: Parameters,
    batches: Sequence[Batch],
    loss: Loss[Batch],
    *,
    lr: float,
    create_graph: bool = False,
) -> Parameters:
    """Gradient descent, a step a batch: p <- p - lr * grad L(p).

    Args:
        parameters: where it begins; they are left as they are.
        batches: in this order.
        loss: of one batch.
        lr: the inner learning rate.
        create_graph: whether the result is differentiable in `parameters`, which then need `requires_grad`; otherwise
            it is detached.
    """
    adapted = dict(parameters)
    if not create_graph:
        adapted = leaves(adapted)
    for batch in batches:
        found = gradients(loss(adapted, batch), adapted, create_graph=create_graph)
        adapted = {name: tensor - lr * found[name] for name, tensor in adapted.items()}
        if not create_graph:
            adapted = leaves(adapted)
    return adapted if create_graph else {name: tensor.detach() for name, tensor in adapted.items()}


def gradients(
    value: torch.Tensor, parameters: Parameters, *, create_graph: bool = False
) -> dict[str, torch.Tensor]:
    """Of a scalar in each parameter; 0 where it does not depend on it."""
    found = torch.autograd.grad(
        value, list(parameters.values()), create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return dict(zip(parameters, found, strict=True))


def leaves(parameters: Parameters) -> dict[str, torch.Tensor]:
    """The same numbers as the beginning of a new graph."""
    return {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}


def mean_loss(adapted: Sequence[Parameters], tasks: Sequence[Task[Batch]], loss: Loss[Batch]) -> float:
    """On the query batches, each by the parameters adapted to its task. Raises DivergedError."""
    with torch.no_grad():
        found = [float(loss(own, task.query)) for own, task in zip(adapted, tasks, strict=True)]
    return finite(sum(found) / len(found))


def finite(value: float) -> float:
    """Raises DivergedError where it is not."""
    if not math.isfinite(value):
        raise DivergedError(
            f"the loss of a query batch is {value}: the inner steps diverge; lower --inner_lr or --n_inner_steps"
        )
    return value
