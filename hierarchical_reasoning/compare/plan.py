"""What a study is: its arms, what they are told alike, and its problems; as files of its directory.

A plan grows: arms are added to it. What all arms share stays as it was when the study began.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.compare.shared_settings import OF_THOUGHTS
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError, JournalError, OutputError
from hierarchical_reasoning.search.settings import OF_VALUE_HEAD
from taxonomy.atomic import write_atomically

Unit = Literal["tokens", "processed", "completion"]
"""What compute is measured by: `tokens` of prompts and replies; `processed`: the same without what a prefix cache
served; `completion`: of replies."""
Kind = Literal["vanilla", "majority", "best", "level", "untyped", "search", "other"]
ChosenBy = Literal["majority", "value"]
MOST_VOTES = 64
MOST_SAMPLES = 10_000
"""Of a problem, in all."""
VERSION: Literal[1] = 1


class Record(BaseModel):
    """A part of a file in a study's directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class ArmPlan(Record):
    """An arm, as it is asked for."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of `RunConfig`: where it differs from what all arms are told."""
    votes: int = Field(1, ge=1, le=MOST_SAMPLES)
    """Samples of which one answer counts; 1: nothing is chosen."""
    chosen_by: ChosenBy = "majority"
    """Which one: that of the majority, or the one that a value head values most."""
    of: str | None = None
    """The arm whose samples vote; None: this one has a run of its own."""
    implied: bool = False
    """Nobody asked for it; another arm is measured by it."""

    @property
    def is_vote(self) -> bool:
        """Whether its answers are the majority's among another arm's samples."""
        return self.votes > 1 and self.chosen_by == "majority"

    @property
    def is_choice(self) -> bool:
        """Whether a value head chooses its answers among samples of its own."""
        return self.votes > 1 and self.chosen_by == "value"

    @property
    def run(self) -> str:
        """The arm in whose directory the journals are."""
        return self.of or self.name


def best_name(votes: int) -> str:
    """Of the arm whose answer is the one that a value head values most of so many vanilla samples."""
    return f"best@{votes}"


class StudyPlan(Record):
    """The content of ``study.json``."""

    version: Literal[1] = VERSION
    settings: dict[str, Any]
    """Of `RunConfig`, as all arms are told, every one of them."""
    arms: tuple[ArmPlan, ...]
    baseline: str
    """The arm that the others are compared with."""
    matched: bool = True
    """Every arm that is not vanilla gets a twin: a majority vote that takes about as much."""
    matched_by: Unit = "tokens"
    most_votes: int = Field(MOST_VOTES, ge=1, le=MOST_SAMPLES)
    """Of a twin."""
    begun: str
    """When, in UTC."""

    @property
    def common(self) -> RunConfig:
        """What all arms are told."""
        return RunConfig(**self.settings)

    @property
    def samples(self) -> int:
        """Of every problem, in every arm."""
        return self.common.samples

    @property
    def is_of_bundled_model(self) -> bool:
        """Whether no arm asks another model."""
        return all(self.config(arm).is_bundled_model for arm in self.arms)

    def arm(self, name: str) -> ArmPlan:
        """The arm of that name. Raises ConfigError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ConfigError(
            f"{name!r} is no arm of the study; there are {', '.join(arm.name for arm in self.arms)}"
        )

    def config(self, arm: ArmPlan) -> RunConfig:
        """What the arm's run is told; of an arm that chooses among samples, what these are told. The value head of all
        arms is for those that search, and those that choose by it."""
        shared = self.settings
        if arm.settings.get("vanilla_baseline"):
            unknown = OF_THOUGHTS - (OF_VALUE_HEAD if arm.is_choice else frozenset())
            shared = {name: value for name, value in shared.items() if name not in unknown}
        config = RunConfig(**shared | arm.settings)
        if arm.is_choice:
            return config.model_copy(update={"samples": config.samples * arm.votes})
        if config.values_answers and "value_head" not in arm.settings:
            return config.model_copy(update={"value_head": None})
        return config

    def kind(self, arm: ArmPlan) -> Kind:
        """What sort of arm it is."""
        config = self.config(arm)
        if arm.votes > 1:
            return "best" if arm.is_choice else "majority"
        if config.vanilla_baseline:
            return "vanilla"
        if config.search is not None:
            return "search"
        if config.planner == "untyped":
            return "untyped" if set(arm.settings) <= {"planner"} else "other"
        return "level" if set(arm.settings) <= {"label_level"} else "other"

    def label(self, arm: ArmPlan) -> str:
        """What sentences call it."""
        kind = self.kind(arm)
        if kind == "level":
            return f"level {self.config(arm).label_level}"
        if kind == "majority":
            return (
                f"majority of {arm.votes}" if arm.of == "vanilla" else f"majority of {arm.votes} of {arm.of}"
            )
        if kind == "best" and arm.name == best_name(arm.votes):
            return f"best of {arm.votes}"
        return arm.name


class StudyProblem(Record):
    """A problem of the study."""

    id: str
    category: str | None = None
    difficulty: str | float | None = None
    """A name, or a number such as a rating; of the row's `difficulty`, `level` or `rating`."""


class StudyProblems(Record):
    """The content of ``problems.json``."""

    version: Literal[1] = VERSION
    sha256: str
    """Of the file that they were read from."""
    problems: tuple[StudyProblem, ...]
    """In the order in which every arm takes them."""


RecordT = TypeVar("RecordT", bound=Record)


def read_record(path: Path, kind: type[RecordT]) -> RecordT | None:
    """The record in a file; None where there is no such file.

    Raises:
        JournalError: it is none that this version reads.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole of it"
        raise JournalError(
            f"{path} is none that this version reads ({where}: {first['msg']}); go on with the version that wrote it, "
            "or begin another study with another --output"
        ) from error
    except OSError as error:
        raise JournalError(f"{path} cannot be read ({error.strerror}); see --output") from error


def write_record(path: Path, record: Record) -> None:
    """Write it, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        write_atomically(path, record.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another --output") from error


def read_plan(files: StudyFiles) -> StudyPlan:
    """The plan of a study that was begun.

    Raises:
        ConfigError: none was begun there.
        JournalError: the file is none that this version reads.
    """
    plan = read_record(files.plan, StudyPlan)
    if plan is None:
        raise no_study(files)
    return plan


def no_study(files: StudyFiles) -> ConfigError:
    """What to say where none was begun."""
    return ConfigError(
        f"--output {files.directory} holds no study; begin one with --arms, as in --arms vanilla,0,1,2,3, or with "
        "arms in a file for --config"
    )


def read_study_problems(files: StudyFiles) -> StudyProblems:
    """The problems of a study that was begun; raises as `read_plan`."""
    problems = read_record(files.problems, StudyProblems)
    if problems is None:
        raise JournalError(f"{files.problems} is missing; begin the study again with another --output")
    return problems


def recorded(config: RunConfig) -> dict[str, Any]:
    """All settings as a plan has them: paths made absolute, so that the study goes on from any directory."""
    dumped = config.model_dump(mode="json")
    for name, value in _paths(config).items():
        dumped[name] = str(value.absolute())
    for name in ("model_name", "planner_model_name", "high_level_model_name"):
        if (model := dumped[name]) is not None and Path(model).is_dir():
            dumped[name] = str(Path(model).absolute())
    return dumped


def _paths(config: RunConfig) -> Mapping[str, Path]:
    return {name: value for name, value in config if isinstance(value, Path)}
