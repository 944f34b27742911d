"""From what all processes rolled out to the record of an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hierarchical_reasoning.results.records import NOTHING_SPENT, RoleUsage
from hierarchical_reasoning.results.trees import calibration_of
from hierarchical_reasoning.training.host import Due, Step
from hierarchical_reasoning.training.log import CalibrationBin, UpdateRecord, as_json
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.trees.metrics import TreeMetrics
from hierarchical_reasoning.values.base import Place
from hierarchical_reasoning.values.calibration import Calibration


@dataclass(frozen=True)
class Gathered:
    """What the record of an update needs to know of one process's experience; sums, so that they add up."""

    episodes: int
    errors: int
    reward: float
    correct: int
    acts: int
    """Choices of a planner, tokens of a language model, in the episodes that have a reward."""
    entropy: float
    """Over acts; of tokens, -log p of the one drawn."""
    thought_types: Mapping[str, int]
    groups: int
    groups_without_spread: int
    generation_batches: int
    usage: RoleUsage
    seconds: float
    temperature: float | None = None
    """That rollouts were drawn at; None of a planner's."""
    trees: Mapping[str, float] = field(default_factory=dict)
    """Of trees, where rollouts are grown as such."""
    metrics: TreeMetrics | None = None
    places: Sequence[tuple[Place, float]] = ()
    """Where thoughts stood, and the reward that the path came to: what values learn from."""
    foretold: Sequence[tuple[float, float]] = ()
    """What was expected of thoughts, and the reward that a path with them came to (`estimates_and_rewards`)."""


def _added(counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def update_record(due: Due, parts: Sequence[Gathered], steps: Sequence[Step], seconds: float) -> UpdateRecord:
    def total(name: str) -> float:
        return float(sum(getattr(part, name) for part in parts))

    usage = sum((part.usage for part in parts), NOTHING_SPENT)
    graded = max(1, int(total("episodes") - total("errors")))
    acts = int(total("acts"))
    everything = sum((step.sums for step in steps), Sums())
    calibration = calibration_of([pair for part in parts for pair in part.foretold])
    return UpdateRecord(
        update=due.number,
        epoch=due.epoch,
        episodes=int(total("episodes")),
        errors=int(total("errors")),
        reward=total("reward") / graded,
        accuracy=total("correct") / graded,
        steps=acts / graded,
        thought_types={
            name: int(count) for name, count in _added([part.thought_types for part in parts]).items()
        },
        entropy=total("entropy") / max(1, acts),
        kl=steps[-1].sums.mean("kl") if steps else 0.0,
        clip_share=everything.mean("clipped"),
        acting_gap=steps[0].sums.mean("gap") if steps else 0.0,
        loss=everything.mean("loss"),
        grad_norm=steps[-1].grad_norm if steps else 0.0,
        learning_rate=steps[-1].learning_rate if steps else 0.0,
        groups=int(total("groups")),
        groups_without_spread=int(total("groups_without_spread")),
        generation_batches=max(part.generation_batches for part in parts),
        trained_tokens=everything.tokens,
        rollout_seconds=round(max(part.seconds for part in parts), 2),
        update_seconds=round(seconds, 2),
        calls=usage.calls - usage.from_cache,
        cost_usd=usage.cost_usd,
        trees=_added([part.trees for part in parts]),
        metrics=_metrics(parts) | ({} if calibration is None else _calibrated(calibration)),
        calibration=[] if calibration is None else _bins(calibration),
        temperature=parts[0].temperature,
    )


def _metrics(parts: Sequence[Gathered]) -> dict[str, float]:
    found = [part.metrics for part in parts if part.metrics is not None]
    return sum(found, TreeMetrics()).figures() if found else {}


def _calibrated(calibration: Calibration) -> dict[str, float]:
    return {"ece": calibration.ece, "brier": calibration.brier, "estimates": float(calibration.n)}


def _bins(calibration: Calibration) -> list[CalibrationBin]:
    return [
        CalibrationBin(low=found.low, n=found.n, predicted=found.predicted, observed=found.observed)
        for found in calibration.bins
        if found.predicted is not None and found.observed is not None
    ]


def figures(record: UpdateRecord) -> dict[str, float]:
    """What trackers draw."""
    values = {name: float(value) for name, value in as_json(record).items() if isinstance(value, int | float)}
    of_trees = {f"trees/{name}": value for name, value in record.metrics.items()}
    return {name: value for name, value in values.items() if name != "update"} | of_trees
