"""Reptile (Nichol, Achiam and Schulman, 2018, "On first-order meta-learning algorithms").

    p <- p + meta_lr * (mean over tasks of p_task - p),

with p_task the parameters after plain gradient descent on the task. `meta_lr` is the paper's outer step size; here it
is constant, where the paper's experiments let it fall linearly to 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from hierarchical_reasoning.training.meta.learner import (
    Batch,
    Loss,
    OuterStep,
    Parameters,
    Task,
    adapt,
    mean_loss,
)


@dataclass(frozen=True)
class Reptile:
    """A `MetaLearner`."""

    inner_lr: float
    meta_lr: float

    def step(self, parameters: Parameters, tasks: Sequence[Task[Batch]], loss: Loss[Batch]) -> OuterStep:
        adapted = [adapt(parameters, task.support, loss, lr=self.inner_lr) for task in tasks]
        before = mean_loss([parameters] * len(tasks), tasks, loss)
        after = mean_loss(adapted, tasks, loss)
        moved = {
            name: start + self.meta_lr * (sum(each[name] for each in adapted) / len(adapted) - start)
            for name, start in parameters.items()
        }
        return OuterStep(moved, before, after)

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """There is nothing to take up."""
