"""The charts of an arm's thought types: how often each was used, when, and what followed what, in correct traces and in
incorrect ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hierarchical_reasoning.compare.report.charts import (
    Bar,
    HeatChart,
    IntervalChart,
    IntervalRow,
    Mark,
    Segment,
    StackChart,
)
from hierarchical_reasoning.compare.report.colours import FINISH_COLOUR, Colour
from hierarchical_reasoning.compare.report.gathering import START, ArmCounts, TraceCounts
from hierarchical_reasoning.compare.report.wording import percent
from hierarchical_reasoning.results.intervals import wilson_interval
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.report.scales import value_scale
from hierarchical_reasoning.wording import counted

MOST_STEPS = 12
"""Steps that are drawn; a note says where traces go on."""


def usage_chart(
    key: str, arm: str, counts: ArmCounts, names: Sequence[str], colours: Mapping[str, Colour]
) -> IntervalChart:
    """In how many traces each thought type occurs.

    Args:
        key: of the arm, in the names of files.
        arm: what it is called.
        counts: of the arm.
        names: its thought types, in the order in which they are shown.
        colours: of them.
    """
    rows = []
    for name in names:
        marks = tuple(_usage_marks(counts, name))
        shares = " / ".join(
            f"{percent(side.containing[name] / side.traces)}" if side.traces else "–"
            for side in (counts.correct, counts.incorrect)
        )
        note = f"{counts.correct.thoughts[name] + counts.incorrect.thoughts[name]:,} thoughts"
        rows.append(IntervalRow(name, marks, shares, note, colours[name]))
    return IntervalChart(
        key=f"usage_{key}",
        title=f"Where thought types occur, {arm}",
        meaning=f"Share of traces with at least one thought of the type, with 95 % Wilson intervals: "
        f"{counted(counts.correct.traces, 'correct trace')} against {counts.incorrect.traces:,} incorrect. What occurs "
        "more often in correct traces need not be what makes them correct.",
        scale=value_scale((), floor=0.0, ceiling=1.0),
        unit="percent",
        rows=tuple(rows),
        heads=("thought type", "correct / incorrect"),
        shapes=(("filled", "correct traces"), ("hollow", "incorrect traces")),
    )


def _usage_marks(counts: ArmCounts, name: str) -> Iterator[Mark]:
    for side, shape, told in (
        (counts.correct, "filled", "correct"),
        (counts.incorrect, "hollow", "incorrect"),
    ):
        if side.traces:
            found = side.containing[name]
            low, high = wilson_interval(found, side.traces)
            yield Mark(
                found / side.traces,
                low,
                high,
                "filled" if shape == "filled" else "hollow",
                f"{name}: in {found:,} of {side.traces:,} {told} traces",
            )


def trajectory_chart(
    key: str, arm: str, counts: ArmCounts, names: Sequence[str], colours: Mapping[str, Colour]
) -> StackChart:
    """What was thought at each step, over all traces that ended alike; a bar ends where traces had finished before.

    Args are those of `usage_chart`.
    """
    steps = max((max(side.at_step, default=-1) + 1 for side in (counts.correct, counts.incorrect)), default=0)
    shown = min(steps, MOST_STEPS)
    panels = tuple(
        (f"{title} ({side.traces:,})", tuple(_step_bars(side, names, shown)))
        for title, side in (("correct", counts.correct), ("incorrect", counts.incorrect))
        if side.traces
    )
    cut = f" Steps beyond {shown} are not drawn; the longest trace has {steps:,}." if steps > shown else ""
    return StackChart(
        key=f"trajectories_{key}",
        title=f"Trajectories, {arm}",
        meaning="What each step was, over all traces; a bar ends where traces had finished before." + cut,
        panels=panels,
        colours={**{name: colours[name] for name in names}, FINISH: FINISH_COLOUR},
        head="step",
    )


def _step_bars(side: TraceCounts, names: Sequence[str], shown: int) -> Iterator[Bar]:
    for step in range(shown):
        at = side.at_step.get(step, Counter[str]())
        segments = tuple(
            Segment(name, at[name] / side.traces, at[name]) for name in (*names, FINISH) if at.get(name)
        )
        yield Bar(f"{step + 1}", segments)


def transition_chart(
    key: str, arm: str, counts: ArmCounts, names: Sequence[str], colours: Mapping[str, Colour]
) -> HeatChart:
    """What followed what. Args are those of `usage_chart`."""
    panels = []
    for title, side in (("correct", counts.correct), ("incorrect", counts.incorrect)):
        visits = {origin: side.visits(origin) for origin in (START, *names)}
        cells = {pair: (count, visits[pair[0]]) for pair, count in side.transitions.items()}
        if cells:
            panels.append((f"{title} traces", cells))
    return HeatChart(
        key=f"transitions_{key}",
        title=f"Transitions, {arm}",
        meaning="Of every hundred thoughts of a row's type, how many were followed by a thought of a column's type. "
        "Columns have the numbers of the rows.",
        origins=(START, *names),
        targets=(*names, FINISH),
        panels=tuple(panels),
        colours={name: colours[name] for name in names},
    )
