"""An answer that its own words change, deny or put beside another is not the one that happens to stand in it."""

import pytest

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import verifier_for


async def outcome(format_name: str, truth: str, text: str, problem: str = "Q") -> Outcome:
    asked = Problem("p", problem, truth, None, {}, "answer")
    verifier, _ = verifier_for(format_name, [asked])
    async with verifier:
        return (await verifier.grade(asked, text)).outcome


@pytest.mark.parametrize("format_name", ["number", "math"])
@pytest.mark.parametrize(
    ("truth", "text"),
    [
        ("5", r"\boxed{not 5}"),
        ("5", r"\boxed{half of 5}"),
        ("5", r"\boxed{twice 5}"),
        ("5", r"\boxed{square root of 5}"),
        ("5", r"\boxed{less than 5}"),
        ("72", r"\boxed{72 or more}"),
        ("72", r"\boxed{\text{at least } 72}"),
        ("72", "The answer is not 72."),
        ("72", "The answer is less than 72"),
        ("12", r"\boxed{12 million}"),
        ("12", "The answer is 12 squared."),
        ("12", "The answer is 12 times 5."),
        ("1", "The answer is 1 out of 4."),
        ("3", r"\boxed{3 feet 4 inches}"),
        ("20", "The answer is 20% of 50."),
        ("5", "Answer: Since Tom has 5 apples, and Ann 3, total 8"),
        ("5", "the answer is: For 5 boxes we need 3"),
        ("2024", "The answer is: In 2024 there were 5"),
        ("10", "The answer is 10, no wait, 12"),
        ("12", "The answer is greater than 12."),
        ("1", "The answer is 1 000 000"),
        ("13", "A common wrong answer is 13. But we get \\boxed{12}."),
        ("5", "<think>\\boxed{5}</think>\nThe answer is 7."),
        ("5 cm", r"\boxed{5 kg}"),
    ],
)
async def test_what_stands_in_the_answer_is_not_the_answer(format_name: str, truth: str, text: str) -> None:
    assert await outcome(format_name, truth, text) is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("truth", "text"),
    [
        ("12000000", r"\boxed{12 million}"),
        ("1000000", "The answer is 1 000 000."),
        ("72", "So the answer is 72, because 60 + 12 = 72."),
        ("5", "The answer is 5 apples."),
        ("5", r"\boxed{x = 5}"),
        ("0", "The answer is zero."),
        ("5/2", r"\boxed{2½}"),
        ("12", "The answer would be 12. There are 3 of them."),
        ("7", "<think>\\boxed{5}</think>\n\\boxed{7}"),
    ],
)
async def test_what_is_meant_is_found(truth: str, text: str) -> None:
    assert await outcome("number", truth, text) is Outcome.CORRECT


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        ("e^{-20}", "0.0"),
        (r"\frac{\pi}{10^8}", "0.0"),
        (r"\frac{\sqrt2}{10^7}", "0.0000004"),
        ("x=5", "y=5"),
        ("(1,2)", r"\{1,2\}"),
        (r"5 \text{ cm}", r"5 \text{ kg}"),
        (r"\$5", r"5 \text{ cents}"),
        (r"90^\circ", r"90 \text{ radians}"),
        ("6", r"6 \text{ apples and } 7 \text{ pears}"),
        ("3", r"3 \text{ feet } 4 \text{ inches}"),
        (r"\frac12", r"\text{not }\frac12"),
    ],
)
async def test_unlike_things_are_not_equal(truth: str, answer: str) -> None:
    assert await outcome("math", truth, f"\\boxed{{{answer}}}") is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        (r"\pi", "3.141593"),
        (r"\sqrt2", "1.414214"),
        (r"\frac{1}{3}", r"\frac{2}{6}"),
        (r"5 \text{ cm}", "5"),
        ("50", r"50\%"),
        ("0", "0.0"),
        (r"\frac{1}{10^8}", "10^{-8}"),
    ],
)
async def test_like_things_are(truth: str, answer: str) -> None:
    assert await outcome("math", truth, f"\\boxed{{{answer}}}") is Outcome.CORRECT


async def test_a_box_of_the_problem_is_no_answer() -> None:
    text = "I am to put it in \\boxed{5}. The answer is 7."
    assert await outcome("number", "5", text, "Put the answer in \\boxed{5}.") is not Outcome.CORRECT
    assert await outcome("number", "7", text, "Put the answer in \\boxed{5}.") is Outcome.CORRECT
