"""MAML (Finn, Abbeel and Levine, 2017, "Model-agnostic meta-learning for fast adaptation of deep networks").

    p <- Adam(p, gradient in p of mean over tasks of L_query(p_task(p))),

with p_task(p) the parameters after plain gradient descent on the task. The gradient goes through these steps, and so
has second derivatives of the support losses. First order, as in the paper's section 5.2, takes p_task's derivative for
the identity: the gradient at p_task is applied to p.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from hierarchical_reasoning.training.meta.adam import AdamSteps
from hierarchical_reasoning.training.meta.learner import (
    Batch,
    Loss,
    OuterStep,
    Parameters,
    Task,
    adapt,
    finite,
    gradients,
    leaves,
    mean_loss,
)


class Maml:
    """A `MetaLearner`."""

    def __init__(self, *, inner_lr: float, outer_lr: float, first_order: bool = False) -> None:
        self._inner_lr = inner_lr
        self._first_order = first_order
        self._adam = AdamSteps(outer_lr)

    def step(self, parameters: Parameters, tasks: Sequence[Task[Batch]], loss: Loss[Batch]) -> OuterStep:
        before = mean_loss([parameters] * len(tasks), tasks, loss)
        total = {name: torch.zeros_like(tensor) for name, tensor in parameters.items()}
        after = 0.0
        for task in tasks:  # one graph at a time
            value, found = self._outer_gradient(parameters, task, loss)
            after += value / len(tasks)
            for name, tensor in found.items():
                total[name] += tensor / len(tasks)
        return OuterStep(self._adam.step(parameters, total), before, finite(after))

    def state(self) -> dict[str, torch.Tensor]:
        return self._adam.state()

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        self._adam.load(state)

    def _outer_gradient(
        self, parameters: Parameters, task: Task[Batch], loss: Loss[Batch]
    ) -> tuple[float, dict[str, torch.Tensor]]:
        """The query loss after adaptation, and its gradient in the parameters before it."""
        start = leaves(parameters)
        if self._first_order:
            at: Parameters = leaves(adapt(start, task.support, loss, lr=self._inner_lr))
            value = loss(at, task.query)
            return float(value.detach()), gradients(value, at)
        adapted = adapt(start, task.support, loss, lr=self._inner_lr, create_graph=True)
        value = loss(adapted, task.query)
        return float(value.detach()), gradients(value, start)
