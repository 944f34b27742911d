"""What followed what on the held-out problems, before training and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.training.log import START, EvaluationRecord, Mode
from hierarchical_reasoning.training.report.headline import interval_of_change
from hierarchical_reasoning.training.report.reading import TrainingLog
from hierarchical_reasoning.training.report.thought_types import thought_types

SHOWN_CHANGES = 10
LEAST_VISITS = 5
"""Of an origin, before and after, for its changes to be listed: below it, one choice more or less is a large one."""

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Cell:
    """How often one option followed another."""

    count: int
    visits: int
    """How often anything did; at least 1."""

    @property
    def share(self) -> float:
        return self.count / self.visits


@dataclass(frozen=True)
class Change:
    """A transition that became likelier, or less likely."""

    origin: str
    target: str
    before: Cell
    after: Cell

    @property
    def difference(self) -> float:
        return self.after.share - self.before.share

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, as if each visit were drawn by itself."""
        return interval_of_change(
            Accuracy.of(self.before.count, self.before.visits),
            Accuracy.of(self.after.count, self.after.visits),
        )


@dataclass(frozen=True)
class TransitionTables:
    """Two evaluations in one mode."""

    mode: Mode
    first: EvaluationRecord
    last: EvaluationRecord | None
    """None: there is one evaluation alone."""
    origins: tuple[str, ...]
    targets: tuple[str, ...]
    """Those that occur in either, in the order of `thought_types`; `START` before them."""

    def before(self, origin: str, target: str) -> Cell | None:
        """None: the origin was not visited."""
        return _cell(self.first.transitions, origin, target)

    def after(self, origin: str, target: str) -> Cell | None:
        return None if self.last is None else _cell(self.last.transitions, origin, target)

    def changes(self) -> list[Change]:
        """Of origins with LEAST_VISITS before and after, the largest first."""
        found = []
        for origin in self.origins:
            for target in self.targets:
                before, after = self.before(origin, target), self.after(origin, target)
                if before is None or after is None or min(before.visits, after.visits) < LEAST_VISITS:
                    continue
                if before.share != after.share:
                    found.append(Change(origin, target, before, after))
        return sorted(found, key=lambda change: -abs(change.difference))


def transition_tables(log: TrainingLog) -> list[TransitionTables]:
    """One for each mode in which a transition was seen."""
    names = thought_types(log)
    tables = [_tables(mode, records, names) for mode, records in log.evaluations_by_mode().items()]
    return [table for table in tables if table.targets]


def _tables(mode: Mode, records: Sequence[EvaluationRecord], names: Sequence[str]) -> TransitionTables:
    first, last = records[0], records[-1] if len(records) > 1 else None
    both = [record.transitions for record in (first, last) if record is not None]
    origins = {origin for counts in both for origin, row in counts.items() if sum(row.values())}
    targets = {target for counts in both for row in counts.values() for target, count in row.items() if count}
    return TransitionTables(
        mode,
        first,
        last,
        origins=tuple(name for name in (START, *names) if name in origins),
        targets=tuple(name for name in names if name in targets),
    )


def _cell(counts: Counts, origin: str, target: str) -> Cell | None:
    row = counts.get(origin, {})
    visits = sum(row.values())
    return Cell(row.get(target, 0), visits) if visits else None
