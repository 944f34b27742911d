"""From the experience of all processes to the record of an update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import NOTHING_SPENT, RoleUsage
from hierarchical_reasoning.training.experience import Experience
from hierarchical_reasoning.training.host import Due, Step
from hierarchical_reasoning.training.log import UpdateRecord, as_json
from hierarchical_reasoning.training.objectives import entropy
from hierarchical_reasoning.training.update import Totals


@dataclass(frozen=True)
class Part:
    """What the record of an update needs to know of one process's experience."""

    episodes: int
    errors: int
    reward: float
    correct: int
    choices: int
    entropy: float
    thought_types: dict[str, int]
    groups: int
    groups_without_spread: int
    generation_batches: int
    usage: RoleUsage
    seconds: float

    @classmethod
    def of(cls, experience: Experience) -> Part:
        graded = [episode for episode in experience.episodes if episode.reward is not None]
        choices = [choice for episode in graded for choice in episode.choices]
        counts: dict[str, int] = {}
        for choice in choices:
            counts[choice.name] = counts.get(choice.name, 0) + 1
        log_probs_CO = torch.tensor([choice.old_log_probs for choice in choices], dtype=torch.float64)
        return cls(
            episodes=len(experience.episodes),
            errors=len(experience.episodes) - len(graded),
            reward=sum(episode.reward or 0.0 for episode in graded),
            correct=sum(episode.outcome is Outcome.CORRECT for episode in graded),
            choices=len(choices),
            entropy=float(entropy(log_probs_CO).sum()) if choices else 0.0,
            thought_types=counts,
            groups=experience.groups,
            groups_without_spread=experience.groups_without_spread,
            generation_batches=experience.generation_batches,
            usage=_paid_for(experience),
            seconds=experience.seconds,
        )


def _paid_for(experience: Experience) -> RoleUsage:
    """What all models but the planner took."""
    usages = (
        usage for batch in experience.collected for role, usage in batch.usage.items() if role != "planner"
    )
    return sum(usages, NOTHING_SPENT)


def update_record(due: Due, parts: Sequence[Part], steps: Sequence[Step], seconds: float) -> UpdateRecord:
    def total(name: str) -> float:
        return float(sum(getattr(part, name) for part in parts))

    usage = sum((part.usage for part in parts), NOTHING_SPENT)
    graded = max(1, int(total("episodes") - total("errors")))
    choices = int(total("choices"))
    thought_types: dict[str, int] = {}
    for part in parts:
        for name, count in part.thought_types.items():
            thought_types[name] = thought_types.get(name, 0) + count
    everything = sum((step.totals for step in steps), Totals())
    return UpdateRecord(
        update=due.number,
        epoch=due.epoch,
        episodes=int(total("episodes")),
        errors=int(total("errors")),
        reward=total("reward") / graded,
        accuracy=total("correct") / graded,
        steps=choices / graded,
        thought_types=thought_types,
        entropy=total("entropy") / max(1, choices),
        kl=steps[-1].totals.mean("kl") if steps else 0.0,
        clip_share=everything.mean("clipped"),
        acting_gap=steps[0].totals.mean("gap") if steps else 0.0,
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
    )


def figures(record: UpdateRecord) -> dict[str, float]:
    """What trackers draw."""
    values = {name: float(value) for name, value in as_json(record).items() if isinstance(value, int | float)}
    return {name: value for name, value in values.items() if name != "update"}
