from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import Grade
from hierarchical_reasoning.verifiers.choice import ChoiceVerifier
from hierarchical_reasoning.verifiers.options import LETTERS, label_of_truth, options_of

CITIES = ["Rome", "Paris", "Berlin", "a matter"]


def problem(answer: str | tuple[str, ...] | None, text: str = "Which?", **fields: object) -> Problem:
    return Problem("p", text, answer, None, fields)


def grade(text: str, of: Problem | None = None) -> Grade:
    return asyncio.run(ChoiceVerifier().grade(of or problem("B", choices=CITIES), text))


BOTH = (r"so \boxed{%s}", "The answer is %s.", "The answer is %s.\nI am sure.", ">> FINAL ANSWER: %s")


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "(B)",
        "B.",
        "b",
        "(b)",
        "B) Paris",
        "B: Paris",
        "B - Paris",
        "Paris",
        "paris",
        "**B**",
        r"\text{B}",
        r"\textbf{(B)}",
        "Option B",
        "option (B)",
        "B, since it is large",
        "B because A is small",
        "B (Paris)",
        "B is correct",
        "B is the right choice",
        "Paris, since it is large",
        r"\(B\)",
        r"$\textbf{(B)}\ \text{Paris}$",
    ],
)
def test_the_letter_or_the_text_of_the_option_is_right(answer: str) -> None:
    for form in BOTH:
        found = grade(form % answer)
        assert (found.outcome, found.extracted, found.reason) == (
            Outcome.CORRECT,
            "B",
            "the same option: B",
        ), form


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("C", "another option: C, not B"),
        ("Berlin", "another option: C, not B"),
        ("a matter", "another option: D, not B"),
        ("E", "the answer is none of the options: 'E' among A, B, C, D"),
        ("London", "the answer is none of the options: 'London' among A, B, C, D"),
        ("a big one", "the answer is none of the options: 'a big one' among A, B, C, D"),
        ("not B", "the answer is none of the options: 'not B' among A, B, C, D"),
        ("B) Rome", "the letter and the text after it are of different options: 'B) Rome' among A, B, C, D"),
        ("A and B", "more than one option is named: 'A and B' among A, B, C, D"),
        ("A or B", "more than one option is named: 'A or B' among A, B, C, D"),
        ("B, C", "more than one option is named: 'B, C' among A, B, C, D"),
        ("B; C", "more than one option is named: 'B; C' among A, B, C, D"),
        ("B (or C)", "more than one option is named: 'B (or C)' among A, B, C, D"),
        ("B plus C", "more than one option is named: 'B plus C' among A, B, C, D"),
        ("Paris or Rome", "the answer is none of the options: 'Paris or Rome' among A, B, C, D"),
        (
            "B is wrong",
            "words that are not the option's text stand after the letter: 'B is wrong' among A, B, C, D",
        ),
        (
            "B) not Paris",
            "words that are not the option's text stand after the letter: 'B) not Paris' among A, B, C, D",
        ),
        ("A, B and C", "more than one option is named: 'A, B and C' among A, B, C, D"),
    ],
)
def test_whatever_is_wrong_has_its_reason(answer: str, reason: str) -> None:
    found = grade(rf"\boxed{{{answer}}}")
    assert (found.outcome, found.reason) == (Outcome.WRONG, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The answer is B is incorrect", "words that are not the option's text stand after the letter"),
        ("The answer is B... no, C.", "the option named is taken back"),
        ("The answer is B. No, C.", "the option named is taken back"),
        ("The answer is B. Or C.", "the option named is taken back"),
        ("A good answer is Paris? no", "the option named is taken back"),
        ("The answer is B? C?", "the option named is taken back"),
        ("The answer is B. But C is better.", "the option named is taken back"),
        ("The answer is B because it is large, but wait, C", "the option named is taken back"),
        ("The answer is Paris. Maybe Rome.", "the option named is taken back"),
        ("The answer is B. Rome", "the letter and the text after it are of different options"),
        ("The answer is B (or C).", "more than one option is named"),
        ("The answer is B, possibly C.", "more than one option is named"),
        ("The answer is B as well as C.", "more than one option is named"),
        ("The answer is B versus C: C", "more than one option is named"),
        ("The answer is A is tempting but B is right", "more than one option is named"),
    ],
)
def test_an_option_that_its_line_denies_or_puts_beside_another_is_wrong(text: str, reason: str) -> None:
    for truth in ("A", "B"):
        found = grade(text, problem(truth, choices=CITIES))
        assert (found.outcome, found.reason.partition(":")[0]) == (Outcome.WRONG, reason)


@pytest.mark.parametrize(
    "text", ["I think it's A", "i.e. the first", "A quick look", "The answer is A quick look suggests B"]
)
def test_a_word_that_is_also_a_letter_is_no_label(text: str) -> None:
    twelve = [f"city {i}" for i in range(12)]
    assert grade(text, problem("I", choices=twelve)).outcome is Outcome.NO_ANSWER
    assert grade("I", problem("I", choices=twelve)).outcome is Outcome.CORRECT


@pytest.mark.parametrize("text", ["B: False", "B) False.", "False.", "False. It is odd."])
def test_an_option_may_be_a_word_that_takes_answers_back(text: str) -> None:
    of = problem("B", choices=["True", "False", "No"])
    assert grade(f"The answer is {text}", of).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    "text", ["The answer is clear.\nSo", "The answer is a big one.\nSo", "I think\nit is B", ""]
)
def test_a_phrase_that_names_no_option_is_no_answer(text: str) -> None:
    assert grade(text).outcome is Outcome.NO_ANSWER


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("", {"choices": ["x", "y"]}, {"A": "x", "B": "y"}),
        ("", {"options": {"A": "x", "B": "y"}}, {"A": "x", "B": "y"}),
        ("", {"options": ["A) x", "B) y"]}, {"A": "x", "B": "y"}),
        ("", {"choices": {"label": ["1", "2"], "text": ["x", "y"]}}, {"1": "x", "2": "y"}),
        ("", {"choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]}, {"A": "x", "B": "y"}),
        ("", {"choices": [3, 4.5]}, {"A": "3", "B": "4.5"}),
        ("Which?\nA) one\nB) two\nC) three", {}, {"A": "one", "B": "two", "C": "three"}),
        ("Which? (A) one (B) two (C) three", {}, {"A": "one", "B": "two", "C": "three"}),
        ("Which?\nA. one\nB. two\n\nAnswer:", {}, {"A": "one", "B": "two"}),
        ("Which? A: one, B: two", {}, {"A": "one", "B": "two"}),
        (r"Pick $\textbf{(A)}\ 1\qquad\textbf{(B)}\ 2$", {}, {"A": r"\ 1", "B": r"\ 2"}),
        ("Plan A. is bad. Which?\nA) one\nB) two", {}, {"A": "one", "B": "two"}),
        ("Which?\nA) one\nB) two\nReply with A) or so", {}, {"A": "one", "B": "two"}),
    ],
)
def test_options_are_found(text: str, fields: dict[str, object], expected: dict[str, str]) -> None:
    assert options_of(text, fields) == expected


@pytest.mark.parametrize(
    ("choices", "answer", "label"),
    [
        (["1", "2", "3"], "2", "B"),
        (["x", "y", "z"], "2", "C"),
        (["x", "y", "z"], "3", None),
        (["x", "y", "z"], "(c)", "C"),
        (["x", "y", "z"], "B) y", "B"),
        (["x", "y", "z"], "B) z", None),
        (["x", "x", "z"], "x", None),
        (["B", "A"], "A", "A"),
    ],
)
def test_a_truth_is_a_letter_a_text_or_a_place(choices: list[str], answer: str, label: str | None) -> None:
    assert label_of_truth(answer, options_of("", {"choices": choices})) == label


def test_a_problem_without_truth_and_options_stays_ungraded() -> None:
    found = grade("The answer is B.", problem(None))
    assert (found.outcome, found.extracted) == (Outcome.UNGRADED, "B.")


def test_places_are_said() -> None:
    verifier = ChoiceVerifier()
    assert verifier.note([problem("1", choices=CITIES), problem("B", choices=CITIES)]) == (
        "1 of 2 answers are places in the list of options, counted from 0"
    )
    assert grade(r"\boxed{B}", problem("1", choices=CITIES)).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (problem("B"), "no `choices` or `options` field"),
        (problem("B", "In the U.S.A. John B. Smith went. How many?"), "no `choices` or `options` field"),
        (problem("Oslo", choices=CITIES), "'Oslo' is neither the letter nor the text of an option"),
        (problem("A", choices=["only"]), "two options or more"),
        (problem("A", choices=7), "must be a list of options"),
    ],
)
def test_options_that_are_not_clear_are_refused_before_the_run(of: Problem, message: str) -> None:
    with pytest.raises(ProblemFileError, match=message):
        ChoiceVerifier().check(of)


WORDS = st.text(alphabet="bcdfghklmnpqrstvwxyz", min_size=3, max_size=8)


@given(
    texts=st.lists(WORDS, min_size=2, max_size=26, unique=True),
    picks=st.tuples(st.integers(0, 25), st.integers(0, 25)),
    form=st.sampled_from(
        ["{label}", "({label})", "{label}) {text}", "{text}", "Option {label}", "**{label}**"]
    ),
    in_prompt=st.booleans(),
)
def test_every_option_is_itself_and_no_other(
    texts: list[str], picks: tuple[int, int], form: str, *, in_prompt: bool
) -> None:
    truth, answer = (pick % len(texts) for pick in picks)
    listing = "\n".join(f"{label}) {text}" for label, text in zip(LETTERS, texts, strict=False))
    fields = {} if in_prompt else {"options": texts}
    of = problem(LETTERS[truth], f"Which one?\n{listing}" if in_prompt else "Which one?", **fields)
    found = grade(rf"\boxed{{{form.format(label=LETTERS[answer], text=texts[answer])}}}", of)
    assert found.outcome is (Outcome.CORRECT if truth == answer else Outcome.WRONG), found.reason
    assert found.extracted == LETTERS[answer]


@given(text=st.text(alphabet="ABCDabcd ().:,*\\text{}-or1\n", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    grade(rf"\boxed{{{text}}}")
    grade(f"The answer is {text}", problem("A", f"Which?\nA) one\nB) two {text}"))


@pytest.mark.parametrize("part", ["A) ", "(A", "A and ", r"\text{", " ", "B, ", "option "])
def test_hostile_texts_cost_little(part: str) -> None:
    text = part * (100_000 // len(part))
    started = time.process_time()
    grade(rf"\boxed{{{text}}}")
    grade(f"The answer is {text}", problem("A", f"Which?\nA) one\nB) two\n{text}"))
    assert time.process_time() - started < 3
