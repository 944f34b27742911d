"""What a study found, in Markdown: a table of the arms, and a sentence for each comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hierarchical_reasoning.compare.plan import Unit
from hierarchical_reasoning.compare.record import ArmInfo, StudyRecord
from hierarchical_reasoning.compare.statistics import ArmComparison, ArmRecord
from hierarchical_reasoning.wording import counted

UNITS: dict[Unit, str] = {
    "tokens": "tokens of prompts and replies, those that a prefix cache served included",
    "processed": "tokens of prompts and replies, without those that a prefix cache served",
    "completion": "tokens of replies",
}
_HEADINGS = (
    "arm",
    "accuracy",
    "tokens a problem",
    "cost a problem",
    "against its baseline",
    "against its twin",
)


def summary_markdown(record: StudyRecord) -> str:
    """The whole of it."""
    statistics = record.statistics
    parts = [
        f"# {counted(len(record.arms), 'arm')} on {counted(statistics.problems, 'problem')}",
        table(record),
        "\n".join(f"- {text}" for text in footnotes(record)),
        "\n".join(f"- {text}" for text in record.sentences),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(record: StudyRecord) -> str:
    """A row an arm."""
    rows = [_row(record, arm) for arm in record.arms]
    lines = [_HEADINGS, tuple("-" * 3 for _ in _HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(_escaped(line))} |" for line in lines)


def footnotes(record: StudyRecord) -> list[str]:
    """How the table is to be read, and what is missing."""
    alpha = record.statistics.alpha
    notes = [
        "Accuracy: 95 % intervals (Wilson; with several samples a problem, bootstrap over problems); errors count as "
        f"not solved. Differences: points on the same problems, 95 % interval, p after Holm ({alpha:g}).",
    ]
    notes[:0] = record.cautions
    if record.owed:
        notes.insert(0, f"NOT FINISHED: {counted(record.owed, 'answer')} of all arms are owed.")
    if record.waiting:
        notes.append(f"Not chosen yet: the matched baselines of {', '.join(record.waiting)}.")
    notes += [f"{arm.label}: {arm.errors} errors" for arm in record.statistics.arms if arm.errors]
    if any(match.twin for match in record.matched.arms.values()):
        notes.append(
            "A twin is the majority vote of as many vanilla samples as take what the arm took (unit: "
            f"{UNITS[record.matched.unit]}), rounded up."
        )
    for name, match in record.matched.arms.items():
        if match.twin is None:
            notes.append(f"{record.arm(name).label} has no matched baseline: {match.reason}.")
    return notes


def _row(record: StudyRecord, arm: ArmInfo) -> tuple[str, ...]:
    found = next(one for one in record.statistics.arms if one.name == arm.name)
    return (
        arm.label,
        _accuracy(found),
        "-" if found.tokens is None or found.tokens.value is None else f"{found.tokens.value:,.0f}",
        "-" if found.cost_usd is None or found.cost_usd.value is None else f"${found.cost_usd.value:.4f}",
        _difference(record, arm, arm.baseline),
        _difference(record, arm, arm.twin if arm.twin != arm.baseline else None),
    )


def _accuracy(arm: ArmRecord) -> str:
    accuracy = arm.accuracy
    if accuracy.value is None:
        return "nothing was graded"
    return (
        f"{100 * accuracy.value:.1f} % [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}] "
        f"({accuracy.correct:,} of {accuracy.n:,})"
    )


def _difference(record: StudyRecord, arm: ArmInfo, baseline: str | None) -> str:
    found = _comparison(record.statistics.comparisons, arm.name, baseline)
    if found is None:
        return "-"
    result = found.counting_errors
    if result.difference.value is None or result.significance is None:
        return "nothing in common"
    points, p = result.difference, result.significance.p
    shown = "< 0.001" if p < 0.001 else f"= {p:.3f}"
    return (
        f"{100 * result.difference.value:+.1f} [{100 * points.low:+.1f}, {100 * points.high:+.1f}] to "
        f"{found.baseline_label}, p {shown}"
    )


def _comparison(comparisons: Sequence[ArmComparison], arm: str, baseline: str | None) -> ArmComparison | None:
    return next((one for one in comparisons if (one.arm, one.baseline) == (arm, baseline)), None)


def _escaped(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
