"""Who holds the weights in training and steps the optimizer, as the run knows it: by a protocol alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

from hierarchical_reasoning.errors import ReasoningError
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.sums import Sums
from llm_backends import BackendError

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Due:
    """An update that is to be made."""

    number: int
    epoch: int
    problems: tuple[int, ...]
    """By index, over all processes."""


@dataclass(frozen=True)
class Step:
    """One step of the optimizer, over all processes."""

    sums: Sums
    grad_norm: float
    learning_rate: float


class Host(Protocol):
    """One process of several."""

    @property
    def rank(self) -> int: ...

    @property
    def processes(self) -> int: ...

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Those of the whole model, adapters merged, named as its `state_dict()` names them. Collective."""

    def adapter(self) -> dict[str, torch.Tensor]:
        """The weights of adapters alone; empty where there are none. Collective."""

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """The state of the optimizer, on the first process. Collective."""

    def gather(self, items: Sequence[_Item]) -> list[_Item]:
        """Those of all processes, in their order. Collective."""

    def wait(self) -> None:
        """Until all processes are here. Collective."""

    def report(self, figures: Mapping[str, float], update: int) -> None:
        """Tell the trackers."""


@contextmanager
def failing_together(host: Host) -> Iterator[None]:
    """An error of one process in the block ends all of them, each with a message. Collective."""
    error: Exception | None = None
    try:
        yield
    except (ReasoningError, BackendError) as found:
        error = found
    said = host.gather([] if error is None else [f"{type(error).__name__}: {error}"])
    if error is not None:
        raise error
    if said:
        raise TrainingError(f"another process cannot go on: {said[0]}")
