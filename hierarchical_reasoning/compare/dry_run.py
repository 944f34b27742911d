"""What a study would take at most, arm by arm, before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hierarchical_reasoning.compare.arms import vanilla_of
from hierarchical_reasoning.compare.matching import needs_twin
from hierarchical_reasoning.compare.plan import ArmPlan, StudyPlan, Unit
from hierarchical_reasoning.dry_run import Estimate, estimate
from hierarchical_reasoning.results.records import NOTHING_SPENT, RoleUsage


@dataclass(frozen=True)
class ArmEstimate:
    """What an arm takes at most."""

    name: str
    usage: RoleUsage
    """Of all roles and samples; of an arm that chooses among samples, of those that no other arm has made."""


@dataclass(frozen=True)
class StudyEstimate:
    """What all arms take at most."""

    problems: int
    arms: tuple[ArmEstimate, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> RoleUsage:
        """Of all arms."""
        total = NOTHING_SPENT
        for arm in self.arms:
            total = total + arm.usage
        return total


async def estimate_study(plan: StudyPlan, arms: Sequence[ArmPlan] | None = None) -> StudyEstimate:
    """Count calls, tokens and cost.

    Args:
        arms: those to count; None: all of the plan.

    Raises:
        UsageError, TaxonomyError, BackendError: as `assemble`.
    """
    counted = plan.arms if arms is None else arms
    found: list[ArmEstimate] = []
    notes: dict[str, None] = {}
    estimates: dict[str, Estimate] = {}
    made: dict[str, int] = {}
    n = 0
    for arm in sorted(counted, key=lambda one: one.votes):
        runs = plan.arm(arm.run)
        if arm.run not in estimates:
            estimates[arm.run] = await estimate(plan.config(runs), samples=1)
            notes |= dict.fromkeys(estimates[arm.run].notes)
            n = estimates[arm.run].n_problems
        wanted, samples_of = plan.samples * arm.votes, _samples_of(plan, arm)
        new = max(0, wanted - made.get(samples_of, 0))
        made[samples_of] = max(wanted, made.get(samples_of, 0))
        found.append(ArmEstimate(arm.name, _times(estimates[arm.run].total or NOTHING_SPENT, new)))
    twins = await _twins(plan, counted, estimates, made)
    ordered = {one.name: one for one in found}
    if twins:
        notes["the matched baselines are those of arms that take as much as they may; most take far less"] = (
            None
        )
    return StudyEstimate(n, (*(ordered[arm.name] for arm in counted), *twins), tuple(notes))


def _samples_of(plan: StudyPlan, arm: ArmPlan) -> str:
    """The arm that makes the samples, or whose replies the cache has for them."""
    config = plan.config(arm)
    vanilla = vanilla_of(arm, plan.arms) if config.vanilla_baseline and not config.no_cache else None
    return arm.run if vanilla is None else vanilla.name


async def _twins(
    plan: StudyPlan, arms: Sequence[ArmPlan], estimates: dict[str, Estimate], made: dict[str, int]
) -> list[ArmEstimate]:
    """What the matched baselines take besides, for each vanilla arm as many samples as the dearest arm needs."""
    needed: dict[str, int] = {}
    for arm in arms:
        vanilla = vanilla_of(arm, plan.arms)
        if not needs_twin(plan, arm) or vanilla is None:
            continue
        if vanilla.name not in estimates:
            estimates[vanilla.name] = await estimate(plan.config(vanilla), samples=1)
        ours = arm.votes * _spent(estimates[arm.name].total, plan.matched_by)
        theirs = _spent(estimates[vanilla.name].total, plan.matched_by)
        votes = min(plan.most_votes, math.ceil(ours / theirs)) if theirs else 1
        needed[vanilla.name] = max(needed.get(vanilla.name, 0), plan.samples * votes)
    found = []
    for name, samples in needed.items():
        new = max(0, samples - made.get(name, 0))
        if new:
            usage = _times(estimates[name].total or NOTHING_SPENT, new)
            found.append(ArmEstimate(f"twins: up to {samples} samples of {name}", usage))
    return found


def _spent(used: RoleUsage | None, unit: Unit) -> int:
    if used is None:
        return 0
    return used.completion_tokens if unit == "completion" else used.prompt_tokens + used.completion_tokens


def _times(used: RoleUsage, n: int) -> RoleUsage:
    def cost(one: float | None) -> float | None:
        return None if one is None else one * n

    return RoleUsage(
        calls=used.calls * n,
        prompt_tokens=used.prompt_tokens * n,
        cached_tokens=used.cached_tokens * n,
        completion_tokens=used.completion_tokens * n,
        reasoning_tokens=used.reasoning_tokens * n,
        cost_usd=cost(used.cost_usd),
        cost_from_cache_usd=cost(used.cost_from_cache_usd),
    )
