"""A reasoning step with what surrounds it: what every embedder is given."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from taxonomy.rollouts import Rollout


@dataclass(frozen=True)
class StepText:
    """One step of a trace."""

    text: str
    label: str | None = None
    """The step's given label; None where it is not known or must not be seen."""
    description: str | None = None
    """What the label means."""
    trace_id: str = ""
    problem: str = ""
    """The text of the problem that the trace is about; empty where it is not known."""
    place: int = 0
    """How many steps of the trace come before this one."""
    trace_length: int = 1
    """How many steps the trace has."""

    def __post_init__(self) -> None:
        if not 0 <= self.place < self.trace_length:
            raise ValueError(
                f"place is {self.place} in a trace of {self.trace_length} steps, "
                f"allowed is 0 to trace_length - 1"
            )

    @property
    def position(self) -> float:
        """Where in its trace the step stands: 0 the first, 1 the last, 0 if it is the only one."""
        return self.place / max(1, self.trace_length - 1)

    @property
    def meaning(self) -> str:
        """ "label: description" of a labeled step, its text of any other."""
        if self.label is None:
            return self.text
        return f"{self.label}: {self.description}" if self.description else self.label


def steps_of(rollouts: Iterable[Rollout], *, with_labels: bool = True) -> Iterator[StepText]:
    """Every chunk of every rollout, in order.

    Args:
        with_labels: False leaves out given labels and descriptions, so that no embedder can see them.
    """
    for rollout in rollouts:
        for place, chunk in enumerate(rollout.chunks):
            yield StepText(
                text=chunk.text,
                label=chunk.label if with_labels else None,
                description=chunk.description if with_labels else None,
                trace_id=rollout.id,
                problem=rollout.problem,
                place=place,
                trace_length=len(rollout.chunks),
            )
