"""What a report is made from: a study's problems, its arms with their entries, and the statistics over them.

Entries are read anew each time they are asked for; what a report holds of them is packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hierarchical_reasoning.compare.statistics import StudyStatistics
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.results.records import ResultEntry
from taxonomy.model import Taxonomy


@dataclass(frozen=True)
class ReportedProblem:
    """One problem of the study; its text and its answers are those of the entries."""

    id: str
    category: str | None = None
    difficulty: str | float | None = None


@dataclass(frozen=True)
class ReportedArm:
    """One arm of the study."""

    name: str
    entries: Callable[[], Iterable[ResultEntry]]
    """One a problem and sample, in any order; each call reads them anew."""
    label: str = ""
    """What the report calls it, such as "level 3"; empty: its name."""
    level: int | None = None
    """Of the taxonomy; None where the arm plans without one."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What it has otherwise than the arms have in common, as the user would give it."""

    @property
    def called(self) -> str:
        """The label, or where there is none the name."""
        return self.label or self.name


@dataclass(frozen=True)
class ReportedStudy:
    """Everything that a report tells.

    Raises:
        ConfigError: an arm has no statistics, or two arms have one name.
    """

    title: str
    problems: tuple[ReportedProblem, ...]
    """In the order in which they were asked."""
    arms: tuple[ReportedArm, ...]
    """In the order in which they are shown."""
    statistics: StudyStatistics
    taxonomy: Taxonomy | None = None
    """None where no arm has a level."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the arms have in common: models, problems, seed, versions."""
    notes: tuple[str, ...] = ()
    """What the reader must not overlook."""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        known = {record.name for record in self.statistics.arms}
        if len(set(names)) < len(names) or not set(names) <= known:
            raise ConfigError(
                f"the arms of a report are {', '.join(names)} but the statistics are of {', '.join(sorted(known))}; "
                "every arm needs a name of its own and statistics"
            )
