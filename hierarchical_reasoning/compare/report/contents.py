"""All that a report shows of a study, from one pass through the entries of each arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hierarchical_reasoning.compare.report.charts import (
    Chart,
    IntervalChart,
    ScatterChart,
    StackChart,
)
from hierarchical_reasoning.compare.report.colours import Colour, thought_type_colours
from hierarchical_reasoning.compare.report.data import ReportedStudy
from hierarchical_reasoning.compare.report.gathering import ArmCounts
from hierarchical_reasoning.compare.report.palette import Palette
from hierarchical_reasoning.compare.report.study_charts import (
    accuracy_chart,
    baseline_of,
    cost_chart,
    difference_chart,
    outcome_chart,
    strata_chart,
)
from hierarchical_reasoning.compare.report.thought_charts import (
    trajectory_chart,
    transition_chart,
    usage_chart,
)
from hierarchical_reasoning.compare.report.traces import PackedTraces, TracePacker
from hierarchical_reasoning.compare.report.wording import families, verdicts
from hierarchical_reasoning.compare.statistics import ArmComparison, ArmRecord, sentence
from hierarchical_reasoning.trace import FINISH
from taxonomy.model import Taxonomy

ChartT = TypeVar("ChartT", bound=Chart)
_DIFFERENCES = (
    "Paired differences on the same problems with 95 % intervals; p adjusted by Holm's method over the comparisons of "
    "this figure."
)


@dataclass(frozen=True)
class HeadlineRow:
    """One line of the first table."""

    arm: ArmRecord
    baseline: ArmComparison | None
    """Against its baseline, which is the study's or the vanilla arm of its own model."""
    twin: ArmComparison | None
    """Against its compute-matched twin."""


@dataclass(frozen=True)
class ArmThoughts:
    """What an arm's traces are made of."""

    label: str
    is_first: bool
    """It is shown before one is chosen: the most accurate."""
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Contents:
    """Of a report."""

    study: ReportedStudy
    counts: Mapping[str, ArmCounts]
    """By the name of the arm."""
    verdicts: tuple[tuple[str, str], ...]
    """Of each family of comparisons its noun and what it shows."""
    sentences: tuple[str, ...]
    baseline: str | None
    """What the arms are compared with first."""
    rows: tuple[HeadlineRow, ...]
    accuracy: IntervalChart | None
    """None where nothing was graded; so are the others where there is nothing to draw."""
    differences: tuple[IntervalChart, ...]
    costs: tuple[ScatterChart, ...]
    outcomes: StackChart | None
    strata: tuple[IntervalChart, ...]
    thoughts: tuple[ArmThoughts, ...]
    traces: PackedTraces
    palette: Palette

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Every one."""
        of_arms = (chart for arm in self.thoughts for chart in arm.charts)
        found: list[Chart | None] = [
            self.accuracy,
            *self.differences,
            *self.costs,
            self.outcomes,
            *self.strata,
            *of_arms,
        ]
        return _there(found)

    @property
    def against_baseline(self) -> list[ArmComparison]:
        return [row.baseline for row in self.rows if row.baseline is not None]

    @property
    def against_twins(self) -> list[ArmComparison]:
        return [row.twin for row in self.rows if row.twin is not None]

    @property
    def has_twins(self) -> bool:
        return bool(self.against_twins)

    @property
    def has_costs(self) -> bool:
        """Whether any arm cost anything, as far as is known."""
        return any(row.arm.cost_usd is not None and row.arm.cost_usd.value for row in self.rows)

    @property
    def traces_in_all(self) -> int:
        return sum(counts.outcomes.total() for counts in self.counts.values())

    @property
    def errors(self) -> int:
        return sum(row.arm.errors for row in self.rows)

    @property
    def missing(self) -> int:
        return sum(row.arm.missing for row in self.rows)


def contents_of(study: ReportedStudy) -> Contents:
    """Raises ResultsFileError: an entry cannot be read, or is of a problem that the study has not."""
    packer = TracePacker(study.problems, study.arms)
    counts = {arm.name: ArmCounts() for arm in study.arms}
    for number, arm in enumerate(study.arms):
        for entry in arm.entries():
            counts[arm.name].add(entry)
            packer.add(number, entry)
    palette = Palette()
    colours = _colours(counts, study.taxonomy)
    statistics = study.statistics
    baseline = baseline_of(statistics)
    rows = tuple(_row(arm, statistics.comparisons) for arm in statistics.arms)
    differences = [
        difference_chart(f"differences_{number}", _titled(noun), members, meaning=_DIFFERENCES)
        for number, (noun, members) in enumerate(families(statistics.comparisons), start=1)
    ]
    labels = {arm.name: arm.called for arm in study.arms}
    left, right = _first_shown(study, rows)
    return Contents(
        study=study,
        counts=counts,
        verdicts=tuple(verdicts(statistics)),
        sentences=tuple(sentence(comparison, statistics.alpha) for comparison in statistics.comparisons),
        baseline=None if baseline is None else baseline.label,
        rows=rows,
        accuracy=accuracy_chart(statistics),
        differences=_there(differences),
        costs=_there(cost_chart(statistics, unit) for unit in ("tokens", "dollars")),
        outcomes=outcome_chart({name: labels[name] for name in counts if counts[name].outcomes}, counts),
        strata=_there(
            strata_chart(comparison, number)
            for number, comparison in enumerate(statistics.comparisons, start=1)
        ),
        thoughts=_thoughts(study, rows, counts, colours),
        traces=packer.packed(
            left=left,
            right=right,
            classes={name: palette.class_of(colour) for name, colour in colours.items()},
        ),
        palette=palette,
    )


def _there(charts: Iterable[ChartT | None]) -> tuple[ChartT, ...]:
    return tuple(chart for chart in charts if chart is not None)


def _row(arm: ArmRecord, comparisons: Sequence[ArmComparison]) -> HeadlineRow:
    own = [each for each in comparisons if each.arm == arm.name]
    return HeadlineRow(
        arm,
        baseline=next((each for each in own if each.baseline != arm.twin), None),
        twin=next((each for each in own if each.baseline == arm.twin), None),
    )


def _colours(counts: Mapping[str, ArmCounts], taxonomy: Taxonomy | None) -> dict[str, Colour]:
    node_of: dict[str, str] = {}
    names: set[str] = {FINISH}
    for of_arm in counts.values():
        names |= of_arm.thought_types | set(of_arm.node_of)
        node_of |= of_arm.node_of
    return thought_type_colours(sorted(names), node_of, taxonomy)


def _thoughts(
    study: ReportedStudy,
    rows: Sequence[HeadlineRow],
    counts: Mapping[str, ArmCounts],
    colours: Mapping[str, Colour],
) -> tuple[ArmThoughts, ...]:
    """Of the arms that chose among thought types."""
    shown = [arm for arm in study.arms if len(counts[arm.name].thought_types) > 1]
    best = _best([arm.name for arm in shown], rows)
    found = []
    for number, arm in enumerate(shown, start=1):
        of_arm = counts[arm.name]
        names = _in_order(of_arm, study.taxonomy)
        key = f"{number}_" + "".join(letter if letter.isalnum() else "_" for letter in arm.name)
        charts: tuple[Chart, ...] = (
            usage_chart(key, arm.called, of_arm, names, colours),
            trajectory_chart(key, arm.called, of_arm, names, colours),
            transition_chart(key, arm.called, of_arm, names, colours),
        )
        found.append(ArmThoughts(arm.called, arm.name == best, charts))
    return tuple(found)


def _in_order(counts: ArmCounts, taxonomy: Taxonomy | None) -> list[str]:
    """As the taxonomy has them; what it has not, behind that by name."""
    place = {} if taxonomy is None else {node.node_id: number for number, node in enumerate(taxonomy.walk())}
    last = len(place)
    return sorted(
        counts.thought_types, key=lambda name: (place.get(counts.node_of.get(name, ""), last), name)
    )


def _first_shown(study: ReportedStudy, rows: Sequence[HeadlineRow]) -> tuple[int, int]:
    """The numbers of the arms that are side by side at first: the baseline, and the best arm with a level."""
    names = [arm.name for arm in study.arms]
    baseline = baseline_of(study.statistics)
    left = names.index(baseline.name) if baseline is not None and baseline.name in names else 0
    others = [name for number, name in enumerate(names) if number != left]
    levels = [arm.name for arm in study.arms if arm.level is not None and arm.name in others]
    best = _best(levels or others, rows)
    return left, left if best is None else names.index(best)


def _best(names: Sequence[str], rows: Sequence[HeadlineRow]) -> str | None:
    accuracy = {row.arm.name: row.arm.accuracy.value or 0.0 for row in rows}
    return max(names, key=lambda name: accuracy[name], default=None)


def _titled(noun: str) -> str:
    title = noun or "differences"
    return title[:1].upper() + title[1:]
