"""Held-out accuracy before and after, and what the log says of why it did not move where it did not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.training.log import EvaluationRecord, Mode, UpdateRecord
from hierarchical_reasoning.training.report.reading import TrainingLog
from hierarchical_reasoning.training.report.scales import percent_text
from hierarchical_reasoning.wording import counted

Tone = Literal["better", "worse", "same", "unknown"]
_MANY_WITHOUT_SPREAD = 0.5
_ALWAYS_ALIKE = 0.05
"""Entropy in nats below which what is trained as good as always does the same."""


def accuracy_of(record: EvaluationRecord) -> Accuracy:
    return Accuracy.of(record.correct, record.n)


def interval_of_change(before: Accuracy, after: Accuracy) -> tuple[float, float]:
    """The 95 % interval of after - before, from the Wilson bounds l, u of the two shares p::

        (d - sqrt((p2 - l2)² + (u1 - p1)²), d + sqrt((u2 - p2)² + (p1 - l1)²)),  d = p2 - p1

    Newcombe, R. G. (1998), "Interval estimation for the difference between independent proportions", method 10. The
    two shares here are of the same problems, which the log does not tell apart: where problems that were solved mostly
    stay so, the interval is wider than it need be.
    """
    p1, p2 = before.correct / before.n, after.correct / after.n
    below = math.hypot(p2 - after.low, before.high - p1)
    above = math.hypot(after.high - p2, p1 - before.low)
    return p2 - p1 - below, p2 - p1 + above


@dataclass(frozen=True)
class Comparison:
    """The first, the last and the best evaluation in one mode."""

    mode: Mode
    first: EvaluationRecord
    last: EvaluationRecord | None
    """None: there is one evaluation alone."""
    best: EvaluationRecord
    """Of equal ones, the earliest."""

    @property
    def change(self) -> float | None:
        return None if self.last is None else self.last.accuracy - self.first.accuracy

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.last is None:
            return None
        return interval_of_change(accuracy_of(self.first), accuracy_of(self.last))

    @property
    def tone(self) -> Tone:
        if self.interval is None:
            return "unknown"
        low, high = self.interval
        return "better" if low > 0 else "worse" if high < 0 else "same"


@dataclass(frozen=True)
class Headline:
    """What a reader who reads nothing else reads."""

    comparisons: tuple[Comparison, ...]
    sentences: tuple[tuple[Tone, str], ...]
    reasons: tuple[str, ...]
    """Why nothing was learned, or why nothing shows; empty where accuracy moved."""


def headline(log: TrainingLog) -> Headline:
    comparisons = tuple(
        Comparison(
            mode=mode,
            first=records[0],
            last=records[-1] if len(records) > 1 else None,
            # Of those that there is a checkpoint of, where there are any.
            best=max(
                [record for record in records if record.update] or records,
                key=lambda record: (record.accuracy, -record.update),
            ),
        )
        for mode, records in log.evaluations_by_mode().items()
    )
    if taught_nothing(log.updates):
        sentences: tuple[tuple[Tone, str], ...] = (
            (
                "worse",
                f"Nothing was learned: in {_all_of(len(log.updates))}, all rollouts of a problem had equal rewards.",
            ),
        )
        return Headline(comparisons, sentences, _why_nothing(log))
    sentences = tuple((comparison.tone, _sentence(comparison)) for comparison in comparisons)
    if not sentences:
        sentences = (("unknown", "Nothing was measured on held-out problems (--eval_rows 0, or not yet)."),)
    moved = any(tone in ("better", "worse") for tone, _ in sentences)
    return Headline(comparisons, sentences, () if moved else _why_little(log, comparisons))


def taught_nothing(updates: tuple[UpdateRecord, ...]) -> bool:
    """Whether no group of the whole run had spread, so that no gradient was ever taken."""
    return bool(updates) and all(update.groups == update.groups_without_spread for update in updates)


def when(record: EvaluationRecord) -> str:
    return "before training" if record.update == 0 else f"after update {record.update:,}"


def points_text(change: float) -> str:
    """Of shares, in percentage points, with its sign."""
    return f"{100 * change:+.1f}".replace("-", "−")


def _sentence(comparison: Comparison) -> str:
    first, last = comparison.first, comparison.last
    start = f"Held-out accuracy, {comparison.mode}: {percent_text(first.accuracy)} {when(first)}"
    if last is None or comparison.interval is None:
        return f"{start}; not measured again yet."
    low, high = comparison.interval
    judgement = {
        "better": "better",
        "worse": "worse",
        "same": f"no change that {counted(last.n, 'problem')} can show",
    }[comparison.tone]
    return (
        f"{start} → {percent_text(last.accuracy)} {when(last)}: {points_text(last.accuracy - first.accuracy)} points "
        f"[{points_text(low)}, {points_text(high)}], {judgement}."
    )


def _why_nothing(log: TrainingLog) -> tuple[str, ...]:
    updates, words = log.updates, log.words
    accuracies = {update.accuracy for update in updates}
    groups = sum(update.groups for update in updates)
    if accuracies == {0.0}:
        kind = f"No rollout was right: take problems that are solved now and then, or {words.stronger}."
    elif accuracies == {1.0}:
        kind = "Every rollout was right: take harder problems."
    else:
        kind = (
            f"Some problems were always solved and the others never: raise {words.raise_for_spread}, or take problems "
            "that are solved now and then."
        )
    return (
        f"All {counted(groups, 'group')} lacked spread, so there was no advantage and no gradient.",
        kind,
        *_alike(log),
    )


def _why_little(log: TrainingLog, comparisons: tuple[Comparison, ...]) -> tuple[str, ...]:
    if not log.updates:
        return ("There is no update yet.",)
    reasons = []
    groups = sum(update.groups for update in log.updates)
    without = sum(update.groups_without_spread for update in log.updates)
    if groups and without / groups >= _MANY_WITHOUT_SPREAD:
        reasons.append(
            f"{percent_text(without / groups)} of {groups:,} groups lacked spread and taught nothing."
        )
    reasons += _alike(log)
    measured = [comparison for comparison in comparisons if comparison.interval is not None]
    if measured:
        low, high = measured[-1].interval or (0.0, 0.0)
        reasons.append(
            f"With {counted(measured[-1].first.n, 'held-out problem')} the interval of a change is "
            f"{100 * (high - low):.0f} points wide; a larger --eval_rows narrows it."
        )
    return tuple(reasons)


def _alike(log: TrainingLog) -> tuple[str, ...]:
    entropy = log.updates[-1].entropy
    if entropy >= _ALWAYS_ALIKE:
        return ()
    return (log.words.always_alike.format(entropy=f"{entropy:.3g}"),)


def _all_of(n: int) -> str:
    return "the only update" if n == 1 else f"all {n:,} updates"
