"""What a comparison shows, in a sentence that claims no more than that.

It always has the interval, and every p-value its test, its n, and what it was adjusted over. That a difference is not
shown never becomes that there is none.
"""

from __future__ import annotations

from hierarchical_reasoning.compare.statistics.power import ALPHA
from hierarchical_reasoning.compare.statistics.records import (
    Adjusted,
    ArmComparison,
    Detectable,
    Difference,
    PairedResult,
)
from hierarchical_reasoning.wording import counted


def sentence(comparison: ArmComparison, alpha: float = ALPHA) -> str:
    """The comparison in words; and where there were errors, or problems are owed, what that means for it."""
    result = comparison.counting_errors
    arm, baseline = _capitalized(comparison.arm_label), comparison.baseline_label
    if result.difference.value is None or result.significance is None:
        return f"{arm} and {baseline} have finished no problem in common: nothing can be compared."
    value, n = result.difference.value, counted(result.difference.n, "problem")
    said = [
        f"{arm} solved {_amount(value)} of the same {n} {'than' if value else 'as'} {baseline} "
        f"({_evidence(result, result.significance)}): "
        f"{_verdict(result.significance, comparison.detectable[0], alpha)}."
    ]
    if comparison.errors or comparison.baseline_errors:
        said.append(_errors(comparison, alpha))
    if comparison.left_out:
        said.append(
            f"Left out: {counted(comparison.left_out, 'problem')} that one of the two has not finished."
        )
    return " ".join(said)


def _evidence(result: PairedResult, significance: Adjusted) -> str:
    raw = significance.raw
    parts = [
        f"95 % interval {_interval(result.difference)}",
        f"{raw.test}, n = {raw.n:,}, better on {result.better:,} and worse on {result.worse:,}, p {_p(raw.p)}",
    ]
    if significance.family_size > 1:
        parts.append(
            f"{significance.method} over {significance.family_size} {significance.family} p {_p(significance.p)}"
        )
    if result.uneven:
        parts.append(f"approximate, as {counted(result.uneven, 'problem')} had unequal numbers of samples")
    return "; ".join(parts)


def _verdict(significance: Adjusted, detectable: Detectable, alpha: float) -> str:
    alone = significance.family_size == 1
    if significance.p <= alpha:
        return "shown" if alone else "shown after correction"
    if significance.raw.p <= alpha:
        return "not shown after correction"
    found = (
        f"{counted(detectable.n, 'problem')} are too few to find any difference with power {detectable.power:g}"
        if detectable.difference is None
        else f"power {detectable.power:g} to find a true difference of {_points(detectable.difference)} points"
    )
    return f"not shown, which does not show that the two are alike ({found}{'' if alone else ', before correction'})"


def _errors(comparison: ArmComparison, alpha: float) -> str:
    result, bounds = comparison.completed, comparison.error_bounds
    counts = (
        f"Counted as wrong: {counted(comparison.errors, 'error')} of {comparison.arm_label} and "
        f"{comparison.baseline_errors:,} of {comparison.baseline_label}"
    )
    if result.difference.value is None or result.significance is None or bounds is None:
        return f"{counts}; there is no problem that both completed."
    verdict = "shown" if result.significance.p <= alpha else "not shown"
    return (
        f"{counts}; on the {counted(result.difference.n, 'problem')} that both completed, {comparison.arm_label} "
        f"solved {_amount(result.difference.value)} ({_evidence(result, result.significance)}): {verdict}. "
        f"However the errors would have ended, the difference lies between {_signed(bounds.low)} and "
        f"{_signed(bounds.high)}."
    )


def _amount(value: float) -> str:
    return _signed(value) if value else "exactly as many"


def _signed(value: float) -> str:
    return f"{_points(abs(value))} points {'fewer' if value < 0 else 'more'}"


def _interval(difference: Difference) -> str:
    low, high = difference.low, difference.high
    if low < 0 < high:
        return f"{_points(-low)} fewer to {_points(high)} more"
    near, far = sorted((abs(low), abs(high)))
    return f"{_points(near)} to {_points(far)} {'fewer' if low < 0 else 'more'}"


def _points(share: float) -> str:
    """Percentage points; one that is not 0 does not look like 0."""
    points = 100 * share
    return f"{points:.1f}" if not points or points >= 0.05 else f"{points:.1g}"


def _p(p: float) -> str:
    if p < 0.001:
        return "< 0.001"
    return f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _capitalized(label: str) -> str:
    return label[:1].upper() + label[1:]
