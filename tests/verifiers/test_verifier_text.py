from __future__ import annotations

import asyncio
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import Grade
from hierarchical_reasoning.verifiers.text import TextVerifier
from hierarchical_reasoning.verifiers.wording import is_words, normalized


def problem(answer: str | tuple[str, ...] | None) -> Problem:
    return Problem("p", "Who?", answer, None, {})


def grade(answer: str | tuple[str, ...] | None, text: str, *, truncated: bool = False) -> Grade:
    return asyncio.run(TextVerifier().grade(problem(answer), text, truncated=truncated))


@pytest.mark.parametrize(
    ("answer", "text", "outcome"),
    [
        ("Paris", r"\boxed{paris}", Outcome.CORRECT),
        ("Paris", r"\boxed{\text{Paris}}", Outcome.CORRECT),
        ("Paris", "The answer is **Paris**.", Outcome.CORRECT),
        ("Paris", "The answer is **Paris**. It is large.", Outcome.CORRECT),
        ("Paris", "The answer is Paris, France.", Outcome.WRONG),
        ("Paris", "Paris", Outcome.CORRECT),
        ("Paris", "I think\nParis", Outcome.NO_ANSWER),
        ("Paris", r"\boxed{Paris. It is large}", Outcome.WRONG),
        ("St. Petersburg", "The answer is St. Petersburg. It is cold.", Outcome.CORRECT),
        ("St. Petersburg", "The answer is St. Moritz.", Outcome.WRONG),
        ("New  York", "<answer>new york</answer>", Outcome.CORRECT),
        ("it’s", "<answer>It's</answer>", Outcome.CORRECT),
        ("well–known", "<answer>well-known</answer>", Outcome.CORRECT),
        ("STRASSE", "<answer>straße</answer>", Outcome.CORRECT),
        ("Caf\u00e9", "<answer>Cafe\u0301</answer>", Outcome.CORRECT),
        ("x\u00b2", "<answer>x2</answer>", Outcome.WRONG),
        ("no", "The answer is No. It is odd.", Outcome.CORRECT),
        ("no", "The answer is No. 5", Outcome.WRONG),
        ("St", "The answer is St. Louis", Outcome.WRONG),
        ("Dr", "The answer is Dr. Who", Outcome.WRONG),
        ("J", "The answer is J. Smith", Outcome.WRONG),
        ("J", "The answer is J. It is the last.", Outcome.CORRECT),
        ("STRASSE", "The answer is straße. It is long.", Outcome.CORRECT),
        ("init", "<answer>_init_</answer>", Outcome.WRONG),
        ("ab", "<answer>a**b</answer>", Outcome.WRONG),
        ("5", "<answer>$5</answer>", Outcome.WRONG),
        ("5", "<answer>$5$</answer>", Outcome.CORRECT),
        ("$5", r"<answer>\$5</answer>", Outcome.CORRECT),
        ("C", "<answer>C*</answer>", Outcome.WRONG),
        ("Paris", "The answer is **Paris**, the capital of France.", Outcome.CORRECT),
        ("Paris", "The answer is Paris, which lies on the Seine.", Outcome.CORRECT),
        ("Paris", "The answer is Paris, which is wrong.", Outcome.WRONG),
        ("Paris", "The answer is Paris, the Hague.", Outcome.WRONG),
        ("the king", "The answer is the king, the queen.", Outcome.WRONG),
        ("Paris", "The answer is Paris. No, London.", Outcome.WRONG),
        ("Paris", "The answer is Paris. Or London.", Outcome.WRONG),
        ("Paris", "The answer is Paris? Wrong.", Outcome.WRONG),
        ("Paris", "The answer is Paris? London.", Outcome.WRONG),
        ("Paris", "The answer is Paris. But it could be Rome.", Outcome.WRONG),
        ("Paris", "The answer is Paris. That is wrong.", Outcome.WRONG),
        (("yes", "yeah"), "<answer>yeah</answer>", Outcome.CORRECT),
        (None, "<answer>yeah</answer>", Outcome.UNGRADED),
    ],
)
def test_the_same_words_are_right(answer: str | tuple[str, ...] | None, text: str, outcome: Outcome) -> None:
    assert grade(answer, text).outcome is outcome


def test_a_grade_says_what_was_found_how_and_why() -> None:
    found = grade(("Rome", "Roma"), "The answer is Milan.\nAnd")
    assert (found.extracted, found.how) == ("Milan.", "the answer is")
    assert found.reason == "other words: 'Milan.', not 'Rome' or 'Roma'"


def test_a_truncated_answer_is_none() -> None:
    assert grade("Rome", "The answer is Ro", truncated=True).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize("answer", [".", '""', "**", r"\text{}"])
def test_an_answer_of_nothing_is_refused_before_the_run(answer: str) -> None:
    with pytest.raises(ProblemFileError, match="nothing is left of the answer"):
        TextVerifier().check(problem(answer))


@pytest.mark.parametrize(
    "text",
    [
        "even",
        r"\text{(B)}",
        "no solution",
        "Apollo 11",
        "2024-01-05",
        "10:30 am",
        "St. Moritz",
        "$\\text{A}$",
    ],
)
def test_words(text: str) -> None:
    assert is_words(text)


@pytest.mark.parametrize(
    "text",
    ["5", "x", "xy", r"\frac12", "sin(x)", "x = 5", r"3\sqrt{3}\text{ inches}", "1:2", "[0, 3)", "log 3", ""],
)
def test_mathematics_is_no_words(text: str) -> None:
    assert not is_words(text)


@pytest.mark.parametrize("part", ["*a", "**a", "$", "'", '"', ". A", ", the ", "- ", r"\text{"])
def test_hostile_texts_cost_little(part: str) -> None:
    text = part * (100_000 // len(part))
    started = time.process_time()
    grade("Paris", rf"\boxed{{{text}}}")
    grade("Paris", f"The answer is Paris{text}")
    assert time.process_time() - started < 3


@given(text=st.text(max_size=30))
def test_normalizing_twice_is_normalizing_once_for_plain_texts(text: str) -> None:
    plain = "".join(c for c in text if c not in "\\`*_$~'\"." and unicodedata.category(c)[0] in "LNZ")
    assert normalized(normalized(plain)) == normalized(plain)


WORDS = st.text(alphabet=st.characters(categories=("L", "N")), min_size=1, max_size=12)


@given(
    truth=WORDS,
    answer=WORDS,
    form=st.sampled_from([r"\boxed{%s}", r"<answer>\text{%s}</answer>", "Answer: **%s**"]),
)
def test_a_grade_is_equality_of_what_is_normalized(truth: str, answer: str, form: str) -> None:
    if not normalized(truth) or "answer" in answer.lower():
        return
    expected = Outcome.CORRECT if normalized(truth) == normalized(answer) else Outcome.WRONG
    assert grade(truth, form % answer).outcome is expected
    assert grade(truth, form % truth).outcome is Outcome.CORRECT
