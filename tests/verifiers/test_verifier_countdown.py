from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import Grade
from hierarchical_reasoning.verifiers.arithmetic import ExpressionError, read_expression
from hierarchical_reasoning.verifiers.countdown import CountdownVerifier
from hierarchical_reasoning.verifiers.countdown_task import countdown_of


def problem(answer: str | None = None, text: str = "Make 24.", **fields: object) -> Problem:
    return Problem("p", text, answer, None, fields)


def grade(text: str, of: Problem | None = None, *, truncated: bool = False) -> Grade:
    game = of or problem(numbers=[1, 1, 4, 6], target=24)
    return asyncio.run(CountdownVerifier().grade(game, text, truncated=truncated))


@pytest.mark.parametrize(
    "answer",
    [
        "6*4*1*1",
        "6 * 4 * 1 / 1 = 24",
        "24 = 6*4*1*1",
        "6 × 4 × 1 ÷ 1",
        "6 x 4 x 1 x 1",
        "6x4x1x1",
        "6·4−1+1",
        r"6 \times 4 \cdot \frac{1}{1}",
        r"\frac{6\times 4}{1} \times 1",
        r"\left(6 + 1 - 1\right) \times 4",
        r"\dfrac{6}{1} \div 1 * 4",
        "[(6*4)*1]*1",
        "{6*4}*1*1",
        "-6*-4*1*1",
        "$6*4*1*1$",
        "6*4*1*1 = 24*1 = 24".replace("24*1", "24"),
        "6*4*1*1.",
        "4/(1/6)*1",
    ],
)
def test_any_expression_that_makes_the_target_is_right(answer: str) -> None:
    for form in (r"so \boxed{%s}", "<answer>%s</answer>", "The answer is: %s"):
        found = grade(form % answer)
        assert (found.outcome, found.reason) == (Outcome.CORRECT, "it makes the target: 24"), form % answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("6*4", "other numbers than those given: 4, 6, not 1, 1, 4, 6"),
        ("6*4*1*1*1", "other numbers than those given: 1, 1, 1, 4, 6, not 1, 1, 4, 6"),
        ("64*1*1", "other numbers than those given: 1, 1, 64, not 1, 1, 4, 6"),
        ("6*4+1+1", "it makes another number: 26, not 24"),
        ("(6-1)/(4*1)", "it makes another number: 5/4, not 24"),
        ("6*4*1*1 = 25", "the two sides are not equal: 6*4*1*1 = 25"),
        ("6/(1-1)*4", "a division by zero: the divisor of one part is 0"),
        ("(6*4*1*1", "not an expression: a parenthesis is not closed"),
        ("6*4*1*1)", "not an expression: ')' stands where an operator is expected"),
        ("6*4*1*", "not an expression: the end stands where a number is expected"),
        ("6**4", "not an expression: '*' stands where a number is expected"),
        ("6 4 1 1", "not an expression: '4' stands where an operator is expected"),
        ("6^4", "not an expression: it has '^4' in it"),
        ("6!", "not an expression: it has '!' in it"),
        ("1.5*4*4", "not an expression: it has '.5*4*4' in it"),
        ("__import__('os').system('true')", "not an expression: it has \"__import__('os').sys\" in it"),
        ("9" * 99, "a number is too long: 99 digits, not 15"),
        ("(" * 99 + "6", "parentheses are nested too deeply: more than 50"),
        ("1+" * 600, "the expression is too long: 1,200 characters, not 1,000"),
        ("6 - 1 = 5, 5 - 1 = 4", "not an expression: it has ',' in it"),
    ],
)
def test_whatever_is_wrong_has_its_reason(answer: str, reason: str) -> None:
    found = grade(f"<answer>{answer}</answer>")
    assert (found.outcome, found.reason) == (Outcome.WRONG, reason)


def test_a_text_without_an_expression_has_no_answer() -> None:
    assert grade("The answer is clear.\nI give up").outcome is Outcome.NO_ANSWER
    assert grade("The answer is 6*4*1", truncated=True).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("6*4*1*1, which equals 24.", Outcome.CORRECT),
        ("$6*4*1*1$, which is equal to $24$.", Outcome.CORRECT),
        ("6*4*1*1. It uses all of them.", Outcome.CORRECT),
        ("6*4*1*1, which equals 25.", Outcome.WRONG),
        ("6*4*1*1. No, 6*4+1-1.", Outcome.WRONG),
    ],
)
def test_what_a_line_says_of_its_expression_counts(line: str, outcome: Outcome) -> None:
    assert grade(f"The answer is {line}").outcome is outcome


def test_a_prompt_without_an_answer_is_graded() -> None:
    told = problem(None, "Use 1 1 4 6 to make 24")
    assert CountdownVerifier().ground_truth(told) == "24"
    assert grade(r"\boxed{6*4*1*1}", told).outcome is Outcome.CORRECT
    assert grade(r"\boxed{6*4*1+1}", told).outcome is Outcome.WRONG
    assert not CountdownVerifier().was_meant(told)
    assert CountdownVerifier().was_meant(problem(None, f"{told.text}, each number once"))


@pytest.mark.parametrize("numbers", [[1.0, 1.0, 4.0, 6.0], ["1", "1", "4", "6"], "1, 1, 4.0, 6"])
def test_whole_numbers_are_numbers_however_they_are_kept(numbers: object) -> None:
    assert countdown_of("", {"numbers": numbers, "target": 24.0}, ()).numbers == (1, 1, 4, 6)


@pytest.mark.parametrize(
    ("text", "answer", "numbers", "target"),
    [
        ("4 5 6 10", "24", (4, 5, 6, 10), 24),
        ("Using the numbers [19, 36, 55, 7], create an equation that equals 65.", None, (19, 36, 55, 7), 65),
        ("Use 1 1 4 6 to make 24", None, (1, 1, 4, 6), 24),
        ("Use the numbers 1, 1, 4 and 6, each exactly once, to make 24.", None, (1, 1, 4, 6), 24),
        ("Numbers: 3 5 7. Target: 15", None, (3, 5, 7), 15),
        ("Use 3, 5, and 7 to obtain exactly 15.", "15", (3, 5, 7), 15),
    ],
)
def test_the_task_is_read_from_the_prompt(
    text: str, answer: str | None, numbers: tuple[int, ...], target: int
) -> None:
    found = countdown_of(text, {}, () if answer is None else (answer,))
    assert (found.numbers, found.target) == (numbers, target)


def test_fields_go_before_the_prompt() -> None:
    told = problem(None, "Use 1 2 3 4 to make 10", nums="[1, 1, 4, 6]", target="24")
    assert grade(r"\boxed{6*4*1*1}", told).outcome is Outcome.CORRECT
    assert CountdownVerifier().ground_truth(told) == "24"
    assert CountdownVerifier().ground_truth(problem()) is None
    assert grade(r"\boxed{6*4*1*1}", problem()).outcome is Outcome.UNGRADED


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (problem("24"), "one list of numbers, and has: none"),
        (problem("24", "Use 1 2 3 4, or use 5 6 7 8"), "1, 2, 3, 4; 5, 6, 7, 8"),
        (problem("a", "Use 1 2 3 4"), "the target is not clear"),
        (problem("24", numbers=[1, 2.5], target=24), "list of whole numbers"),
        (problem("24", numbers=[1, 2], target="many"), "`target` must be a number"),
        (problem("25", numbers=[1, 1, 4, 6], target=24), "'25' is neither the target 24 nor an expression"),
        (problem("6+4", numbers=[1, 1, 4, 6], target=24), "other numbers than those given"),
    ],
)
def test_a_task_that_is_not_clear_is_refused_before_the_run(of: Problem, message: str) -> None:
    with pytest.raises(ProblemFileError, match=message):
        CountdownVerifier().check(of)


def a_solution(rng: random.Random) -> tuple[list[int], Fraction, str]:
    """Numbers, what they make, and how, with exact arithmetic of its own."""
    numbers = [rng.randint(1, 20) for _ in range(rng.randint(2, 6))]
    parts = [(Fraction(number), str(number)) for number in numbers]
    while len(parts) > 1:
        (a, left), (b, right) = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
        sign = rng.choice("+-*/" if b else "+-*")
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[sign]
        parts.append((value, f"({left} {sign} {right})"))
    return numbers, parts[0][0], parts[0][1]


@given(rng=st.randoms(use_true_random=False), change=st.sampled_from(["", "target", "number", "digit"]))
def test_every_made_up_solution_is_right_and_a_changed_one_is_not(rng: random.Random, change: str) -> None:
    numbers, value, expression = a_solution(rng)
    if change == "number":
        numbers = [*numbers[1:], numbers[0] + 1]
    if change == "digit":
        expression = f"{expression} + 0"
    target = value + 1 if change == "target" else value
    found = grade(rf"\boxed{{{expression}}}", problem(numbers=numbers, target=str(target)))
    assert found.outcome is (Outcome.WRONG if change else Outcome.CORRECT), found.reason


@given(rng=st.randoms(use_true_random=False))
def test_every_spelling_reads_alike(rng: random.Random) -> None:
    _, value, expression = a_solution(rng)
    spelled = expression.replace("*", rng.choice(["×", r" \times ", " x ", "·"]))
    spelled = spelled.replace("/", rng.choice(["÷", r" \div ", "/"])).replace("-", rng.choice(["−", "-"]))
    spelled = spelled.replace("(", rng.choice(["[", r"\left(", "{"])).replace(
        ")", rng.choice(["]", r"\right)", "}"])
    )
    assert read_expression(spelled).value == value


@given(text=st.text(alphabet="0123456789+-*/()[]{}x×÷−=. \\fractimes", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    grade(rf"\boxed{{{text}}}")
    grade(f"The answer is {text}")
    try:
        numbers = read_expression(text).numbers
    except ExpressionError as error:
        assume(str(error))
    else:
        assert all(str(number) in text for number in numbers if not str(number).startswith("0"))


@pytest.mark.parametrize("part", ["(", "1+", "=", "1 ", "-", r"\frac", "=1", "x1"])
def test_hostile_texts_cost_little(part: str) -> None:
    text = part * (100_000 // len(part))
    started = time.process_time()
    grade(rf"\boxed{{{text}}}")
    grade(f"The answer is 1+{text}")
    assert time.process_time() - started < 3


@pytest.mark.shared_data
def test_grades_of_700_real_answers_are_those_of_their_authors() -> None:
    shared = Path(os.environ.get("HR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = shared / "rollouts" / "gpt4_game24_unlabeled.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there; set HR_SHARED_DATA to the folder with it")
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    pairs = Counter(
        (row["is_correct"], grade(row["output"], problem(row["gold_answer"], row["problem"])).outcome)
        for row in rows
    )
    assert pairs == {
        (False, Outcome.WRONG): 521,
        (True, Outcome.CORRECT): 124,
        (False, Outcome.NO_ANSWER): 55,
    }
