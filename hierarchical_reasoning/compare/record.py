"""What a study found, as it is written down: the arms, and what they show beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hierarchical_reasoning.compare.arms import vanilla_of
from hierarchical_reasoning.compare.matching import Matched
from hierarchical_reasoning.compare.plan import ArmPlan, Kind, Record, StudyPlan, StudyProblem
from hierarchical_reasoning.compare.statistics import (
    ArmOutcomes,
    Family,
    ProblemFacts,
    Settings,
    StudyOutcomes,
    StudyStatistics,
    sentence,
    study_statistics,
)

LEVELS = "levels"
OTHERS = "other arms"
MATCHED = "compute-matched comparisons"
TWINS = "compute-matched baselines"


class ArmInfo(Record):
    """An arm, for who reads what was found."""

    name: str
    label: str
    """What sentences call it."""
    kind: Kind
    level: int | None
    """Of the taxonomy, where the arm takes thought types from one."""
    votes: int
    run: str
    """The arm whose samples these are."""
    baseline: str | None
    """The arm that it is compared with; None for the study's baseline itself."""
    twin: str | None
    """The arm that takes about as much without the taxonomy."""
    is_twin: bool
    """Nobody asked for it; it is the twin of another."""
    settings: dict[str, Any]
    """Of `RunConfig`: all of them."""


class StudyRecord(Record):
    """The content of ``comparison.json``."""

    version: int = 1
    arms: tuple[ArmInfo, ...]
    baseline: str
    matched: Matched
    owed: int
    """Entries that arms do not have yet."""
    waiting: tuple[str, ...]
    """Arms whose matched baselines are chosen when they are complete."""
    cautions: tuple[str, ...] = ()
    """Without which the results of an arm mislead."""
    statistics: StudyStatistics
    sentences: tuple[str, ...]
    """One for each comparison, in their order."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is owed."""
        return not self.owed and not self.waiting

    def arm(self, name: str) -> ArmInfo:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)


def study_record(
    plan: StudyPlan,
    arms: Sequence[ArmPlan],
    problems: Sequence[StudyProblem],
    matched: Matched,
    outcomes: Sequence[ArmOutcomes],
    waiting: tuple[str, ...] = (),
    cautions: tuple[str, ...] = (),
) -> StudyRecord:
    """What the outcomes show.

    Args:
        arms: all of them, twins included.
        outcomes: of the arms, in the same order.
        waiting: arms whose twins are not chosen yet.
        cautions: without which the results of an arm mislead.
    """
    infos = tuple(_info(plan, arms, arm, matched) for arm in arms)
    facts = {
        problem.id: ProblemFacts(
            problem.category,
            float(problem.difficulty) if isinstance(problem.difficulty, int) else problem.difficulty,
        )
        for problem in problems
    }
    study = StudyOutcomes(facts, tuple(outcomes))
    statistics = study_statistics(study, families(infos), Settings(seed=plan.common.seed))
    return StudyRecord(
        arms=infos,
        baseline=plan.baseline,
        matched=matched,
        owed=sum(arm.missing - arm.ungraded for arm in statistics.arms),
        waiting=waiting,
        cautions=cautions,
        statistics=statistics,
        sentences=tuple(sentence(one, statistics.alpha) for one in statistics.comparisons),
    )


def families(arms: Sequence[ArmInfo]) -> tuple[Family, ...]:
    """What is compared, as declared by which arms there are: the levels with their baselines, the other arms with
    theirs, every arm with its twin, and the twins with vanilla, which tells what tokens alone bring."""
    matched = {arm.twin for arm in arms if arm.twin is not None and arm.twin != arm.baseline}
    pairs: dict[str, list[tuple[str, str]]] = {LEVELS: [], OTHERS: [], MATCHED: [], TWINS: []}
    for arm in arms:
        if arm.baseline is None:
            continue
        of_levels = LEVELS if arm.kind == "level" else OTHERS
        pairs[TWINS if arm.name in matched else of_levels].append((arm.name, arm.baseline))
        if arm.twin in matched:
            pairs[MATCHED].append((arm.name, arm.twin))
    return tuple(Family(noun, tuple(of_family)) for noun, of_family in pairs.items() if of_family)


def _info(plan: StudyPlan, arms: Sequence[ArmPlan], arm: ArmPlan, matched: Matched) -> ArmInfo:
    config = plan.config(arm)
    asked = {one.name for one in plan.arms}
    typed = not config.vanilla_baseline and config.planner != "untyped"
    return ArmInfo(
        name=arm.name,
        label=plan.label(arm),
        kind=plan.kind(arm),
        level=config.label_level if typed else None,
        votes=arm.votes,
        run=arm.run,
        baseline=_baseline(plan, arms, arm),
        twin=matched.twin(arm.name),
        is_twin=arm.name not in asked,
        settings=config.model_copy(update={"samples": plan.samples}).model_dump(mode="json"),
    )


def _baseline(plan: StudyPlan, arms: Sequence[ArmPlan], arm: ArmPlan) -> str | None:
    """The study's; where that is a vanilla one, the vanilla one of the same model, if there is any."""
    if arm.name == plan.baseline:
        return None
    if plan.kind(plan.arm(plan.baseline)) != "vanilla":
        return plan.baseline
    own = vanilla_of(arm, arms)
    return plan.baseline if own is None or own.name == arm.name else own.name
