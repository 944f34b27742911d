"""How a report writes numbers, and what it says of a family of comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from hierarchical_reasoning.compare.statistics import ArmComparison, Difference, StudyStatistics
from hierarchical_reasoning.results.intervals import Accuracy, Estimate

NOT_KNOWN = "–"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def accuracy_text(accuracy: Accuracy) -> str:
    """As "57.5 % [46.6, 67.7]"."""
    if accuracy.value is None:
        return NOT_KNOWN
    return f"{percent(accuracy.value)} [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"


def points(difference: float) -> str:
    """Percentage points with their sign, as "+4.0" or "−12.5"; what is not 0 does not look like 0."""
    found = 100 * difference
    if not found:
        return "0.0"
    return (f"{found:+.1f}" if abs(found) >= 0.05 else f"{found:+.1g}").replace("-", "−")


def difference_text(difference: Difference) -> str:
    """As "+4.0 [−1.5, +9.4]"."""
    if difference.value is None:
        return NOT_KNOWN
    return f"{points(difference.value)} [{points(difference.low)}, {points(difference.high)}]"


def p_text(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def whole(estimate: Estimate | None) -> str:
    """A mean as a whole number."""
    return NOT_KNOWN if estimate is None or estimate.value is None else f"{estimate.value:,.0f}"


def dollars(amount: float | None) -> str:
    """Three digits, and at least cents."""
    if amount is None:
        return NOT_KNOWN
    if amount == 0:
        return "$0"
    return f"${amount:,.2f}" if amount >= 0.995 else f"${amount:.3g}"


def ratio_text(estimate: Estimate | None) -> str:
    """As "4.1×"."""
    return NOT_KNOWN if estimate is None or estimate.value is None else f"{estimate.value:.1f}×"


def p_values(comparison: ArmComparison) -> str:
    """The p-value with its test and n, and what it was adjusted over."""
    numbers, test = _numbers(comparison), test_of(comparison)
    return numbers if test is None else f"{numbers} ({test})"


def short_p_values(comparison: ArmComparison, comparisons: Iterable[ArmComparison]) -> str:
    """The p-value; with test and n where these are not the `common_test` of the comparisons, which is said once."""
    return _numbers(comparison) if test_of(comparison) == common_test(comparisons) else p_values(comparison)


def common_test(comparisons: Iterable[ArmComparison]) -> str | None:
    """Test, n and correction of most of them; None where most have none."""
    tests = Counter(test_of(each) for each in comparisons)
    return tests.most_common(1)[0][0] if tests else None


def test_of(comparison: ArmComparison) -> str | None:
    """As "exact McNemar, n = 80, Holm over 6"."""
    significance = comparison.counting_errors.significance
    if significance is None:
        return None
    said = f"{significance.raw.test}, n = {significance.raw.n:,}"
    if significance.family_size == 1:
        return said
    return f"{said}, {significance.method} over {significance.family_size}"


def _numbers(comparison: ArmComparison) -> str:
    significance = comparison.counting_errors.significance
    if significance is None:
        return NOT_KNOWN
    raw = p_text(significance.raw.p)
    if significance.family_size == 1:
        return raw
    return f"{raw}, adjusted {p_text(significance.p).removeprefix('p = ').removeprefix('p ')}"


def families(comparisons: Iterable[ArmComparison]) -> list[tuple[str, list[ArmComparison]]]:
    """Comparisons that were declared together, by the noun of their family."""

    def noun(comparison: ArmComparison) -> str:
        significance = comparison.counting_errors.significance
        return "" if significance is None else significance.family

    found: dict[str, list[ArmComparison]] = {}
    for name, members in groupby(comparisons, noun):
        found.setdefault(name, []).extend(members)
    return list(found.items())


def verdicts(statistics: StudyStatistics) -> list[tuple[str, str]]:
    """For each family its noun, and a sentence: which of its comparisons were decided, and how many were not."""
    return [
        (_capitalized(noun or "comparisons"), _verdict(members, statistics.alpha))
        for noun, members in families(statistics.comparisons)
    ]


def is_shown(comparison: ArmComparison, alpha: float) -> bool:
    """Whether it is significant after the correction."""
    significance = comparison.counting_errors.significance
    return significance is not None and significance.p <= alpha


def _verdict(members: Sequence[ArmComparison], alpha: float) -> str:
    shown = [each for each in members if is_shown(each, alpha)]
    better = [each for each in shown if (each.counting_errors.difference.value or 0) > 0]
    worse = [each for each in shown if each not in better]
    said = [_decided(decided, what) for decided, what in ((better, "better"), (worse, "worse")) if decided]
    open_ones, all_of_them = len(members) - len(shown), len(members)
    if open_ones and shown:
        said.append(f"No difference is shown for the other {open_ones} of {all_of_them}.")
    elif open_ones:
        said.append("No difference is shown" + (f" in any of {all_of_them}." if all_of_them > 1 else "."))
    correction = f"Holm over {all_of_them}, " if all_of_them > 1 else ""
    return f"{' '.join(said)} ({correction}α = {alpha:g})"


def _decided(decided: Sequence[ArmComparison], what: str) -> str:
    each = [f"{one.arm_label} than {one.baseline_label} by {_size(one)} points" for one in decided]
    return f"Shown to be {what}: {', '.join(each)}."


def _size(comparison: ArmComparison) -> str:
    return points(abs(comparison.counting_errors.difference.value or 0)).removeprefix("+")


def encodable(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 file can hold, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
