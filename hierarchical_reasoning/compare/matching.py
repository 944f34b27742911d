"""Compute-matched baselines: as many vanilla samples vote as take what an arm took.

More tokens alone may explain a gain. So an arm that took T on a problem, on average, where one vanilla sample takes t,
is compared with the majority vote of k = ceil(T / t) vanilla samples: rounded up, which favours the baseline. T and t
are means over the problems that both finished without an error. Where a value head chooses among vanilla samples, t is
the mean of these, so that k is how many they are, or more where the head takes tokens too. An arm's k is chosen once,
when the arm and the vanilla samples beside it are complete, and stays.

The unit is `StudyPlan.matched_by`. Tokens of prompts and replies are counted as a server bills them without a discount:
those that a prefix cache served are among them, so a trace of many calls counts its beginning with each. How many a
cache served differs from session to session, and so `processed`, which leaves them out, may choose another k another
time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import add

from pydantic import Field

from hierarchical_reasoning.compare.arms import VANILLA, vanilla_of
from hierarchical_reasoning.compare.journals import ArmJournals
from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.compare.plan import (
    ArmPlan,
    Record,
    StudyPlan,
    StudyProblem,
    Unit,
    read_record,
    write_record,
)
from hierarchical_reasoning.results.records import NOTHING_SPENT, ResultEntry
from hierarchical_reasoning.values.encoders.served import ROLE as VALUE_HEAD

ROUNDING = 1e-9
"""A ratio that is this near to a whole number is that number."""


class Match(Record):
    """The matched baseline of an arm."""

    votes: int | None
    """Samples that vote; 1: vanilla itself. None where nothing could be measured."""
    twin: str | None
    """The arm; None where there is none, and `reason` says why."""
    arm_spent: float | None = None
    """A problem, in the study's unit; all samples together."""
    vanilla_spent: float | None = None
    problems: int = 0
    """That were measured."""
    reason: str = ""


class Matched(Record):
    """The content of ``matched.json``."""

    version: int = 1
    unit: Unit
    arms: dict[str, Match] = Field(default_factory=dict)
    """By the name of the arm."""

    def twin(self, arm: str) -> str | None:
        """The matched baseline of an arm; None where it has none, or none yet."""
        match = self.arms.get(arm)
        return None if match is None else match.twin


def needs_twin(plan: StudyPlan, arm: ArmPlan) -> bool:
    """Whether the arm is one that may have gained by tokens alone."""
    return plan.matched and plan.kind(arm) not in ("vanilla", "majority")


def rounds(plan: StudyPlan) -> int:
    """How often all shards must be done: twice, where what the second time does depends on all of the first."""
    return 2 if any(needs_twin(plan, arm) for arm in plan.arms) else 1


def read_matched(files: StudyFiles, plan: StudyPlan) -> Matched:
    """What was chosen so far."""
    known = read_record(files.matched, Matched) if plan.matched else None
    return known or Matched(unit=plan.matched_by)


def all_arms(plan: StudyPlan, matched: Matched) -> tuple[ArmPlan, ...]:
    """The arms that were asked for, and the twins."""
    twins = {}
    for name, match in matched.arms.items():
        if match.twin is not None and match.votes is not None and match.votes > 1:
            vanilla = _vanilla(plan, plan.arm(name))
            twins[match.twin] = ArmPlan(
                name=match.twin, settings=vanilla.settings, votes=match.votes, of=vanilla.name, implied=True
            )
    asked = {arm.name for arm in plan.arms}
    return (*plan.arms, *(twin for name, twin in twins.items() if name not in asked))


def samples_needed(plan: StudyPlan, arms: Sequence[ArmPlan]) -> dict[str, int]:
    """Of every problem, by the name of the arm whose run makes them."""
    needed: dict[str, int] = {}
    for arm in arms:
        needed[arm.run] = max(needed.get(arm.run, 0), plan.samples * arm.votes)
    return needed


def choose_twins(
    files: StudyFiles, plan: StudyPlan, problems: Sequence[StudyProblem]
) -> tuple[Matched, tuple[str, ...]]:
    """Choose those that can be chosen by now; also returns the arms whose twins cannot."""
    known = read_matched(files, plan)
    if not any(_is_open(plan, known, arm) for arm in plan.arms):
        return known, ()
    with files.changing():
        matched, waiting = read_matched(files, plan), []
        found: dict[str, Match] = {}
        for arm in plan.arms:
            if not _is_open(plan, matched, arm):
                continue
            match = _match(files, plan, problems, arm)
            if match is None:
                waiting.append(arm.name)
            else:
                found[arm.name] = match
        changed = matched.model_copy(update={"arms": matched.arms | found})
        if changed != matched:
            write_record(files.matched, changed)
    return changed, tuple(waiting)


def spent(entry: ResultEntry, unit: Unit) -> int:
    """What an attempt took."""
    used = reduce(add, entry.usage.values(), NOTHING_SPENT)
    if unit == "completion":
        return used.completion_tokens
    tokens = used.prompt_tokens + used.completion_tokens
    return tokens - used.cached_tokens if unit == "processed" else tokens


def _is_open(plan: StudyPlan, matched: Matched, arm: ArmPlan) -> bool:
    """Whether the arm's twin is still to be chosen: it was not, or had too many votes, which are allowed now."""
    if not needs_twin(plan, arm):
        return False
    match = matched.arms.get(arm.name)
    return match is None or (match.twin is None and (match.votes is None or match.votes <= plan.most_votes))


def _match(
    files: StudyFiles, plan: StudyPlan, problems: Sequence[StudyProblem], arm: ArmPlan
) -> Match | None:
    """None as long as not everything is there."""
    vanilla = _vanilla(plan, arm)
    of_arm, of_vanilla = ArmJournals(files, arm.name), ArmJournals(files, vanilla.name)
    if not (_has(of_arm, problems, plan.samples * arm.votes) and _has(of_vanilla, problems, plan.samples)):
        return None
    measured = [
        both for problem in problems if (both := _taken(plan, arm, problem, of_arm, of_vanilla)) is not None
    ]
    n = len(measured)
    arm_spent, vanilla_spent = (sum(each) for each in zip(*measured, strict=True)) if measured else (0, 0)
    if not vanilla_spent:
        reason = f"no problem was finished without an error by both {arm.name} and {vanilla.name}"
        return Match(votes=None, twin=None, reason=reason)
    votes = max(1, math.ceil(arm_spent / vanilla_spent - ROUNDING))
    means = {"arm_spent": arm_spent / n, "vanilla_spent": vanilla_spent / n, "problems": n}
    if votes > plan.most_votes:
        reason = (
            f"{arm.name} took as much as {votes} vanilla samples, and --most_votes allows {plan.most_votes}; with "
            f"--most_votes {votes} the study goes on with that baseline"
        )
        return Match(votes=votes, twin=None, reason=reason, **means)
    return Match(votes=votes, twin=_twin_name(plan, vanilla, votes), **means)


def _has(journals: ArmJournals, problems: Sequence[StudyProblem], samples: int) -> bool:
    made = journals.outcomes
    return all((problem.id, sample) in made for problem in problems for sample in range(samples))


def _taken(
    plan: StudyPlan, arm: ArmPlan, problem: StudyProblem, of_arm: ArmJournals, of_vanilla: ArmJournals
) -> tuple[float, float] | None:
    """What the arm took on a problem, and what vanilla did; None where that was not finished without an error. Of
    samples among which a value head chooses, those that ended in an error count as the others do on average."""
    unit, wanted = plan.matched_by, plan.samples * arm.votes
    ours = _finished(of_arm, problem, wanted)
    if not ours or (len(ours) < wanted and not arm.is_choice):
        return None
    taken = sum(spent(entry, unit) for entry in ours) * wanted / len(ours)
    if arm.is_choice and plan.config(arm).vanilla_baseline:
        return taken, sum(spent(_unvalued(entry), unit) for entry in ours) * plan.samples / len(ours)
    theirs = _finished(of_vanilla, problem, plan.samples)
    return None if len(theirs) < plan.samples else (taken, sum(spent(entry, unit) for entry in theirs))


def _finished(journals: ArmJournals, problem: StudyProblem, samples: int) -> list[ResultEntry]:
    """The entries of a problem, without those of errors."""
    entries = [journals.entry((problem.id, sample)) for sample in range(samples)]
    return [entry for entry in entries if entry is not None and entry.error is None]


def _unvalued(entry: ResultEntry) -> ResultEntry:
    """The entry without what its value took."""
    usage = {role: used for role, used in entry.usage.items() if role != VALUE_HEAD}
    return entry.model_copy(update={"usage": usage})


def _twin_name(plan: StudyPlan, vanilla: ArmPlan, votes: int) -> str:
    if votes == 1:
        return vanilla.name
    for arm in plan.arms:
        if arm.of == vanilla.name and arm.votes == votes:
            return arm.name
    return f"maj@{votes}" if vanilla.name == VANILLA else f"{vanilla.name}.maj@{votes}"


def _vanilla(plan: StudyPlan, arm: ArmPlan) -> ArmPlan:
    found = vanilla_of(arm, plan.arms)
    assert found is not None, "a plan that is matched has the vanilla arm of each"
    return found
