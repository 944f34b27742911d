"""The statistics of a whole study: every arm by itself, and every comparison that was declared."""

from __future__ import annotations

from collections.abc import Sequence

from hierarchical_reasoning.compare.statistics.comparison import compare_family
from hierarchical_reasoning.compare.statistics.declared import Family, Settings
from hierarchical_reasoning.compare.statistics.inputs import ArmOutcomes, StudyOutcomes
from hierarchical_reasoning.compare.statistics.measured import measured_mean
from hierarchical_reasoning.compare.statistics.records import ArmRecord, StudyStatistics
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.tally import Tally


def study_statistics(
    study: StudyOutcomes, families: Sequence[Family], settings: Settings | None = None
) -> StudyStatistics:
    """All of it. Raises ConfigError where a family names an arm that the study has not."""
    settings = settings or Settings()
    compared = [compare_family(study, family, settings) for family in families]
    return StudyStatistics(
        problems=len(study.problems),
        alpha=settings.alpha,
        power=settings.power,
        seed=settings.seed,
        arms=tuple(arm_record(arm, len(study.problems), seed=settings.seed) for arm in study.arms),
        comparisons=tuple(one for of_family in compared for one in of_family),
    )


def arm_record(arm: ArmOutcomes, n_problems: int, *, seed: int) -> ArmRecord:
    """One arm by itself: of the study's `n_problems`, those that it has."""
    tally = Tally(seed)
    for problem_id, solved in arm.problems.items():
        for sample, outcome in enumerate(solved.outcomes):
            if outcome is not None:
                tally.add_outcome(problem_id, outcome, has_truth=True, sample=sample)
    samples = max((len(solved.outcomes) for solved in arm.problems.values()), default=1)
    begun = [
        solved for solved in arm.problems.values() if any(outcome is not None for outcome in solved.outcomes)
    ]
    costs = [solved.cost_usd for solved in begun if solved.cost_usd is not None]
    return ArmRecord(
        name=arm.name,
        label=arm.called,
        twin=arm.twin,
        problems=tally.n_problems,
        samples=samples,
        accuracy=tally.accuracy,
        accuracy_completed=tally.accuracy_completed,
        errors=tally.outcomes[Outcome.ERROR],
        missing=n_problems * samples - tally.n,
        ungraded=arm.ungraded,
        tokens=measured_mean([solved.tokens for solved in begun], seed=seed),
        cost_usd=measured_mean(costs, seed=seed) if len(costs) == len(begun) else None,
    )
