"""Adam on parameters in a mapping (Kingma and Ba, 2015), with a state of plain tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from hierarchical_reasoning.training.meta.learner import Parameters

_STEPS = "steps"


class AdamSteps:
    """Betas 0.9 and 0.999, epsilon 1e-8, no weight decay: `torch.optim.Adam` as it is by default."""

    def __init__(self, lr: float) -> None:
        self._lr = lr
        self._state: dict[str, torch.Tensor] = {}

    def step(self, parameters: Parameters, gradients: Mapping[str, torch.Tensor]) -> Parameters:
        """The parameters after one step; those given are left as they are."""
        moved = {name: tensor.detach().clone() for name, tensor in parameters.items()}
        optimizer = torch.optim.Adam(list(moved.values()), lr=self._lr)
        if self._state:
            for name, tensor in moved.items():
                optimizer.state[tensor] = {
                    "step": self._state[_STEPS].clone(),
                    "exp_avg": self._state[f"exp_avg.{name}"].clone(),
                    "exp_avg_sq": self._state[f"exp_avg_sq.{name}"].clone(),
                }
        for name, tensor in moved.items():
            tensor.grad = gradients[name]
        optimizer.step()
        for name, tensor in moved.items():
            own = optimizer.state[tensor]
            self._state |= {_STEPS: own["step"]} | {
                f"{part}.{name}": own[part] for part in ("exp_avg", "exp_avg_sq")
            }
            tensor.grad = None
        return moved

    def state(self) -> dict[str, torch.Tensor]:
        """Empty before the first step."""
        return dict(self._state)

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state` gave."""
        self._state = dict(state)
