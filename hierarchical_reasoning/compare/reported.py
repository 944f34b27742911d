"""From a study to what its report tells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from hierarchical_reasoning.compare.report import ReportedArm, ReportedProblem, ReportedStudy
from hierarchical_reasoning.compare.summary import footnotes
from hierarchical_reasoning.wording import counted
from taxonomy import Taxonomy, load_taxonomy

if TYPE_CHECKING:
    from hierarchical_reasoning.compare.record import ArmInfo
    from hierarchical_reasoning.compare.study import Study

_SHOWN = (
    "model_name",
    "llm_framework",
    "input_file",
    "n_rows",
    "category",
    "samples",
    "seed",
    "temperature",
    "prompt_style",
    "max_reasoning_steps",
    "planner",
    "tree_model_path",
)


def reported(study: Study) -> ReportedStudy:
    """The study as its report has it."""
    return ReportedStudy(
        title=f"{counted(len(study.arms), 'arm')} on {counted(len(study.problems), 'problem')}",
        problems=tuple(ReportedProblem(one.id, one.category, one.difficulty) for one in study.problems),
        arms=tuple(_arm(study, arm) for arm in study.arms if study.files.results(arm.name).exists()),
        statistics=study.record.statistics,
        taxonomy=_taxonomy(study),
        settings=_told(study.plan.settings, _SHOWN),
        notes=tuple(footnotes(study.record)),
    )


def _arm(study: Study, arm: ArmInfo) -> ReportedArm:
    own = {} if arm.is_twin else study.plan.arm(arm.name).settings
    told = _told(own, tuple(own))
    return ReportedArm(
        arm.name,
        partial(study.entries, arm.name),
        label=arm.label,
        level=arm.level if arm.kind == "level" else None,
        settings=told
        if arm.votes == 1
        else {**told, "best_of" if arm.kind == "best" else "votes": str(arm.votes)},
    )


def _told(settings: Mapping[str, object], names: tuple[str, ...]) -> dict[str, str]:
    return {name: str(settings[name]) for name in names if settings.get(name) is not None}


def _taxonomy(study: Study) -> Taxonomy | None:
    typed = any(arm.level is not None for arm in study.arms)
    return load_taxonomy(study.plan.common.tree_model_path) if typed else None
