"""Further families are solvable, new, and can be written to files without touching what is shipped."""

from __future__ import annotations

import hashlib
import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from hierarchical_reasoning.assets import ASSETS, TEST_PROBLEMS, TRAIN_PROBLEMS
from hierarchical_reasoning.cli.assets import main
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import read_problems
from hierarchical_reasoning.sample_tasks.family_problems import ALL_FAMILIES, SOLUTION_FIELD, draw_family
from hierarchical_reasoning.sample_tasks.further_families import FURTHER_FAMILIES
from hierarchical_reasoning.sample_tasks.problem_shapes import FAMILIES
from hierarchical_reasoning.verifiers.number import NumberVerifier


def truth(family: str, text: str) -> Fraction:
    """The answer from the text alone, without the project's expressions."""
    n = [Fraction(number) for number in re.findall(r"\d+", text)]
    if family == "ratio":
        return (n[0] - n[1]) / n[2] + n[3] * n[4]
    if family == "average":
        return sum(n) / len(n)
    if family == "remainder":
        return n[0] % n[1]
    if family == "comparison":
        return n[0] * n[1] - n[2] * n[3]
    assert family == "unit_price"
    return n[1] / n[0] * n[2]


@pytest.mark.parametrize("family", FURTHER_FAMILIES)
def test_answers_follow_from_the_text(family: str) -> None:
    for problem in draw_family(family, 100, "train", 3):
        assert Fraction(str(problem.answer)) == truth(family, problem.text), problem.text


@pytest.mark.parametrize("family", ALL_FAMILIES)
async def test_worked_answers_are_right(family: str) -> None:
    for problem in draw_family(family, 20, "test", 1):
        grade = await NumberVerifier().grade(problem, problem.fields[SOLUTION_FIELD])
        assert grade.outcome.value == "correct", problem.text
        assert problem.category == family


def test_splits_are_disjoint_and_the_seed_decides() -> None:
    def texts(split: str, seed: int) -> list[str]:
        return [problem.text for problem in draw_family("average", 50, split, seed)]  # type: ignore[arg-type]

    assert texts("train", 1) == texts("train", 1) != texts("train", 2)
    assert len(set(texts("train", 1))) == 50
    assert not set(texts("train", 1)) & set(texts("test", 1))


def test_none_is_in_a_shipped_file() -> None:
    shipped = {
        problem.text for path in (TRAIN_PROBLEMS, TEST_PROBLEMS) for problem in read_problems(path).problems
    }
    for family in FURTHER_FAMILIES:
        assert not shipped & {problem.text for problem in draw_family(family, 100, "train", 0)}
    assert not set(FAMILIES) & set(FURTHER_FAMILIES)


def test_an_unknown_family_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'fractions'.*expression, equation, story, ratio, average"):
        next(draw_family("fractions", 1, "train", 0))


def test_files_of_families_can_be_read_as_problems(tmp_path: Path) -> None:
    before = hashlib.sha256(TRAIN_PROBLEMS.read_bytes()).hexdigest()
    arguments = ["problems", "--family", "average", "--family", "ratio", "--n_train", "5", "--n_test", "3"]
    done = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    read = read_problems(tmp_path / "train.jsonl").problems
    assert [problem.category for problem in read] == ["average"] * 5 + ["ratio"] * 5
    assert read[0].answer_field == "answer"
    assert set(json.loads((tmp_path / "test.jsonl").read_text().splitlines()[0])) == {
        *("id", "prompt", "answer", "category", "solution")
    }
    assert hashlib.sha256(TRAIN_PROBLEMS.read_bytes()).hexdigest() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["problems", "--family", "average"], "--output"),
        (["model", "--family", "average"], "stage problems"),
        (["problems", "--n_test", "5"], "goes with --family"),
    ],
    ids=["into the assets", "another stage", "without a family"],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], said: str) -> None:
    before = sorted(path.stat().st_mtime_ns for path in ASSETS.rglob("*"))
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert sorted(path.stat().st_mtime_ns for path in ASSETS.rglob("*")) == before
