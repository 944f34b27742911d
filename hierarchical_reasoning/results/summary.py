"""The numbers of a run, found in one pass over its entries, none of which is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import (
    ResultEntry,
    RoleUsage,
    Summary,
    TreesSummary,
    sum_of_costs,
)
from hierarchical_reasoning.results.sampling import Sampled, summarize_samples
from hierarchical_reasoning.results.tally import Tally, add_usage
from hierarchical_reasoning.wording import counted

ALARM_FROM = 3
"""With fewer problems, that all fail alike says nothing."""
_FAILURES = (Outcome.WRONG, Outcome.NO_ANSWER, Outcome.TRUNCATED, Outcome.ERROR)


@dataclass(frozen=True)
class Plan:
    """What a complete run has."""

    n: int
    """Entries."""
    samples: int = 1
    """A problem."""
    seed: int = 0
    """Draws tied votes and what intervals are found from."""
    ballot: Callable[[str], str] = str
    """An answer in the form that equal answers share."""


@dataclass(frozen=True)
class Sessions:
    """What it took besides the entries themselves."""

    wall_seconds: float | None = None
    n: int = 1
    unfinished: Iterable[Mapping[str, RoleUsage]] = ()
    """What was spent on attempts that were left unfinished."""
    besides: Mapping[str, RoleUsage] = field(default_factory=dict)
    """What was spent on no problem in particular, by role."""


def summarize(
    entries: Iterable[ResultEntry],
    *,
    plan: Plan | None = None,
    superseded: Iterable[ResultEntry] = (),
    sessions: Sessions | None = None,
    stopped: str | None = None,
    trees: TreesSummary | None = None,
) -> Summary:
    """The numbers of a run, both denominators of accuracy, and what must be said loudly.

    Args:
        entries: one a problem and sample, the samples of a problem one after the other.
        plan: what they would be if none was missing; None: one sample a problem, and none is.
        superseded: attempts that ended in an error and were made again; they were paid for too.
        sessions: in which they were made.
        stopped: why some are missing, where some are.
        trees: of the searches, where there were any.
    """
    sessions = sessions or Sessions()
    tally, signs = Tally(plan.seed if plan else Plan.seed), _Signs()
    sampled: dict[str, list[Sampled]] = {}
    for entry in entries:
        tally.add(entry)
        signs.add(entry)
        if plan is not None and plan.samples > 1:
            sampled.setdefault(entry.problem_id, []).append(_sampled(entry, plan.ballot))
    plan = plan or Plan(tally.n)
    usage = {**sessions.besides, **tally.usage}
    earlier: dict[str, RoleUsage] = {}
    for used in (*(entry.usage for entry in superseded), *sessions.unfinished):
        add_usage(earlier, used)
    costs = [used.cost_usd for used in (*usage.values(), *earlier.values())]
    missing = plan.n - tally.n
    return Summary(
        n=tally.n,
        outcomes={outcome: tally.outcomes[outcome] for outcome in Outcome},
        accuracy=tally.accuracy,
        accuracy_completed=tally.accuracy_completed,
        usage=usage,
        usage_of_earlier_attempts=earlier,
        cost_usd=None if not costs else reduce(sum_of_costs, costs),
        tokens_per_problem=tally.tokens_per_problem,
        seconds=tally.seconds,
        seconds_per_problem=tally.seconds_per_problem,
        peak_memory_bytes=tally.peak_bytes,
        peak_gpu_memory_bytes=tally.peak_gpu_bytes,
        wall_seconds=sessions.wall_seconds,
        sessions=sessions.n,
        alarms=tuple(signs.alarms(tally, missing, stopped)),
        thoughts_cut_off=signs.thoughts_cut_off,
        stopped=stopped if missing else None,
        missing=missing,
        sampling=None
        if plan.samples == 1
        else summarize_samples(sampled, samples=plan.samples, seed=plan.seed),
        trees=trees,
    )


@dataclass
class _Signs:
    """What tells, entry by entry, that something is wrong with all of them."""

    thoughts_cut_off: int = 0
    first: ResultEntry | None = None
    causes: set[str] = field(default_factory=set)
    error_causes: Counter[str] = field(default_factory=Counter)
    all_failed: bool = True
    one_answer: bool = True
    """All entries so far have the same answer."""
    one_truth: bool = True
    thoughtless: int = 0
    """Entries of a hierarchical run that were finished before a thought was written."""

    def add(self, entry: ResultEntry) -> None:
        self.first = self.first or entry
        self.thoughts_cut_off += sum(step.truncated for step in entry.steps)
        cause = _cause(entry)
        self.causes.add(cause)
        if entry.outcome is Outcome.ERROR:
            self.error_causes[cause] += 1
        self.all_failed &= entry.outcome in _FAILURES
        planned = entry.use_hierarchical and entry.outcome is not Outcome.ERROR and bool(entry.steps)
        self.thoughtless += planned and not entry.thoughts
        self.one_answer &= entry.extracted_answer == self.first.extracted_answer
        self.one_truth &= entry.ground_truth == self.first.ground_truth

    def alarms(self, tally: Tally, missing: int, stopped: str | None) -> list[str]:
        n = tally.n
        noun = "problem" if n == tally.n_problems else "sample"
        alarms = []
        if missing:
            because = f" ({stopped})" if stopped else ""
            alarms.append(
                f"these results are partial: {missing} of {counted(n + missing, noun)} missing{because}; "
                "go on with --resume"
            )
        if n < ALARM_FROM or self.first is None:
            return alarms
        errors = tally.outcomes[Outcome.ERROR]
        if self.all_failed and len(self.causes) == 1:
            alarms.append(
                f"ALL {n} {noun}s failed for the same reason ({self.first.outcome}: {self.causes.copy().pop()}); "
                f"the first is {self.first.problem_id}: {self.first.reason}"
            )
        elif errors * 2 >= n:
            named = ", ".join(f"{cause} ({count})" for cause, count in self.error_causes.most_common())
            alarms.append(f"{errors} of {n} {noun}s ended in an error: {named}")
        if self.thoughtless * 2 >= n:
            alarms.append(
                f"{self.thoughtless} of {n} {noun}s were answered without a thought: the planner chose to finish at "
                "once"
            )
        if self.one_answer and self.first.extracted_answer is not None and not self.one_truth:
            alarms.append(f"every one of the {n} answers is the same: {self.first.extracted_answer!r}")
        return alarms


def _sampled(entry: ResultEntry, ballot: Callable[[str], str]) -> Sampled:
    answer = entry.extracted_answer
    return Sampled(
        answer=answer,
        ballot=None if answer is None else ballot(answer),
        is_correct=entry.is_correct,
        value=entry.value,
        has_truth=entry.is_correct is not None
        or (entry.outcome is Outcome.ERROR and entry.ground_truth is not None),
    )


def _cause(entry: ResultEntry) -> str:
    """The part of a reason that does not change from problem to problem (see `Grade.reason`)."""
    return entry.error.type if entry.error else entry.reason.partition(":")[0]
