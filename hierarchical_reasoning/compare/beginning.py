"""Beginning a study, and adding to it: what is asked for becomes a plan, checked before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hierarchical_reasoning.assembly import Run, assemble
from hierarchical_reasoning.compare.arms import (
    VANILLA,
    arm_of,
    arms_named,
    best_named,
    check_names,
    nearest,
    with_baselines,
)
from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.compare.plan import (
    MOST_SAMPLES,
    ArmPlan,
    StudyPlan,
    StudyProblem,
    StudyProblems,
    Unit,
    best_name,
    no_study,
    read_record,
    read_study_problems,
    recorded,
    write_record,
)
from hierarchical_reasoning.compare.shared_settings import HOW_DONE
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.journal.lines import as_json
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.reasoning_parts import no_examples
from hierarchical_reasoning.search.settings import OF_VALUE_HEAD
from taxonomy import load_taxonomy

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

BUNDLED_CONCURRENCY = 128
"""Problems in flight with the bundled model, which is so small that many together take little more time than one."""
DIFFICULTY_FIELDS = ("difficulty", "level", "rating", "Rating")


@dataclass(frozen=True)
class Asked:
    """What is asked of a study, now; what is None or missing stays as it is, or is as usual."""

    arms: Sequence[str | Mapping[str, Any]] = ()
    """Names, and mappings with `name` and settings."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of `RunConfig`, for all arms."""
    baseline: str | None = None
    matched: bool | None = None
    matched_by: Unit | None = None
    most_votes: int | None = None

    @property
    def own(self) -> dict[str, Any]:
        """What is asked of the plan itself."""
        named = {
            "baseline": self.baseline,
            "matched": self.matched,
            "matched_by": self.matched_by,
            "most_votes": self.most_votes,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Begun:
    """A study that is ready to be done."""

    plan: StudyPlan
    notes: tuple[str, ...]
    """What the user should know."""
    added: tuple[str, ...]
    """Arms that the study did not have before."""


def begin(files: StudyFiles, asked: Asked) -> Begun:
    """Write down what the study is; where it was begun before, what it is now.

    Raises:
        ConfigError: no arms, arms or settings that do not exist, or settings that contradict those that it has.
        UsageError, TaxonomyError, BackendError: as `assemble`, for an arm.
    """
    begun = planned(files, asked)
    added = [arm for arm in begun.plan.arms if arm.name in begun.added]
    problems, notes = _check_arms(begun.plan, added or begun.plan.arms[:1])
    with files.changing():  # nothing is made before all is found to be right
        before = read_record(files.plan, StudyPlan)
        plan = begun.plan if before is None else _grown_plan(before, asked)
        _check_problems(files, plan, problems)
        if plan != before:
            write_record(files.plan, plan)
    return Begun(plan, (*notes, *_levels_not_given(plan, added)), begun.added)


def _levels_not_given(plan: StudyPlan, arms: Sequence[ArmPlan]) -> list[str]:
    """Of arms with thought types, of which nobody said what level they are of."""
    without = [arm for arm in arms if "label_level" not in arm.settings]
    configs = [(arm.name, plan.config(arm)) for arm in without]
    return [
        f"arm {name} has thought types of level {config.label_level}, since it names none (level: N)"
        for name, config in configs
        if not config.vanilla_baseline and config.planner != "untyped"
    ]


def planned(files: StudyFiles, asked: Asked) -> Begun:
    """As `begin`, of a study that is only thought of: nothing is written down."""
    before = read_record(files.plan, StudyPlan)
    if before is None and not asked.arms:
        raise no_study(files)
    plan = _new_plan(files, asked) if before is None else _grown_plan(before, asked)
    known = () if before is None else before.arms
    return Begun(plan, (), tuple(arm.name for arm in plan.arms if arm not in known))


def _new_plan(files: StudyFiles, asked: Asked) -> StudyPlan:
    config = _config({"cache_dir": files.cache, **asked.settings})
    if config.vanilla_baseline:
        raise ConfigError("--vanilla_baseline is an arm of a study: --arms vanilla")
    arms = _arms(asked, config, matched=asked.matched is not False)
    settings = recorded(config)
    plan = StudyPlan(
        settings=settings,
        arms=tuple(arms),
        baseline=VANILLA,
        begun=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **{name: value for name, value in asked.own.items() if name != "baseline"},
    )
    names = [arm.name for arm in arms]
    usual = VANILLA if VANILLA in names else names[0]
    plan = plan.model_copy(update={"baseline": asked.baseline or usual})
    if "max_concurrency" not in asked.settings and plan.is_of_bundled_model:
        plan = plan.model_copy(update={"settings": settings | {"max_concurrency": BUNDLED_CONCURRENCY}})
    return _checked(plan)


def _heads_for_choices(plan: StudyPlan, asked: Asked) -> Asked:
    """A study keeps the value head that it was begun with; another one is that of the arms best@K which are named with
    it, unless arms that search would have it too."""
    head = {name: asked.settings[name] for name in sorted(OF_VALUE_HEAD & asked.settings.keys())}
    now = recorded(_config({"cache_dir": plan.settings["cache_dir"], **head}))
    choices = {one: n for one in asked.arms if isinstance(one, str) and (n := best_named(one)) is not None}
    searches = any(isinstance(one, Mapping) and one.get("search") for one in asked.arms)
    if not choices or searches or all(now[name] == plan.settings[name] for name in head):
        return asked
    arms = [
        {"name": best_name(choices[one]), "best_of": choices[one], "vanilla_baseline": True, **head}
        if isinstance(one, str) and one in choices
        else one
        for one in asked.arms
    ]
    settings = {name: value for name, value in asked.settings.items() if name not in head}
    return replace(asked, arms=arms, settings=settings)


def _grown_plan(plan: StudyPlan, asked: Asked) -> StudyPlan:
    asked = _heads_for_choices(plan, asked)
    settings = _checked_settings(plan, asked.settings)
    own = asked.own
    if own.get("matched_by", plan.matched_by) != plan.matched_by:
        raise ConfigError(
            f"the study was begun with another unit (--matched_by: {plan.matched_by} before, {own['matched_by']} now); "
            "leave it out, or begin another study with another --output"
        )
    common = _config(settings)
    matched = own.get("matched", plan.matched)
    wanted = _arms(asked, common, matched=matched, existing=plan.arms) if asked.arms or matched else []
    known = {arm.name: arm for arm in plan.arms}
    for arm in wanted:
        if (has := known.get(arm.name)) is not None and _told(has) != _told(arm):
            raise ConfigError(
                f"the study has another arm {arm.name}: {as_json(has.settings)} before, {as_json(arm.settings)} now; "
                "give the new one another name"
            )
    new = [arm for arm in wanted if arm.name not in known]
    changed = plan.model_copy(update={"settings": settings, "arms": (*plan.arms, *new), **own})
    return _checked(StudyPlan.model_validate(changed.model_dump()))


def _config(settings: Mapping[str, Any], arm: str | None = None) -> RunConfig:
    """Settings of all arms, or of one; raises ConfigError for what is no setting, or cannot be its value."""
    try:
        return RunConfig(**settings)
    except ValidationError as error:
        told = "; ".join(_mistake(each, arm) for each in error.errors())
        raise ConfigError(told if arm is None else f"arm {arm}: {told}") from error


def _mistake(error: ErrorDetails, arm: str | None) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"there is no setting {name!r}{nearest(name, RunConfig.model_fields)}"
    if arm is None:
        return f"--{name} {error['input']!r}: {message}"
    return f"{'level' if name == 'label_level' else name} is {error['input']!r}: {message}"


def _told(arm: ArmPlan) -> tuple[object, ...]:
    return arm.settings, arm.votes, arm.chosen_by, arm.of


def _checked_settings(plan: StudyPlan, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all arms with those that may change changed."""
    now = recorded(_config({"cache_dir": plan.settings["cache_dir"], **given}))
    differing = [name for name in given if now[name] != plan.settings[name]]
    if fixed := [name for name in differing if name not in HOW_DONE]:
        named = "; ".join(f"--{name}: {plan.settings[name]} before, {now[name]} now" for name in fixed)
        raise ConfigError(
            f"the study was begun with other settings ({named}); leave them out, or begin another study with another "
            "--output"
        )
    usual = {"retry_errors": now["retry_errors"]}  # as it is asked now, whatever was asked before
    return plan.settings | usual | {name: now[name] for name in differing}


def _arms(
    asked: Asked, common: RunConfig, *, matched: bool, existing: Sequence[ArmPlan] = ()
) -> list[ArmPlan]:
    levels = load_taxonomy(common.tree_model_path).levels
    arms: list[ArmPlan] = []
    for one in asked.arms:
        if isinstance(one, str):
            arms += arms_named([one], levels)
        else:
            arms += [_recorded(arm, common) for arm in _arms_of(one, levels)]
    check_names(arms)
    wanted = [arm for arm in existing if arm.name not in {one.name for one in arms}]
    return with_baselines(arms, matched=matched, existing=wanted)


def _recorded(arm: ArmPlan, common: RunConfig) -> ArmPlan:
    """The arm with its settings as a plan has them."""
    now = recorded(_config(common.model_dump() | arm.settings, arm.name))
    return arm.model_copy(update={"settings": {name: now[name] for name in arm.settings}})


def _arms_of(one: Mapping[str, Any], levels: Sequence[int]) -> list[ArmPlan]:
    """Of a mapping with a name; the name of an arm that has one stands for its settings too."""
    name, settings = one.get("name"), {key: value for key, value in one.items() if key != "name"}
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str):
        raise ConfigError(f"an arm has no name: {dict(one)}; give each one, as in name: uniform-3")
    if not settings:
        return arms_named([name], levels)
    return [arm_of(name, settings, levels)]


def _checked(plan: StudyPlan) -> StudyPlan:
    plan.arm(plan.baseline)
    voting = [arm for arm in plan.arms if arm.votes > 1 and plan.config(arm).temperature == 0]
    if voting:
        raise ConfigError(
            f"arm {voting[0].name}: with --temperature 0 all samples of a problem are the same, so that there is "
            "nothing to choose from; give a --temperature above 0"
        )
    for arm in plan.arms:
        if arm.is_choice:
            _check_choice(arm, plan.config(arm))
    cold = [arm for arm in plan.arms if plan.config(arm).temperature == 0 and plan.kind(arm) != "vanilla"]
    if plan.matched and cold:
        raise ConfigError(
            f"arm {cold[0].name} can have no matched baseline: with --temperature 0 all vanilla samples of a problem "
            "are the same, so that nothing is voted on; give a --temperature above 0, or --no_matched"
        )
    return plan


def _check_choice(arm: ArmPlan, config: RunConfig) -> None:
    if config.search is not None:
        raise ConfigError(
            f"arm {arm.name}: best_of chooses among samples, and a search ({config.search}) has a tree instead; leave "
            "one of them out"
        )
    if config.samples > MOST_SAMPLES:
        raise ConfigError(
            f"arm {arm.name}: {arm.votes:,} times --samples are {config.samples:,} samples of a problem; "
            f"{MOST_SAMPLES:,} are the most"
        )
    if config.value_head is None:
        raise ConfigError(
            f"arm {arm.name}: what is chosen is what a value head values most; give one with --value_head DIR "
            "(hierarchical-reasoning train values fits one)"
        )


def _check_arms(plan: StudyPlan, arms: Sequence[ArmPlan]) -> tuple[StudyProblems, list[str]]:
    """Find whatever is wrong with arms; returns the problems, and notes."""
    notes: dict[str, list[str]] = {}
    run: Run | None = None
    for arm in arms:
        config = plan.config(arm)
        try:
            run = assemble(config, no_examples(config))
        except ConfigError as error:
            raise ConfigError(f"arm {arm.name}: {error}") from error
        for note in run.notes:
            notes.setdefault(note, []).append(arm.name)
    if plan.common.value_head is not None and all(plan.config(arm).value_head is None for arm in plan.arms):
        notes["--value_head has no effect without an arm that searches, or chooses by it"] = [
            arm.name for arm in arms
        ]
    assert run is not None, "a study has an arm"
    found = StudyProblems(
        sha256=run.problems.sha256, problems=tuple(_problem(problem) for problem in run.problems.problems)
    )
    said = [
        note if len(names) == len(arms) else f"{', '.join(names)}: {note}" for note, names in notes.items()
    ]
    return found, said


def _check_problems(files: StudyFiles, plan: StudyPlan, found: StudyProblems) -> None:
    """Write down which they are, or see that they are those that were written down."""
    if not files.problems.exists():
        write_record(files.problems, found)
    elif read_study_problems(files) != found:
        raise ConfigError(
            f"the problems of {plan.common.input_file} are not those that the study was begun with "
            f"({files.problems}); restore the file, or begin another study with another --output"
        )


def _problem(problem: Problem) -> StudyProblem:
    difficulty = next((problem.fields[name] for name in DIFFICULTY_FIELDS if name in problem.fields), None)
    if isinstance(difficulty, bool) or not isinstance(difficulty, str | int | float):
        difficulty = None
    return StudyProblem(id=problem.id, category=problem.category, difficulty=difficulty)
