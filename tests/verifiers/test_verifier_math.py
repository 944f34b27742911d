from __future__ import annotations

import asyncio
import string
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import Grade
from hierarchical_reasoning.verifiers.math_expression import MAX_LENGTH, MathVerifier
from hierarchical_reasoning.verifiers.math_pool import WorkerPool

HOSTILE_SECONDS = 30
"""Of the clock, for an answer that may take 1 s of CPU time; the machine may be busy."""


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(size=1)
    yield pool
    pool.close()


@pytest.fixture
async def verifier(pool: WorkerPool) -> MathVerifier:
    return MathVerifier(pool)


def problem(answer: str | tuple[str, ...] | None) -> Problem:
    return Problem("p", "What is it?", answer, None, {})


SAME = [
    (r"\frac{1}{2}", ["0.5", "1/2", r"\dfrac{2}{4}", r"\frac12", "50\\%", "x = 0.5"]),
    (r"2\sqrt{3}", [r"\sqrt{12}", "2*sqrt(3)", r"2\sqrt3", "2√3", "3.464102"]),
    (r"\frac{\pi}{2}", ["pi/2", "π/2", r"0.5\pi", r"\frac\pi 2"]),
    ("(3,-1)", ["(3, -1)", r"\left(3,-1\right)", "x=3, y=-1", r"(\frac{6}{2}, -1)"]),
    ("(1,2,3)", ["(1, 2, 3)"]),
    ("[0,3)", ["[0, 3)", r"0 \le x < 3", r"x \in [0,3)"]),
    (r"(-\infty,2)\cup(3,\infty)", [r"(3,\infty)\cup(-\infty,2)", "(-oo,2) U (3,oo)", "(-∞,2)∪(3,∞)"]),
    ("1,2", ["2, 1", r"\{2,1\}", r"1 \text{ and } 2", "x = 1 or x = 2"]),
    (r"\pm 2", ["2, -2", r"\{-2, 2\}"]),
    ("5", ["x=5", r"5\text{ cm}", "5 cm", r"\$5", "5.0", "2+3", r"\sqrt{25}"]),
    ("x=5", ["5"]),
    ("6", ["3!", r"\binom{4}{2}"]),
    ("x^2+2x+1", ["(x+1)^2", "x**2 + 2*x + 1", "1+2x+x^2"]),
    ("a + b + c", ["c+b+a", "a+ b +c"]),
    ("2t", ["2 t", r"t \cdot 2"]),
    ("y=2x+3", ["y = 3 + 2x"]),
    (r"x \ge 3", [r"3 \le x", "x >= 3", r"[3,\infty)"]),
    (r"\sin^2 t + \cos^2 t", ["1"]),
    ("1+i", ["i+1"]),
    (r"2 \log x", [r"2\log(x)"]),
    (r"1024_5", ["1024_{5}", "1024", r"1024_{\text{5}}"]),
    (r"\text{even}", ["even", "Even."]),
    (r"\text{(B)}", ["B", "(B)", r"\text{B}"]),
    (r"\text{no solution}", ["No solution"]),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", [r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"]),
    (r"0.\overline{3}", ["1/3", r"\frac{3}{9}"]),
    (r"\frac{3}{2}", ["1 1/2", r"1\frac{1}{2}", "3:2"]),
    (r"\emptyset", [r"\varnothing", "∅"]),
    ("10,080", ["10080", "10{,}080", r"10,\!080"]),
    (r"\frac{1}{x+1}", ["(x+1)^{-1}", "1/(x+1)"]),
]
OTHER = [
    ("1/2", ["1/3", "2", "-1/2", "0.49"]),
    ("1/3", ["0.333"]),
    (r"\pi", ["3.14", "22/7"]),
    ("(3,-1)", ["(-1,3)", "3", "(3,-1,0)"]),
    ("(2,1)", ["(1,2)"]),
    ("[0,3)", ["[0,3]", "(0,3)", "[0,4)", "0, 3"]),
    ("1,2", ["1,2,3", "1", "1, 3"]),
    ("5", ["x=6", "-5", "five", "5x", "5, 6", r"\text{none}"]),
    ("x=1", ["y=2"]),
    ("2t", ["2"]),
    ("2", ["2 t", "2x"]),
    ("y=2x", ["x=2y"]),
    ("x^2", ["x^3", "x"]),
    ("x>3", ["x<3", r"x \ge 3"]),
    ("1+i", ["1-i"]),
    ("1024_5", ["1024_6", "1023"]),
    ("12_5", ["12_6"]),
    (r"\text{(B)}", ["C", r"\text{(A)}"]),
    ("Friday", ["Monday", "Fridya", "5"]),
    ("listen", ["silent"]),
    ("1:2:3", ["1:6"]),
    ("2024-01-05", ["2018"]),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", [r"\begin{pmatrix}2\\1\end{pmatrix}"]),
    (r"\frac{a}{b}", [r"\frac{b}{a}"]),
]


@pytest.mark.parametrize(("truth", "answers"), SAME)
async def test_equal_answers_are_correct(verifier: MathVerifier, truth: str, answers: list[str]) -> None:
    verifier.check(problem(truth))
    for answer in (truth, *answers):
        grade = await verifier.grade(problem(truth), rf"so \boxed{{{answer}}}")
        assert grade.outcome is Outcome.CORRECT, (answer, grade.reason)


@pytest.mark.parametrize(("truth", "answers"), OTHER)
async def test_other_answers_are_wrong(verifier: MathVerifier, truth: str, answers: list[str]) -> None:
    verifier.check(problem(truth))
    for answer in answers:
        grade = await verifier.grade(problem(truth), rf"so \boxed{{{answer}}}")
        assert grade.outcome is Outcome.WRONG, (answer, grade.reason)


@pytest.mark.parametrize(
    ("text", "extracted", "outcome"),
    [
        (r"The answer is $\frac{1}{2}$, as shown above.", r"\frac{1}{2}", Outcome.CORRECT),
        (r"The answer is \(0.5\). It took 3 steps.", "0.5", Outcome.CORRECT),
        (r"The answer is $0.5\text{ sq. units}$. Done", r"0.5\text{ sq. units}", Outcome.CORRECT),
        (r"The answer is $\$0.50$.", r"\$0.50", Outcome.CORRECT),
        ("**Answer:** 0.5", "0.5", Outcome.CORRECT),
        ("The answer is 0.5 of the cake.", "0.5 of the cake", Outcome.CORRECT),
        ("The answer is clear.\n1/2", None, Outcome.NO_ANSWER),
        ("The answer is a half.", None, Outcome.NO_ANSWER),
        ("We get 0.5 here, then 3", None, Outcome.WRONG),
        ("first 0.5\nthen 3", None, Outcome.NO_ANSWER),
        (r"\boxed{x}", "x", Outcome.WRONG),
        (r"\boxed{\frac{1}{}}", r"\frac{1}{}", Outcome.WRONG),
    ],
)
async def test_the_answer_is_found_in_its_text(
    verifier: MathVerifier, text: str, extracted: str | None, outcome: Outcome
) -> None:
    grade = await verifier.grade(problem(r"\frac{1}{2}"), text)
    assert grade.outcome is outcome, grade
    assert extracted is None or grade.extracted == extracted


async def test_several_formulas_are_one_answer_if_nothing_stands_between(verifier: MathVerifier) -> None:
    both = await verifier.grade(problem("1,2"), "The answer is $1$ and $2$.")
    assert (both.outcome, both.extracted) == (Outcome.CORRECT, "1, 2")
    one = await verifier.grade(problem("1"), "The answer is $1$ where $x > 2$.")
    assert (one.outcome, one.extracted) == (Outcome.CORRECT, "1")


async def test_one_of_several_accepted_answers_is_enough(verifier: MathVerifier) -> None:
    for text in ("even", r"2\sqrt 3", "7"):
        grade = await verifier.grade(problem((r"\sqrt{12}", r"\text{even}", "7.0")), rf"\boxed{{{text}}}")
        assert grade.outcome is Outcome.CORRECT, grade.reason


async def test_reasons_have_a_fixed_part(verifier: MathVerifier) -> None:
    reasons = {}
    for text in ("x", r"\frac{", "9" * (MAX_LENGTH + 1) + "x", r"\sqrt{12}"):
        grade = await verifier.grade(problem(r"2\sqrt{3}"), f"<answer>{text}</answer>")
        reasons[text[:10]] = grade.reason.partition(":")[0]
        assert len(grade.reason) < 300
    assert list(reasons.values()) == [
        "another answer",
        "the answer cannot be read as mathematics",
        "the answer is too long to be compared",
        "an equal answer",
    ]


@pytest.mark.parametrize("answer", [r"\frac{1}{", "{" * 20, "x" * (MAX_LENGTH + 1) + "+1", "=", r"\approx"])
def test_a_truth_that_cannot_be_read_is_named_before_the_run(pool: WorkerPool, answer: str) -> None:
    with pytest.raises(
        ProblemFileError, match=r"problem 'p': the answer .* cannot be read.*--ground_truth_format"
    ):
        MathVerifier(pool).check(problem(answer))


def test_the_note_counts_answers_that_are_words(pool: WorkerPool) -> None:
    note = MathVerifier(pool).note([problem("1"), problem(r"\text{even}"), problem("no solution")])
    assert note == "2 of 3 answers are words, and are compared as words"


@pytest.mark.parametrize(
    "answer",
    [
        "10^{10^{10}}",
        "10**10**10",
        "2^{2^{2^{2^{2^2}}}}",
        "9!!!!!!",
        "1000000000!",
        r"\binom{10^7}{5\cdot 10^6}",
        r"\sum_{k=1}^{10^9} \frac{1}{k^2}",
        r"\prod_{k=1}^{10^9} k",
        r"\int_0^1 e^{e^{e^x}} dx",
        "{" * 900 + "}" * 900,
        r"\frac{1}{" * 200 + "1" + "}" * 200,
        r"\sqrt{" * 250 + "2" + "}" * 250,
        "(" * 1900,
        "1+" * 900 + "1",
        "x^" * 900 + "2",
        "1," * 900 + "1",
        "$" * 500 + "a" * 1000,
        "answer is " * 150,
        "a" * 1_000_000,
        r"\frac{1}{2}" * 100_000,
        "1" * 1_000_000,
    ],
)
async def test_hostile_answers_end_in_time_and_are_not_correct(answer: str) -> None:
    started = time.monotonic()
    async with MathVerifier(WorkerPool(1, cpu_seconds=1)) as verifier:
        for text in (rf"\boxed{{{answer}}}", f"The answer is {answer}")[
            : 2 if len(answer) > MAX_LENGTH else 1
        ]:
            grade = await verifier.grade(problem(r"\sqrt{2}"), text)
            assert grade.outcome in (Outcome.WRONG, Outcome.NO_ANSWER), grade.reason
    assert time.monotonic() - started < HOSTILE_SECONDS


async def test_grading_does_not_block_the_event_loop() -> None:
    ticks = 0
    async with MathVerifier(WorkerPool(1, cpu_seconds=1)) as verifier:
        grading = asyncio.create_task(verifier.grade(problem("0.1x"), r"\boxed{10^{10^{10}} x}"))
        while not grading.done():
            await asyncio.sleep(0.01)
            ticks += 1
        grade = await grading
    assert grade.reason.startswith("comparing the answer took too long: more than 1 s")
    assert ticks > 20


def read(grade: Grade) -> bool:
    return grade.outcome is Outcome.CORRECT


SMALL = st.integers(-20, 20)
ANY_FRACTION = st.fractions(max_denominator=50).filter(lambda f: abs(f) < 100)
loose = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def latex(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    whole = str(abs(value.numerator))
    return sign + (whole if value.denominator == 1 else rf"\frac{{{whole}}}{{{value.denominator}}}")


@loose
@given(values=st.lists(ANY_FRACTION, min_size=2, max_size=4, unique=True), seed=st.randoms())
def test_sets_do_not_care_for_order_and_tuples_do(
    pool: WorkerPool, values: list[Fraction], seed: st.random_module
) -> None:
    verifier = MathVerifier(pool)
    other = [*values[1:], values[0]]
    as_set = rf"\{{{', '.join(map(latex, values))}\}}"
    as_tuple = f"({', '.join(map(latex, values))})"
    turned_set = asyncio.run(verifier.grade(problem(as_set), rf"\boxed{{{', '.join(map(str, other))}}}"))
    turned_tuple = asyncio.run(
        verifier.grade(problem(as_tuple), rf"\boxed{{({', '.join(map(str, other))})}}")
    )
    same_tuple = asyncio.run(verifier.grade(problem(as_tuple), rf"\boxed{{({', '.join(map(str, values))})}}"))
    assert (read(turned_set), read(turned_tuple), read(same_tuple)) == (True, False, True)


@loose
@given(a=SMALL, b=SMALL, c=SMALL, x=st.sampled_from(sorted(set(string.ascii_lowercase) - set("deijo"))))
def test_a_quadratic_is_itself_in_any_form_and_no_other(
    pool: WorkerPool, a: int, b: int, c: int, x: str
) -> None:
    verifier = MathVerifier(pool)
    truth = f"{x}^2 + {a + b}{x} + {a * b}".replace("+ -", "- ")
    factors = f"({x} + {a})({x} + {b})".replace("+ -", "- ")
    assert read(asyncio.run(verifier.grade(problem(truth), rf"\boxed{{{factors}}}")))
    shifted = f"{factors} + {c}"
    assert read(asyncio.run(verifier.grade(problem(truth), rf"\boxed{{{shifted}}}"))) is (c == 0)


@loose
@given(low=SMALL, width=st.integers(1, 9), left=st.sampled_from("[("), right=st.sampled_from(")]"))
def test_an_interval_is_its_ends(pool: WorkerPool, low: int, width: int, left: str, right: str) -> None:
    verifier = MathVerifier(pool)
    truth = f"[{low},{low + width})"
    answer = rf"\boxed{{{left}{low}, {low + width}{right}}}"
    assert read(asyncio.run(verifier.grade(problem(truth), answer))) is (left + right == "[)")
    assert not read(asyncio.run(verifier.grade(problem(truth), rf"\boxed{{[{low},{low + width + 1})}}")))


@loose
@given(text=st.text(alphabet="0123456789xyabei+-*/^_=<>!.,:;(){}[]|\\$% \nfracsqrttext", max_size=40))
def test_no_text_breaks_it(pool: WorkerPool, text: str) -> None:
    grade = asyncio.run(MathVerifier(pool).grade(problem(r"\sqrt{7}+\frac{13}{29}"), rf"\boxed{{{text}}}"))
    assert grade.outcome in (Outcome.WRONG, Outcome.NO_ANSWER)
