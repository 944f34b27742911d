"""Whole studies: every number by another route, what is left out said, and the sentences."""

from __future__ import annotations

import random
from itertools import permutations
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_studies import arm, study

from hierarchical_reasoning.compare.statistics import (
    ArmComparison,
    ArmOutcomes,
    Family,
    ProblemFacts,
    StudyStatistics,
    default_families,
    sentence,
    study_statistics,
)
from hierarchical_reasoning.compare.statistics.strata import difficulty_groups, heterogeneity
from hierarchical_reasoning.errors import ConfigError, ResultsFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ErrorRecord, ResultEntry, RoleUsage
from hierarchical_reasoning.results.summary import summarize

GAINED, LOST = ["+"] * 31 + ["-"] * 14, ["-"] * 31 + ["+"] * 14
VANILLA, LEVEL = LOST + ["+"] * 100 + ["-"] * 55, GAINED + ["+"] * 100 + ["n"] * 55


def only(*arms: ArmOutcomes, facts: dict[str, ProblemFacts] | None = None) -> ArmComparison:
    """The second arm against the first."""
    family = Family("levels", ((arms[1].name, arms[0].name),))
    (found,) = study_statistics(study(*arms, facts=facts), [family]).comparisons
    return found


def test_a_study_of_levels_is_what_statsmodels_says() -> None:
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportion_confint

    rng = random.Random(7)
    vanilla = [rng.random() < 0.6 for _ in range(200)]
    levels = [[one ^ (rng.random() < 0.05 + 0.04 * level) for one in vanilla] for level in range(7)]
    lettered = [["+" if one else "-" for one in right] for right in (vanilla, *levels)]
    arms = [arm(name, text) for name, text in zip(("vanilla", *map(str, range(7))), lettered, strict=True)]
    made = study(*arms)
    found = study_statistics(made, default_families(made, noun="levels"))
    raw = []
    for level, comparison in zip(levels, found.comparisons, strict=True):
        table = [
            [sum((a, b) == cell for a, b in zip(level, vanilla, strict=True)) for cell in row]
            for row in TABLE
        ]
        raw.append(mcnemar(table, exact=True).pvalue)
        result = comparison.counting_errors
        assert (result.better, result.worse) == (table[0][1], table[1][0])
        assert result.difference.value == pytest.approx(fmean(level) - fmean(vanilla))
        assert result.significance is not None
        assert result.significance.raw.p == pytest.approx(raw[-1])
        assert result.significance.raw.n == 200
        assert result == comparison.completed
    adjusted = [one.counting_errors.significance.p for one in found.comparisons]  # type: ignore[union-attr]
    assert adjusted == pytest.approx(list(multipletests(raw, method="holm")[1]))
    for record, right in zip(found.arms, (vanilla, *levels), strict=True):
        low, high = proportion_confint(sum(right), 200, method="wilson")
        assert (record.accuracy.value, record.accuracy.low, record.accuracy.high) == pytest.approx(
            (fmean(right), low, high)
        )
    assert StudyStatistics.model_validate_json(found.model_dump_json()) == found


TABLE = (((True, True), (True, False)), ((False, True), (False, False)))


def test_the_sentence_of_a_difference_that_correction_takes() -> None:
    arms = [arm("vanilla", VANILLA), *(arm(f"level {n}", LEVEL if n == 3 else VANILLA) for n in range(7))]
    made = study(*arms)
    found = study_statistics(made, default_families(made, noun="levels"))
    assert sentence(found.comparisons[3]) == (
        "Level 3 solved 8.5 points more of the same 200 problems than vanilla (95 % interval 1.9 to 15.0 more; exact "
        "McNemar, n = 200, better on 31 and worse on 14, p = 0.016; Holm over 7 levels p = 0.11): not shown after "
        "correction."
    )


def test_the_other_sentences() -> None:
    one = only(arm("vanilla", LEVEL), arm("level 3", VANILLA))
    assert "solved 8.5 points fewer of" in sentence(one)
    assert "interval 1.9 to 15.0 fewer" in sentence(one)
    assert sentence(one).endswith("p = 0.016): shown.")
    same = sentence(only(arm("vanilla", VANILLA), arm("level 3", VANILLA)))
    assert same.startswith(
        "Level 3 solved exactly as many of the same 200 problems as vanilla (95 % interval 1.4 fewer to"
    )
    assert same.endswith(
        "which does not show that the two are alike (power 0.8 to find a true difference of 3.9 points)."
    )
    few = sentence(only(arm("vanilla", "+-+"), arm("level 3", "-++")))
    assert "3 problems are too few to find any difference with power 0.8" in few
    none = sentence(only(arm("vanilla", {"a": "+"}), arm("level 3", {"b": "+"})))
    assert none == "Level 3 and vanilla have finished no problem in common: nothing can be compared."


@settings(max_examples=60)
@given(data=st.data(), samples=st.integers(1, 3), n=st.integers(1, 8))
def test_any_study_is_told_honestly(data: st.DataObject, samples: int, n: int) -> None:
    text = st.text("+-nte.", min_size=samples, max_size=samples)
    one, other = (
        arm(name, data.draw(st.lists(text, min_size=n, max_size=n))) for name in ("vanilla", "level 3")
    )
    forth, back = only(one, other), only(other, one)
    said = sentence(forth)
    assert "no difference" not in said
    for result, mirrored in (
        (forth.counting_errors, back.counting_errors),
        (forth.completed, back.completed),
    ):
        assert (result.better, result.worse) == (mirrored.worse, mirrored.better)
        assert (result.difference.low, result.difference.high) == pytest.approx(
            (-mirrored.difference.high, -mirrored.difference.low)
        )
        assert result.significance == mirrored.significance
        if result.significance is not None:
            assert f"{result.significance.raw.test}, n = {result.difference.n}, " in said
    if forth.left_out:
        assert f"Left out: {forth.left_out} problem" in said or "nothing can be compared" in said
    bounds, value = forth.error_bounds, forth.counting_errors.difference.value
    assert (bounds is None) == (value is None)
    if bounds is not None and value is not None:
        assert bounds.low - 1e-9 <= value <= bounds.high + 1e-9
    shuffled = [
        ArmOutcomes(which.name, dict(data.draw(st.permutations(list(which.problems.items())))))
        for which in (one, other)
    ]
    again = only(*shuffled)
    assert again.counting_errors == forth.counting_errors
    assert again.completed == forth.completed


def test_errors_and_problems_owed_are_counted_and_said() -> None:
    vanilla, level = arm("vanilla", "+-e+-."), arm("level 3", "++++e+")
    found = only(vanilla, level)
    assert (found.errors, found.baseline_errors, found.left_out) == (1, 1, 1)
    assert (found.counting_errors.difference.n, found.counting_errors.difference.value) == (
        5,
        pytest.approx(0.4),
    )
    assert (found.completed.difference.n, found.completed.difference.value) == (3, pytest.approx(1 / 3))
    assert found.error_bounds is not None
    assert (found.error_bounds.low, found.error_bounds.high) == pytest.approx((0.2, 0.6))
    said = sentence(found)
    assert (
        "Counted as wrong: 1 error of level 3 and 1 of vanilla; on the 3 problems that both completed" in said
    )
    assert said.endswith(
        "the difference lies between 20.0 points more and 60.0 points more. "
        "Left out: 1 problem that one of the two has not finished."
    )
    record = study_statistics(study(vanilla, level), [Family("levels", (("level 3", "vanilla"),))]).arms[0]
    assert (record.accuracy.correct, record.accuracy.n, record.accuracy_completed.n) == (2, 5, 4)
    assert (record.errors, record.missing, record.problems) == (1, 1, 5)


def test_uneven_samples_are_said() -> None:
    assert "approximate, as 1 problem had unequal" in sentence(
        only(arm("vanilla", ["+-", "-."]), arm("a", ["++", "+-"]))
    )


def test_strata_and_their_heterogeneity() -> None:
    facts = {f"p{i}": ProblemFacts("ab"[i % 2], 1000 + i) for i in range(80)}
    level = arm("level 3", ["+" if i % 2 else "-" for i in range(80)])
    found = only(arm("vanilla", ["-"] * 80), level, facts=facts)
    by_category, by_difficulty = found.strata
    assert [(one.name, one.difference.n, one.difference.value) for one in by_category.strata] == [
        ("a", 40, 0),
        ("b", 40, 1),
    ]
    assert by_category.exploratory
    assert by_category.heterogeneity.p == 1 / 10_000
    assert [one.name for one in by_difficulty.strata] == [
        "1000 to 1019",
        "1020 to 1039",
        "1040 to 1059",
        "1060 to 1079",
    ]
    assert by_difficulty.heterogeneity.p > 0.9
    assert not only(arm("vanilla", "+-"), arm("a", "-+")).strata


def test_heterogeneity_is_what_dealing_out_all_names_finds() -> None:
    from collections import Counter
    from fractions import Fraction

    strata = ([1, 1, 0], [0, -1, 0, 0], [1])

    def statistic(values: tuple[int, ...]) -> float:
        parts = (values[:3], values[3:7], values[7:])
        return sum(sum(part) ** 2 / len(part) for part in parts)

    observed = tuple(value for stratum in strata for value in stratum)
    dealt = [statistic(values) >= statistic(observed) - 1e-9 for values in permutations(observed)]
    found = heterogeneity([Counter(map(Fraction, stratum)) for stratum in strata], seed=0)
    assert found.p == pytest.approx(fmean(dealt), abs=0.02)
    assert (found.n, found.draws) == (8, 9_999)


def test_difficulties_are_names_a_few_numbers_or_quarters() -> None:
    def names(*given: str | float | None) -> list[str | None]:
        return list(difficulty_groups({str(i): ProblemFacts(None, one) for i, one in enumerate(given)}))

    assert names("hard", "easy", None, "easy") == ["easy", "hard", None]
    assert names(3, 1, 2, 1, None) == ["1", "2", "3", None]
    assert names(*range(100)) == ["0 to 24", "25 to 49", "50 to 74", "75 to 99"]
    assert names(None, None) == [None]
    assert names("hard", 3) == ["3", "hard"]
    with pytest.raises(ConfigError, match="finite"):
        ProblemFacts(difficulty=float("nan"))


def entry(problem_id: str, outcome: Outcome, *, sample: int = 0, truth: str | None = "4") -> ResultEntry:
    usage = {
        "reasoner": RoleUsage(prompt_tokens=80, completion_tokens=20, cost_usd=0.5, cost_from_cache_usd=0.25)
    }
    failed = ErrorRecord(type="ServerError", message="503") if outcome is Outcome.ERROR else None
    return ResultEntry(
        problem_id=problem_id,
        problem=f"problem {problem_id}",
        use_hierarchical=False,
        label_level=0,
        thought_types=(),
        thoughts=(),
        final_response="",
        extracted_answer=None,
        is_correct=outcome.is_correct,
        ground_truth=truth,
        outcome=outcome,
        reason="",
        sample=sample,
        usage=usage,
        error=failed,
    )


def test_an_arm_of_entries_has_the_numbers_of_the_run() -> None:
    entries = [
        entry("a", Outcome.CORRECT),
        entry("b", Outcome.TRUNCATED),
        entry("c", Outcome.ERROR),
        entry("d", Outcome.UNGRADED, truth=None),
    ]
    made = ArmOutcomes.of("vanilla", entries)
    assert made.ungraded == 1
    record = study_statistics(study(made, arm("a", {"a": "+"})), [Family("arms", (("a", "vanilla"),))]).arms[
        0
    ]
    summary = summarize(entries)
    assert (record.accuracy, record.accuracy_completed) == (summary.accuracy, summary.accuracy_completed)
    assert record.tokens is not None
    assert record.cost_usd is not None
    assert (record.tokens.value, record.cost_usd.value) == (100, 0.75)


def test_an_arm_refuses_what_stands_twice_or_was_not_asked_for() -> None:
    one = entry("a", Outcome.CORRECT)
    with pytest.raises(ResultsFileError, match="sample 0 of problem a stands there twice"):
        ArmOutcomes.of("vanilla", [one, one])
    with pytest.raises(ResultsFileError, match="sample 1 of problem a is not among 1"):
        ArmOutcomes.of("vanilla", [entry("a", Outcome.CORRECT, sample=1)])
    owed = ArmOutcomes.of("vanilla", [entry("a", Outcome.CORRECT, sample=1)], samples=3)
    assert owed.problems["a"].outcomes == (None, Outcome.CORRECT, None)


def test_a_study_refuses_what_cannot_be_compared() -> None:
    one, other = arm("vanilla", "+-"), arm("level 3", "-+")
    facts = {"p0": ProblemFacts()}
    changed = entry("p0", Outcome.CORRECT).model_copy(update={"problem": "another"})
    for arms, message in (
        ((one, one), "arms of one name: vanilla"),
        ((one, arm("level 3", "-+", twin="maj")), "'maj' is no arm of the study; there are vanilla, level 3"),
        (
            (ArmOutcomes.of("a", [entry("p0", Outcome.CORRECT)]), ArmOutcomes.of("b", [changed])),
            "another text in arm b",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            study(*arms)
    with pytest.raises(ConfigError, match="problems that the study has not: p1"):
        study(one, other, facts=facts)
    for pairs, message in (
        ((), "no comparison is declared"),
        ((("a", "a"),), "with itself"),
        ((("a", "b"), ("a", "b")), "twice"),
    ):
        with pytest.raises(ConfigError, match=message):
            Family("levels", pairs)
    with pytest.raises(ConfigError, match="'vanila' is no arm"):
        default_families(study(one, other), baseline="vanila")


def test_families_and_a_comparison_without_a_problem() -> None:
    arms = [
        arm("vanilla", "+-"),
        arm("maj@3", "++"),
        arm("0", "++", twin="maj@3"),
        arm("1", {"q": "+"}, twin="maj@3"),
    ]
    made = study(*arms)
    families = default_families(made, noun="levels")
    assert [(one.noun, one.pairs) for one in families] == [
        ("levels", (("0", "vanilla"), ("1", "vanilla"))),
        ("compute-matched comparisons", (("0", "maj@3"), ("1", "maj@3"))),
        ("compute-matched baselines", (("maj@3", "vanilla"),)),
    ]
    found = study_statistics(made, families)
    first, without = found.comparisons[:2]
    assert first.counting_errors.significance is not None
    assert first.counting_errors.significance.family_size == 2
    assert without.counting_errors.significance is None
    assert without.left_out == 3
    assert without.token_ratio is None
