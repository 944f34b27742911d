"""The numbers behind a report as tables: columns with their types by the names of Arrow, and rows.

Traces themselves are no table of a report: `hierarchical-reasoning results --export` has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hierarchical_reasoning.compare.report.contents import Contents
from hierarchical_reasoning.compare.report.gathering import ArmCounts, TraceCounts
from hierarchical_reasoning.compare.statistics import ArmComparison, ArmRecord, PairedResult
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader.rows import Row


@dataclass(frozen=True)
class Table:
    """One table."""

    name: str
    columns: Mapping[str, str]
    rows: tuple[Row, ...]


_ENDING = {"arm": "string", "traces_were": "string"}
_RESULT = {
    "n": "int64",
    "arm_accuracy": "float64",
    "baseline_accuracy": "float64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "interval": "string",
    "better": "int64",
    "worse": "int64",
    "test": "string",
    "p": "float64",
    "adjustment": "string",
    "family": "string",
    "family_size": "int64",
    "p_adjusted": "float64",
}


def tables_of(contents: Contents) -> tuple[Table, ...]:
    """Every table; one without a row has its header."""
    statistics, counts = contents.study.statistics, contents.counts
    return (
        Table("arms", _ARMS, tuple(map(_arm, statistics.arms))),
        Table(
            "comparisons",
            {
                "arm": "string",
                "baseline": "string",
                "samples": "int64",
                "errors": "int64",
                "baseline_errors": "int64",
                "left_out": "int64",
                "token_ratio": "float64",
                **_RESULT,
                **{f"completed_{name}": kind for name, kind in _RESULT.items()},
            },
            tuple(map(_comparison, statistics.comparisons)),
        ),
        Table("strata", _STRATA, tuple(row for each in statistics.comparisons for row in _strata(each))),
        Table(
            "outcomes",
            {"arm": "string", "outcome": "string", "count": "int64", "of": "int64"},
            tuple(row for name, of_arm in counts.items() for row in _outcomes(name, of_arm)),
        ),
        Table(
            "thought_types",
            {
                **_ENDING,
                "thought_type": "string",
                "node_id": "string",
                "thoughts": "int64",
                "traces_with_it": "int64",
                "traces": "int64",
            },
            tuple(row for name, of_arm in counts.items() for row in _thought_types(name, of_arm)),
        ),
        Table(
            "trajectories",
            {**_ENDING, "step": "int64", "thought_type": "string", "count": "int64", "traces": "int64"},
            tuple(row for name, of_arm in counts.items() for row in _trajectories(name, of_arm)),
        ),
        Table(
            "transitions",
            {**_ENDING, "after": "string", "came": "string", "count": "int64", "visits": "int64"},
            tuple(row for name, of_arm in counts.items() for row in _transitions(name, of_arm)),
        ),
    )


_ARMS = {
    "arm": "string",
    "label": "string",
    "twin": "string",
    "problems": "int64",
    "samples": "int64",
    "correct": "int64",
    "n": "int64",
    "accuracy": "float64",
    "low": "float64",
    "high": "float64",
    "n_completed": "int64",
    "accuracy_completed": "float64",
    "low_completed": "float64",
    "high_completed": "float64",
    "errors": "int64",
    "missing": "int64",
    "ungraded": "int64",
    "tokens_per_problem": "float64",
    "cost_usd_per_problem": "float64",
}
_STRATA = {
    "arm": "string",
    "baseline": "string",
    "by": "string",
    "stratum": "string",
    "n": "int64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "test_of_heterogeneity": "string",
    "p_of_heterogeneity": "float64",
}


def _arm(arm: ArmRecord) -> Row:
    every, completed = arm.accuracy, arm.accuracy_completed
    return {
        "arm": arm.name,
        "label": arm.label,
        "twin": arm.twin,
        "problems": arm.problems,
        "samples": arm.samples,
        "correct": every.correct,
        "n": every.n,
        "accuracy": every.value,
        "low": every.low,
        "high": every.high,
        "n_completed": completed.n,
        "accuracy_completed": completed.value,
        "low_completed": completed.low,
        "high_completed": completed.high,
        "errors": arm.errors,
        "missing": arm.missing,
        "ungraded": arm.ungraded,
        "tokens_per_problem": None if arm.tokens is None else arm.tokens.value,
        "cost_usd_per_problem": None if arm.cost_usd is None else arm.cost_usd.value,
    }


def _comparison(comparison: ArmComparison) -> Row:
    completed = {f"completed_{name}": value for name, value in result_row(comparison.completed).items()}
    return {
        "arm": comparison.arm,
        "baseline": comparison.baseline,
        "samples": comparison.samples,
        "errors": comparison.errors,
        "baseline_errors": comparison.baseline_errors,
        "left_out": comparison.left_out,
        "token_ratio": None if comparison.token_ratio is None else comparison.token_ratio.value,
        **result_row(comparison.counting_errors),
        **completed,
    }


def result_row(result: PairedResult) -> Row:
    """The columns that a paired result has in every table."""
    difference, significance = result.difference, result.significance
    return {
        "n": difference.n,
        "arm_accuracy": result.arm_accuracy,
        "baseline_accuracy": result.baseline_accuracy,
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "interval": difference.method,
        "better": result.better,
        "worse": result.worse,
        "test": None if significance is None else significance.raw.test,
        "p": None if significance is None else significance.raw.p,
        "adjustment": None if significance is None else significance.method,
        "family": None if significance is None else significance.family,
        "family_size": None if significance is None else significance.family_size,
        "p_adjusted": None if significance is None else significance.p,
    }


def _strata(comparison: ArmComparison) -> Iterator[Row]:
    for stratification in comparison.strata:
        for stratum in stratification.strata:
            yield {
                "arm": comparison.arm,
                "baseline": comparison.baseline,
                "by": stratification.by,
                "stratum": stratum.name,
                "n": stratum.difference.n,
                "difference": stratum.difference.value,
                "low": stratum.difference.low,
                "high": stratum.difference.high,
                "test_of_heterogeneity": stratification.heterogeneity.test,
                "p_of_heterogeneity": stratification.heterogeneity.p,
            }


def _outcomes(name: str, counts: ArmCounts) -> Iterator[Row]:
    for outcome in Outcome:
        yield {
            "arm": name,
            "outcome": outcome.value,
            "count": counts.outcomes[outcome],
            "of": counts.outcomes.total(),
        }


def _sides(name: str, counts: ArmCounts) -> Iterator[tuple[Row, TraceCounts]]:
    yield {"arm": name, "traces_were": "correct"}, counts.correct
    yield {"arm": name, "traces_were": "incorrect"}, counts.incorrect


def _thought_types(name: str, counts: ArmCounts) -> Iterator[Row]:
    for ending, side in _sides(name, counts):
        for thought_type in sorted(counts.thought_types):
            yield {
                **ending,
                "thought_type": thought_type,
                "node_id": counts.node_of.get(thought_type),
                "thoughts": side.thoughts[thought_type],
                "traces_with_it": side.containing[thought_type],
                "traces": side.traces,
            }


def _trajectories(name: str, counts: ArmCounts) -> Iterator[Row]:
    for ending, side in _sides(name, counts):
        for step, chosen in sorted(side.at_step.items()):
            for thought_type, count in sorted(chosen.items()):
                yield {
                    **ending,
                    "step": step + 1,
                    "thought_type": thought_type,
                    "count": count,
                    "traces": side.traces,
                }


def _transitions(name: str, counts: ArmCounts) -> Iterator[Row]:
    for ending, side in _sides(name, counts):
        for (origin, target), count in sorted(side.transitions.items()):
            yield {**ending, "after": origin, "came": target, "count": count, "visits": side.visits(origin)}
