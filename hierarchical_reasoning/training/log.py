"""What a training run writes down as it goes: a line of JSON an event, appended."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from hierarchical_reasoning.errors import OutputError
from taxonomy.atomic import write_atomically

LOG_NAME = "log.jsonl"
SETTINGS_NAME = "settings.json"
"""Both in ``--output_dir``."""
Mode = Literal["greedy", "sampled"]
START = "(start)"
"""Where a trace begins, in transitions."""


class CalibrationBin(TypedDict):
    """As `values.calibration.Bin`, with a mean of each in it."""

    low: Annotated[float, Field(ge=0, le=1)]
    n: Annotated[int, Field(ge=1)]
    predicted: Annotated[float, Field(ge=0, le=1)]
    observed: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class UpdateRecord:
    """One batch of episodes and what was learned from it."""

    update: int
    epoch: int
    episodes: int
    """All that were rolled out, those that were replaced included."""
    errors: int
    """Episodes in which a call failed; they are in no mean below."""
    reward: float
    accuracy: float
    steps: float
    """Choices an episode; tokens, where a language model is trained."""
    thought_types: dict[str, int]
    """How often each option was chosen, "Finish thinking" included."""
    entropy: float
    """Of a choice, over the options; nats, at temperature 1. Of a language model, the mean -log p of the tokens drawn,
    which has that of the vocabulary as its mean where temperature is 1 and nothing is cut off."""
    kl: float
    """KL(old || new) of a choice, or KL(reference || new), in the last iteration, before its step. Of a language model,
    KL(new || reference), estimated by k3; 0 where the loss has none."""
    clip_share: float
    """Share of choices, or tokens, that were clipped, over all iterations."""
    acting_gap: float
    """Mean |log pi| of what was drawn, as trained less as acted, before the first step: what numerics differ by."""
    loss: float
    """Mean over iterations."""
    grad_norm: float
    """Before clipping, in the last iteration."""
    learning_rate: float
    """In the last iteration."""
    groups: int
    """Problems rolled out, those that were replaced included."""
    groups_without_spread: int
    """Of these, those whose rewards are all equal: they teach nothing."""
    generation_batches: int
    """1, and one more for each time that groups without spread were replaced."""
    trained_tokens: int
    """In forward and backward passes, over all iterations, without padding."""
    rollout_seconds: float
    update_seconds: float
    calls: int = 0
    """To the reasoner and the judge; what a cache answered is not among them."""
    cost_usd: float | None = None
    """Of these calls; None where a price is not known."""
    trees: dict[str, float] = field(default_factory=dict)
    """Sums over the trees that were grown, where rollouts are trees."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the trees that were grown: `TreeMetrics.figures`. Where a value head told values of thoughts, also ``ece`` and
    ``brier`` of these, and ``estimates``, how many there were."""
    calibration: list[CalibrationBin] = field(default_factory=list)
    """Of these values: the bins that are not empty."""
    notes: list[str] = field(default_factory=list)
    """What was done otherwise than asked; each thing once, where it was first done since the command began."""
    temperature: float | None = None
    """That rollouts were drawn at, before it was adapted to single tokens; None of a planner's."""
    peak_memory_bytes: int | None = None
    """Of the process that has held most so far; None in logs of earlier versions."""
    peak_gpu_memory_bytes: int | None = None
    """The most that PyTorch has held on GPUs so far, of the process that held most; None where it uses none."""
    kind: Literal["update"] = "update"


@dataclass(frozen=True)
class EvaluationRecord:
    """The planner on held-out problems, one attempt each."""

    update: int
    """After which it was made; 0: before training."""
    mode: Mode
    correct: int
    n: int
    errors: int
    """Counted as not solved."""
    steps: float
    transitions: dict[str, dict[str, int]]
    """How often an option followed another; the first follows `START`."""
    seconds: float
    notes: list[str] = field(default_factory=list)
    """As an update's."""
    kind: Literal["evaluation"] = "evaluation"

    @property
    def accuracy(self) -> float:
        return self.correct / self.n


Record: TypeAlias = UpdateRecord | EvaluationRecord


class JsonLines:
    """A file that grows by JSON objects, a line each, every one with the number of its update."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Mapping[str, Any]) -> None:
        self.extend([record])

    def extend(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Raises OutputError."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_lines(records))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written ({error.strerror}); make room, then go on with --resume, or choose "
                "another --output_dir"
            ) from error

    def rewrite(self, records: Sequence[Mapping[str, Any]]) -> None:
        write_atomically(self.path, _lines(records).encode())

    def keep_until(self, update: int) -> list[dict[str, Any]]:
        """Drop what came after an update, and a line torn by a kill; returns what is kept."""
        if not self.path.exists():
            return []
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                break
            if record["update"] <= update:
                kept.append(record)
        self.rewrite(kept)
        return kept


def as_json(record: Record) -> dict[str, Any]:
    return asdict(record)


def record_from(fields: Mapping[str, Any]) -> Record:
    """The record that `as_json` made these fields of."""
    kinds: dict[str, type[UpdateRecord] | type[EvaluationRecord]] = {
        "update": UpdateRecord,
        "evaluation": EvaluationRecord,
    }
    return kinds[fields["kind"]](**fields)


def _lines(records: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n" for record in records)
