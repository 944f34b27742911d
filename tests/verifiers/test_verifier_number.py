from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError, UsageError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import Grade
from hierarchical_reasoning.verifiers.number import NumberVerifier
from hierarchical_reasoning.verifiers.numerals import read_number
from hierarchical_reasoning.verifiers.sentences import number_in


def problem(answer: str | tuple[str, ...] | None) -> Problem:
    return Problem("p", "How many?", answer, None, {})


def outcome(text: str, answer: str | tuple[str, ...] | None, **options: bool) -> Outcome:
    return graded(answer, text, **options).outcome


def graded(
    answer: str | tuple[str, ...] | None,
    text: str,
    *,
    tolerance: Fraction | float = 0,
    truncated: bool = False,
) -> Grade:
    return asyncio.run(NumberVerifier(tolerance).grade(problem(answer), text, truncated=truncated))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("72", "72"),
        ("-5", "-5"),
        ("−5", "-5"),
        ("+7", "7"),
        (".3", "3/10"),
        ("-.5", "-1/2"),
        ("72.", "72"),
        ("1,234,567.50", "1234567.5"),
        (r"10\,000", "10000"),
        ("10{,}000", "10000"),
        ("$5", "5"),
        (r"-\$5", "-5"),
        ("$-5", "-5"),
        ("3/4", "3/4"),
        (r"-\frac{3}{4}", "-3/4"),
        (r"\dfrac12", "1/2"),
        (r"\frac{29}4", "29/4"),
        ("1 1/2", "3/2"),
        (r"10\frac{1}{12}", "121/12"),
        ("1.5e3", "1500"),
        (r"1.5 \times 10^{-3}", "3/2000"),
        (r"x = \frac{-33}{2}", "-33/2"),
        ("48 + 24 = 72", "72"),
        (r"\boxed{\text{72}}", "72"),
        ("{72}", "72"),
        ("**72**", "72"),
        ("72 clips", "72"),
        (r"9\text{ values}", "9"),
        ("$12/hour", "12"),
        (r"5\text{ cm}^2", "5"),
        ("72kg", "72"),
        ("5m", "5"),
        (r"45^\circ", "45"),
        ("minus 5", "-5"),
        ("9" * 900, "9" * 900),
    ],
)
def test_numbers_are_read_as_written(text: str, value: str) -> None:
    number = read_number(text)
    assert number is not None
    assert number.value == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "5x",
        "2i",
        r"2\sqrt{3}",
        r"3\pi",
        "12pi",
        "2, 3",
        "3,5",
        "100,00",
        "(3,5)",
        "5^{12}",
        "48 + 24",
        "5-12i",
        "[-9, 9]",
        "11_2",
        "1/0",
        "1:30",
        "1.2.3",
        "a = 5, b = 6",
        "2x = 10",
        "x^2 - 4 = 0",
        "e4",
        "1e99999",
        "9" * 2000,
        "2 or 3",
        "5 < 6",
    ],
)
def test_what_is_not_one_number_is_not_read(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        (r"\boxed{72}", "72", Outcome.CORRECT),
        (r"\boxed{72.0}", "72", Outcome.CORRECT),
        (r"\boxed{73}", "72", Outcome.WRONG),
        (r"\boxed{0.75}", r"\frac{3}{4}", Outcome.CORRECT),
        (r"\boxed{0.333}", "1/3", Outcome.WRONG),
        (r"\boxed{(3,5)}", "3", Outcome.WRONG),
        (r"\boxed{\text{none}} or 5", "5", Outcome.WRONG),
        (r"\boxed{50\%}", "50", Outcome.CORRECT),
        (r"\boxed{50\%}", "0.5", Outcome.CORRECT),
        (r"\boxed{0.5}", "50%", Outcome.CORRECT),
        (r"\boxed{0.5\%}", "50%", Outcome.WRONG),
        ("The answer is 5 of the 10 apples.", "5", Outcome.CORRECT),
        ("The answer is 72. I checked 3 times.", "72", Outcome.CORRECT),
        ("The answer is 48 + 24 = 72.", "72", Outcome.CORRECT),
        ("The answer is 5 or 6.", "6", Outcome.WRONG),
        ("The answer is 2, 3", "2", Outcome.WRONG),
        ("The answer is clear: none.\nSo I count 4 of them", "4", Outcome.CORRECT),
        ("I count 1,000", "1000", Outcome.CORRECT),
        ("no idea", "4", Outcome.NO_ANSWER),
        ("", "4", Outcome.NO_ANSWER),
        ("7", ("6", "7"), Outcome.CORRECT),
        ("7", None, Outcome.UNGRADED),
        ("", None, Outcome.UNGRADED),
    ],
)
def test_texts_are_graded(text: str, answer: str | tuple[str, ...] | None, expected: Outcome) -> None:
    assert outcome(text, answer) is expected


def test_a_grade_says_what_was_found_how_and_why() -> None:
    grade = graded("72", r"so \boxed{71 clips}")
    assert (grade.extracted, grade.how) == ("71 clips", r"\boxed{}")
    assert grade.reason == "another number: 71 clips, not 72"


def test_a_truncated_text_is_truncated_unless_it_had_answered() -> None:
    assert outcome("first 4, then 7", "7", truncated=True) is Outcome.TRUNCATED
    assert outcome(r"\boxed{7} as", "7", truncated=True) is Outcome.CORRECT
    assert outcome("first 4", None, truncated=True) is Outcome.UNGRADED


def test_tolerance_is_relative_and_off_by_default() -> None:
    for tolerance in (Fraction(1, 1000), 0.001):
        close = graded("-1000", "-1001", tolerance=tolerance)
        assert (close.outcome, close.reason) == (
            Outcome.CORRECT,
            "the same number within the tolerance: -1000",
        )
        assert graded("-1000", "-1001.1", tolerance=tolerance).outcome is Outcome.WRONG
    assert outcome("1000.0000001", "1000") is Outcome.WRONG
    with pytest.raises(UsageError, match="relative tolerance"):
        NumberVerifier(1.5)


def test_an_answer_that_is_no_number_is_refused_before_the_run() -> None:
    with pytest.raises(ProblemFileError, match=r"problem 'p': the answer 'e4'.*--ground_truth_format"):
        NumberVerifier().check(problem("e4"))


FRACTIONS = st.fractions(max_denominator=10**6)
FORMS = st.sampled_from(["{}", "${}$", " {} clips", r"\text{{{}}}", "x = {}", "**{}**", r"\${}"])


@given(value=FRACTIONS, form=FORMS, latex=st.booleans())
def test_every_fraction_reads_back(value: Fraction, form: str, latex: bool) -> None:
    written = rf"\frac{{{value.numerator}}}{{{value.denominator}}}" if latex else str(value)
    number = read_number(form.format(written))
    assert number is not None
    assert number.value == value


@given(value=st.integers(min_value=-(10**15), max_value=10**15), cents=st.integers(0, 99))
def test_every_sum_of_money_reads_back(value: int, cents: int) -> None:
    number = read_number(f"{value:,}.{cents:02d}")
    assert number is not None
    assert number.value == Fraction(f"{value}.{cents:02d}")


@given(truth=FRACTIONS, answer=FRACTIONS)
def test_a_grade_is_equality(truth: Fraction, answer: Fraction) -> None:
    expected = Outcome.CORRECT if truth == answer else Outcome.WRONG
    assert outcome(f"\\boxed{{{answer}}}", str(truth)) is expected


@given(text=st.text(alphabet="0123456789.,-+/eE%$\\frac{} x=^", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    read_number(text)
    number_in(text)
    outcome(text, "1")


@pytest.mark.parametrize("part", ["1,111,", "1", " ", ". ", r"\frac{1}{", "a = ", "1 ", "-", r"\text{", "1/"])
def test_hostile_texts_cost_little(part: str) -> None:
    text = part * (100_000 // len(part))
    started = time.process_time()
    outcome(text, "1")
    outcome(f"\\boxed{{{text}}}", "1")
    outcome(f"The answer is {text}", "1")
    assert time.process_time() - started < 3
