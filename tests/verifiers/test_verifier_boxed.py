"""Answers in boxes, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import verifier_for
from hierarchical_reasoning.verifiers.boxed_number import BoxedNumberVerifier

PROBLEM = Problem("p1", "How many?", "72", None, {})
VERIFIER = BoxedNumberVerifier()


@pytest.mark.parametrize(
    "text",
    [
        "72",
        "So the answer is 72.",
        "<answer>72</answer>",
        ">> FINAL ANSWER: 72",
        "48 + 24 = 72\n#### 72",
        "**Answer:** 72",
        r"\boxed{}",
        r"\boxed 72",
        r"\boxed{72",
        r"\fbox{72}",
        r"<think>It is \boxed{72}.</think> Done.",
        "",
    ],
)
async def test_without_a_box_there_is_no_answer(text: str) -> None:
    grade = await VERIFIER.grade(PROBLEM, text)
    assert (grade.outcome, grade.extracted, grade.reason) == (
        Outcome.NO_ANSWER,
        None,
        r"no \boxed{} in the text",
    )
    assert grade.outcome.is_correct is False


@pytest.mark.parametrize(
    ("text", "outcome", "extracted"),
    [
        (r"So \boxed{72}.", Outcome.CORRECT, "72"),
        (r"\boxed{\$72.00}", Outcome.CORRECT, r"\$72.00"),
        (r"\boxed{72 \text{ clips}}", Outcome.CORRECT, r"72 \text{ clips}"),
        (r"\boxed{71}, no, \boxed{72}", Outcome.CORRECT, "72"),
        (r"\boxed{72}, no, \boxed{71}", Outcome.WRONG, "71"),
        ("\\boxed{71}\nThe answer is 72.\n#### 72", Outcome.WRONG, "71"),
        (r"\boxed{\boxed{72}}", Outcome.CORRECT, r"\boxed{72}"),
        (r"\boxed{many}", Outcome.WRONG, "many"),
    ],
)
async def test_the_last_box_is_graded(text: str, outcome: Outcome, extracted: str) -> None:
    grade = await VERIFIER.grade(PROBLEM, text)
    assert (grade.outcome, grade.extracted) == (outcome, extracted)


async def test_of_a_text_that_was_cut_off_only_a_closed_box_counts() -> None:
    cut = await VERIFIER.grade(PROBLEM, r"It is 72, so \boxed{7", truncated=True)
    assert (cut.outcome, cut.extracted) == (Outcome.TRUNCATED, None)
    closed = await VERIFIER.grade(PROBLEM, r"So \boxed{72}. To check, 48", truncated=True)
    assert closed.outcome is Outcome.CORRECT


async def test_a_box_that_the_problem_has_is_not_an_answer() -> None:
    problem = Problem("p1", r"Put it in \boxed{72}.", "72", None, {})
    assert (await VERIFIER.grade(problem, r"I put it in \boxed{72}.")).outcome is Outcome.NO_ANSWER


@given(st.text(alphabet="\\boxed{}72 \n#ans<wer>/:.", max_size=60))
async def test_what_is_found_was_in_a_box(text: str) -> None:
    grade = await VERIFIER.grade(PROBLEM, text)
    assert (grade.extracted is None) == (grade.outcome is Outcome.NO_ANSWER)
    if grade.extracted is not None:
        assert "boxed{" in text
        assert grade.extracted in text


def test_the_format_is_chosen_by_name_alone() -> None:
    assert isinstance(verifier_for("boxed", [PROBLEM])[0], BoxedNumberVerifier)
    assert not isinstance(verifier_for(None, [PROBLEM])[0], BoxedNumberVerifier)
    with pytest.raises(ProblemFileError, match="is not one number"):
        verifier_for("boxed", [Problem("p", "Which?", "Paris", None, {})])


async def test_a_tolerance_leaves_it_strict() -> None:
    verifier, _ = verifier_for("boxed", [PROBLEM], number_tolerance=0.1)
    assert (await verifier.grade(PROBLEM, r"\boxed{73}")).outcome is Outcome.CORRECT
    assert (await verifier.grade(PROBLEM, "73")).outcome is Outcome.NO_ANSWER


def test_equal_answers_are_one_vote_and_others_are_not() -> None:
    same = {
        VERIFIER.ballot(answer) for answer in ("72", r"\$72.00", "072", r"72 \text{ clips}", "72 dollars")
    }
    assert same == {"72"}
    others = {VERIFIER.ballot(answer) for answer in ("72%", "71", "-72", r"\frac{72}{7}", "many", "few")}
    assert len(others | same) == 7
