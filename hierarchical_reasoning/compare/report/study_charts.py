"""The charts of a study's numbers: accuracy, differences, what it cost, how problems ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hierarchical_reasoning.compare.report.charts import (
    Bar,
    IntervalChart,
    IntervalRow,
    Mark,
    Point,
    ScatterChart,
    Segment,
    StackChart,
)
from hierarchical_reasoning.compare.report.colours import Colour
from hierarchical_reasoning.compare.report.gathering import ArmCounts
from hierarchical_reasoning.compare.report.wording import (
    accuracy_text,
    difference_text,
    dollars,
    p_text,
    whole,
)
from hierarchical_reasoning.compare.statistics import ArmComparison, ArmRecord, StudyStatistics
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.intervals import Estimate
from hierarchical_reasoning.training.report.scales import Scale, value_scale
from hierarchical_reasoning.wording import counted

OUTCOME_COLOURS: Mapping[Outcome, Colour] = {
    Outcome.CORRECT: Colour("#3f9b63", "#4fb377"),
    Outcome.WRONG: Colour("#d9705f", "#cf6a5a"),
    Outcome.NO_ANSWER: Colour("#d9a441", "#c8963b"),
    Outcome.TRUNCATED: Colour("#9c80c4", "#a184cf"),
    Outcome.ERROR: Colour("#6d7685", "#8d97a8"),
    Outcome.UNGRADED: Colour("#c9ced6", "#4a5362"),
}
OUTCOME_NAMES: Mapping[Outcome, str] = {outcome: outcome.value.replace("_", " ") for outcome in Outcome}


def baseline_of(statistics: StudyStatistics) -> ArmRecord | None:
    """What the arms are compared with first; None where nothing is compared."""
    name = next((comparison.baseline for comparison in statistics.comparisons), None)
    return next((arm for arm in statistics.arms if arm.name == name), None)


def accuracy_chart(statistics: StudyStatistics) -> IntervalChart | None:
    """Every arm, beside its compute-matched twin, over the interval of the baseline; None where nothing was graded."""
    by_name = {arm.name: arm for arm in statistics.arms}
    twins = {arm.twin for arm in statistics.arms if arm.twin is not None}
    baseline = baseline_of(statistics)
    rows = []
    for arm in statistics.arms:
        twin = by_name[arm.twin] if arm.twin is not None else None
        if arm.accuracy.value is None or (arm.name in twins and arm is not baseline):
            continue
        marks = [_accuracy_mark(arm, "filled")]
        if twin is not None and twin.accuracy.value is not None:
            marks.append(_accuracy_mark(twin, "hollow"))
        note = "" if twin is None else f"{twin.label}: {accuracy_text(twin.accuracy)}"
        rows.append(IntervalRow(arm.label, tuple(marks), accuracy_text(arm.accuracy), note))
    if not rows:
        return None
    hollow = any(len(row.marks) > 1 for row in rows)
    band = None
    if baseline is not None and baseline.accuracy.value is not None:
        band = (baseline.accuracy.low, baseline.accuracy.value, baseline.accuracy.high)
    return IntervalChart(
        key="accuracy",
        title="By arm",
        meaning="Share of problems solved, errors counted as not solved, with 95 % intervals."
        + (f" The band is that of {baseline.label}." if band and baseline else "")
        + (" The compute-matched twin spent about as many tokens without the taxonomy." if hollow else ""),
        scale=_share_scale([(mark.low, mark.high) for row in rows for mark in row.marks]),
        unit="percent",
        rows=tuple(rows),
        heads=("arm", "accuracy [95 % interval]"),
        band=band,
        shapes=(("filled", "arm"), ("hollow", "its compute-matched twin")) if hollow else (),
    )


def difference_chart(
    key: str, title: str, comparisons: Sequence[ArmComparison], *, meaning: str
) -> IntervalChart | None:
    """Differences of a family; None where there is none to draw."""
    rows = []
    for comparison in comparisons:
        result = comparison.counting_errors
        if result.difference.value is None or result.significance is None:
            continue
        text = difference_text(result.difference)
        label = f"{comparison.arm_label} − {comparison.baseline_label}"
        rows.append(
            IntervalRow(
                label,
                (
                    Mark(
                        result.difference.value,
                        result.difference.low,
                        result.difference.high,
                        "filled",
                        f"{label}: {text}",
                    ),
                ),
                text,
                f"{result.better:,} better, {result.worse:,} worse; "
                + p_text(result.significance.p).replace(" ", "\u00a0"),
            )
        )
    if not rows:
        return None
    ends = [end for row in rows for mark in row.marks for end in (mark.low, mark.high)]
    return IntervalChart(
        key=key,
        title=title,
        meaning=meaning,
        scale=value_scale([*ends, 0.0], floor=None, ceiling=None),
        unit="points",
        rows=tuple(rows),
        heads=("difference", "points [95 % interval]"),
        band=(0.0, 0.0, 0.0),
    )


def strata_chart(comparison: ArmComparison, number: int) -> IntervalChart | None:
    """A difference by category, or where there is none by difficulty; None where it has neither."""
    if not comparison.strata:
        return None
    rows = []
    for stratification in comparison.strata:
        for stratum in stratification.strata:
            difference = stratum.difference
            if difference.value is None:
                continue
            name = "none" if stratum.name is None else stratum.name
            label = name if stratification.by == "category" else f"difficulty {name}"
            text = difference_text(difference)
            mark = Mark(difference.value, difference.low, difference.high, "filled", f"{label}: {text}")
            rows.append(IntervalRow(label, (mark,), text, counted(difference.n, "problem")))
    ends = [end for row in rows for mark in row.marks for end in (mark.low, mark.high)]
    tests = "; ".join(
        f"that the difference is alike in every {one.by}: {p_text(one.heterogeneity.p)} ({one.heterogeneity.test}, "
        f"n = {one.heterogeneity.n:,})"
        for one in comparison.strata
    )
    return IntervalChart(
        key=f"strata_{number}",
        title=f"{comparison.arm_label} − {comparison.baseline_label}",
        meaning=f"Exploratory, adjusted for nothing. Tested {tests}.",
        scale=value_scale([*ends, 0.0], floor=None, ceiling=None),
        unit="points",
        rows=tuple(rows),
        heads=("problems", "points [95 % interval]"),
        band=(0.0, 0.0, 0.0),
    )


def cost_chart(statistics: StudyStatistics, unit: str) -> ScatterChart | None:
    """Accuracy against tokens or dollars a problem, on a logarithmic axis.

    None where fewer than two arms have both, or took nothing.
    """
    told: list[tuple[ArmRecord, Estimate]] = []
    for arm in statistics.arms:
        taken = arm.tokens if unit == "tokens" else arm.cost_usd
        if arm.accuracy.value is not None and taken is not None and taken.value and taken.low > 0:
            told.append((arm, taken))
    if len(told) < 2:
        return None
    low = min(taken.low for _, taken in told)
    high = max(taken.high for _, taken in told)
    axis = _LogAxis(low / 1.15, high * 1.25)
    twins = {arm.twin for arm in statistics.arms if arm.twin is not None}
    found = []
    for arm, taken in told:
        assert arm.accuracy.value is not None and taken.value is not None  # noqa: PT018 - narrows both
        amount = whole(taken) + " tokens" if unit == "tokens" else dollars(taken.value)
        found.append(
            Point(
                arm.label,
                axis.place(taken.value),
                axis.place(taken.low),
                axis.place(taken.high),
                arm.accuracy.value,
                arm.accuracy.low,
                arm.accuracy.high,
                "hollow" if arm.name in twins or arm is baseline_of(statistics) else "filled",
                f"{arm.label}: {accuracy_text(arm.accuracy)}, {amount} a problem",
            )
        )
    return ScatterChart(
        key=f"accuracy_{unit}",
        title=f"Accuracy against {unit}",
        meaning=(
            "Prompt and completion tokens of all roles"
            if unit == "tokens"
            else "Dollars, replies from the cache at what they had cost"
        )
        + ", a problem, on a logarithmic axis; 95 % intervals. The line joins what no other arm beats at its price; "
        "hollow: baselines.",
        points=tuple(found),
        x_ticks=axis.ticks(unit),
        y=_share_scale([(point.y_low, point.y_high) for point in found]),
        x_name=f"{unit} a problem",
        frontier=_frontier(found),
    )


def outcome_chart(labels: Mapping[str, str], counts: Mapping[str, ArmCounts]) -> StackChart | None:
    """How problems ended, by arm; None where none has."""
    bars = []
    for name, label in labels.items():
        outcomes = counts[name].outcomes
        total = outcomes.total()
        segments = tuple(
            Segment(OUTCOME_NAMES[outcome], outcomes[outcome] / total, outcomes[outcome])
            for outcome in Outcome
            if outcomes[outcome]
        )
        bars.append(Bar(label, segments, f"{total:,}"))
    if not bars:
        return None
    seen = {segment.name for bar in bars for segment in bar.segments}
    return StackChart(
        key="outcomes",
        title="How problems ended",
        meaning="Each problem and sample once. No answer: the model finished, but no answer was found in what it "
        "wrote. Truncated: cut off by the limit on tokens before an answer. Error: a call failed for good.",
        panels=(("", tuple(bars)),),
        colours={
            OUTCOME_NAMES[outcome]: colour
            for outcome, colour in OUTCOME_COLOURS.items()
            if OUTCOME_NAMES[outcome] in seen
        },
        head="arm",
    )


def _accuracy_mark(arm: ArmRecord, shape: str) -> Mark:
    accuracy = arm.accuracy
    assert accuracy.value is not None
    return Mark(
        accuracy.value,
        accuracy.low,
        accuracy.high,
        "filled" if shape == "filled" else "hollow",
        f"{arm.label}: {accuracy_text(accuracy)}, {accuracy.correct:,} of {accuracy.n:,}",
    )


def _share_scale(intervals: Sequence[tuple[float, float]]) -> Scale:
    ends = [end for interval in intervals for end in interval]
    found = value_scale(ends, floor=None, ceiling=None)
    low, high = max(0.0, found.low), min(1.0, found.high)
    return Scale(low, high, tuple(tick for tick in found.ticks if low - 1e-9 <= tick <= high + 1e-9))


def _frontier(found: Sequence[Point]) -> tuple[int, ...]:
    kept: list[int] = []
    for number in sorted(range(len(found)), key=lambda each: (found[each].x, -found[each].y)):
        if not kept or found[number].y > found[kept[-1]].y:
            kept.append(number)
    return tuple(kept)


class _LogAxis:
    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def place(self, value: float) -> float:
        return math.log(value / self._low) / math.log(self._high / self._low)

    def ticks(self, unit: str) -> tuple[tuple[float, str], ...]:
        """At 1, 2 and 5 times powers of ten, or at the powers alone where those are many."""
        first, last = math.floor(math.log10(self._low)), math.ceil(math.log10(self._high))
        steps = (1, 2, 5) if last - first <= 3 else (1,)
        values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        return tuple(
            (self.place(value), f"{value:,.0f}" if unit == "tokens" else dollars(value))
            for value in values
            if self._low <= value <= self._high
        )
