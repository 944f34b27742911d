"""Who holds the weights where nothing is trained: the model as it was loaded is measured, and that is all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from hierarchical_reasoning.training.learner import Learner

_Item = TypeVar("_Item")


class MeasuringHost:
    """A `Host` without an optimizer; trackers, which are the trainer's, are told nothing."""

    def __init__(self, learner: Learner[Any, Any]) -> None:
        self._module = learner.module
        self._state = PartialState()

    @property
    def rank(self) -> int:
        return int(self._state.process_index)

    @property
    def processes(self) -> int:
        return int(self._state.num_processes)

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        return iter(self._module.state_dict().items())

    def adapter(self) -> dict[str, torch.Tensor]:
        return {}

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        return {}

    def gather(self, items: Sequence[_Item]) -> list[_Item]:
        if self.processes == 1:
            return list(items)
        gathered: list[_Item] = gather_object(list(items))
        return gathered

    def wait(self) -> None:
        self._state.wait_for_everyone()

    def report(self, figures: Mapping[str, float], update: int) -> None:
        """The log has them."""
