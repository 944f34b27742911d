"""Ground truths of real files grade as correct for their own problem, and as wrong for another's."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import ProblemSet, read_problems
from hierarchical_reasoning.verifiers import verifier_for

pytestmark = pytest.mark.shared_data


def problems_of(name: str, n_rows: int | None = None) -> ProblemSet:
    shared = Path(os.environ.get("HR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = shared / "problems" / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set HR_SHARED_DATA to the folder with it")
    return read_problems(path, n_rows=n_rows)


async def test_every_gsm8k_solution_has_its_own_answer_and_no_other() -> None:
    """The prediction is the whole solution, worked steps and all."""
    problems = problems_of("gsm8k_train.jsonl.gz").problems
    verifier, note = verifier_for(None, problems)
    assert (verifier.format, len(problems)) == ("number", 7473), note
    rng = random.Random(0)
    for problem in problems:
        assert (await verifier.grade(problem, problem.fields["answer"])).outcome is Outcome.CORRECT, (
            problem.id
        )
        other = rng.choice(problems)
        same = other.answers[0].replace(",", "") == problem.answers[0].replace(",", "")
        expected = Outcome.CORRECT if same else Outcome.WRONG
        assert (await verifier.grade(problem, other.fields["answer"])).outcome is expected, (
            problem.id,
            other.id,
        )


@pytest.mark.parametrize(
    ("name", "n_rows"), [("deepscaler_train_math.json.gz", 400), ("aime24_test.jsonl", 30)]
)
async def test_mathematical_truths_are_themselves_and_no_other(name: str, n_rows: int) -> None:
    problems = problems_of(name, n_rows).problems
    found, _ = verifier_for("math", problems)
    rng = random.Random(0)
    async with found as verifier:
        for problem in problems:
            (truth,) = problem.answers
            for form in (r"\boxed{%s}", "The answer is $%s$."):
                grade = await verifier.grade(problem, form % truth.replace(r"\frac", r"\dfrac"))
                assert grade.outcome is Outcome.CORRECT, (problem.id, form, grade.reason)
            (other,) = rng.choice(problems).answers
            grade = await verifier.grade(problem, rf"\boxed{{{other}}}")
            assert (grade.outcome is Outcome.CORRECT) is (other == truth), (problem.id, grade.reason)
