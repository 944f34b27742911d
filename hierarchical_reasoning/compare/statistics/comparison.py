"""A family of comparisons: each arm beside its baseline on the same problems, p-values adjusted over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hierarchical_reasoning.compare.statistics.declared import Family, Settings
from hierarchical_reasoning.compare.statistics.differences import (
    Pair,
    Shares,
    differences_of,
    estimate_difference,
    pairs_of,
)
from hierarchical_reasoning.compare.statistics.inputs import ArmOutcomes, StudyOutcomes
from hierarchical_reasoning.compare.statistics.measured import measured_ratio
from hierarchical_reasoning.compare.statistics.power import detectable
from hierarchical_reasoning.compare.statistics.records import (
    Adjusted,
    ArmComparison,
    ErrorBounds,
    PairedResult,
)
from hierarchical_reasoning.compare.statistics.significance import holm, paired_test
from hierarchical_reasoning.compare.statistics.strata import stratify
from hierarchical_reasoning.results.intervals import Estimate


@dataclass(frozen=True)
class _Compared:
    arm: ArmOutcomes
    baseline: ArmOutcomes
    pairs: list[Pair]

    @property
    def samples(self) -> int:
        return max((n for pair in self.pairs for n in pair.finished), default=1)

    @property
    def counting_errors(self) -> Counter[Shares]:
        return Counter(pair.counting_errors for pair in self.pairs)

    @property
    def completed(self) -> Counter[Shares]:
        return Counter(pair.completed for pair in self.pairs if pair.completed is not None)


def compare_family(study: StudyOutcomes, family: Family, settings: Settings) -> list[ArmComparison]:
    """Every comparison of the family, in its order. Raises ConfigError for an arm that is not the study's."""
    compared = []
    for name, baseline_name in family.pairs:
        arm, baseline = study.arm(name), study.arm(baseline_name)
        compared.append(_Compared(arm, baseline, pairs_of(arm, baseline)))
    samples = [one.samples for one in compared]
    counting = paired_results([one.counting_errors for one in compared], samples, family.noun, settings.seed)
    completed = paired_results([one.completed for one in compared], samples, family.noun, settings.seed)
    return [
        _comparison(study, *each, family_size=len(compared), settings=settings)
        for each in zip(compared, counting, completed, strict=True)
    ]


def paired_results(
    shares: Sequence[Counter[Shares]], samples: Sequence[int], noun: str, seed: int
) -> list[PairedResult]:
    """The results of a family. A comparison without a problem counts in it as one with p = 1.

    Args:
        shares: of each comparison, how many problems have them.
        samples: of each comparison, a problem, at most.
        noun: of the family.
        seed: of intervals and tests.
    """
    differences = [differences_of(of_one) for of_one in shares]
    raw = [
        paired_test(of_one, samples=n, seed=seed) if of_one else None
        for of_one, n in zip(differences, samples, strict=True)
    ]
    adjusted = holm([1.0 if one is None else one.p for one in raw])
    return [
        PairedResult(
            arm_accuracy=_mean(of_one, lambda share: share.arm),
            baseline_accuracy=_mean(of_one, lambda share: share.baseline),
            difference=estimate_difference(differences[place], samples=samples[place], seed=seed),
            better=sum(count for one, count in differences[place].items() if one > 0),
            worse=sum(count for one, count in differences[place].items() if one < 0),
            uneven=sum(count for share, count in of_one.items() if share.n[0] != share.n[1]),
            significance=None
            if (found := raw[place]) is None
            else Adjusted(raw=found, family=noun, family_size=len(raw), p=adjusted[place]),
        )
        for place, of_one in enumerate(shares)
    ]


def _comparison(
    study: StudyOutcomes,
    one: _Compared,
    counting: PairedResult,
    completed: PairedResult,
    *,
    family_size: int,
    settings: Settings,
) -> ArmComparison:
    by_problem = {pair.problem_id: pair.counting_errors for pair in one.pairs}
    differences = differences_of(one.counting_errors)
    alphas = dict.fromkeys((settings.alpha, settings.alpha / family_size)) if one.pairs else {}
    return ArmComparison(
        arm=one.arm.name,
        baseline=one.baseline.name,
        arm_label=one.arm.called,
        baseline_label=one.baseline.called,
        samples=one.samples,
        counting_errors=counting,
        completed=completed,
        errors=sum(pair.errors[0] for pair in one.pairs),
        baseline_errors=sum(pair.errors[1] for pair in one.pairs),
        error_bounds=_error_bounds(one.pairs),
        left_out=len(study.problems) - len(one.pairs),
        token_ratio=_token_ratio(one, settings.seed),
        strata=stratify(by_problem, study.problems, samples=one.samples, seed=settings.seed),
        detectable=tuple(
            detectable(differences, samples=one.samples, power=settings.power, alpha=alpha)
            for alpha in alphas
        ),
    )


def _mean(shares: Counter[Shares], value: Callable[[Shares], Fraction]) -> float | None:
    """Over problems; None without one."""
    n = shares.total()
    return float(sum(value(share) * count for share, count in shares.items()) / n) if n else None


def _error_bounds(pairs: Sequence[Pair]) -> ErrorBounds | None:
    low, high = (
        _mean(
            Counter(pair.with_errors_right(of_arm=of_arm) for pair in pairs), lambda share: share.difference
        )
        for of_arm in (False, True)
    )
    return None if low is None or high is None else ErrorBounds(low=low, high=high)


def _token_ratio(one: _Compared, seed: int) -> Estimate | None:
    ids = [pair.problem_id for pair in one.pairs if pair.completed is not None]
    tokens = [(one.arm.problems[each].tokens, one.baseline.problems[each].tokens) for each in ids]
    return measured_ratio(tokens, seed=seed) if all(of_baseline for _, of_baseline in tokens) else None
