from __future__ import annotations

import subprocess
import sys

import chess
import pytest

from hierarchical_reasoning.errors import GroundTruthFormatError, ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers import verifier_for
from hierarchical_reasoning.verifiers.number import NumberVerifier


def problem(answer: str | None, text: str = "Which?", **fields: object) -> Problem:
    return Problem(f"p{answer}", text, answer, None, fields)


NUMBERS = [problem("1"), problem("2.5"), problem(r"\frac{1}{2}")]
MOVES = [problem("e4", fen=chess.STARTING_FEN), problem("Nf3", fen=chess.STARTING_FEN)]
GAMES = [problem(None, numbers=[1, 1, 4, 6], target=24), problem("24", "4 5 6 10")]
OPTIONS = [problem("B", options=["1", "2"]), problem("2", "Which?\nA) 1\nB) 2")]
MATHEMATICS = [problem(r"\sqrt{2}"), problem("[0,3)"), problem("1,2")]
WORDS = [problem("Paris"), problem(r"\text{Rome}"), problem("New York")]


@pytest.mark.parametrize(
    ("problems", "name"),
    [
        (NUMBERS, "number"),
        (MOVES, "chess"),
        (GAMES, "countdown"),
        (OPTIONS, "choice"),
        (MATHEMATICS, "math"),
        (WORDS, "text"),
        ([*NUMBERS, *MATHEMATICS], "math"),
        ([*NUMBERS, *WORDS], "math"),
        ([problem("6", "The numbers 1, 2 and 3 make a sum of 6. How many?")], "number"),
        ([problem(None)], "ungraded"),
        ([], "ungraded"),
    ],
)
def test_the_format_is_found_from_the_data_and_said(problems: list[Problem], name: str) -> None:
    verifier, note = verifier_for(None, problems)
    assert verifier.format == name
    assert name in note


def test_missing_answers_are_counted_in_the_note() -> None:
    verifier, note = verifier_for(None, [*NUMBERS, problem(None)])
    assert verifier.format == "number"
    assert "1 of 4 problems have no ground truth" in note


@pytest.mark.parametrize("name", ["chess", "chess coordinate notation", "Chess_Coordinate_Notation"])
def test_chess_has_other_names(name: str) -> None:
    assert verifier_for(name, MOVES)[0].format == "chess"


def test_an_unknown_format_lists_those_that_exist() -> None:
    with pytest.raises(
        GroundTruthFormatError, match=r"'poem'.*chess, countdown, choice, number, boxed, math.*ungraded"
    ):
        verifier_for("poem", NUMBERS)


def test_answers_that_fit_no_format_are_an_error_that_names_one() -> None:
    with pytest.raises(
        GroundTruthFormatError, match=r"--ground_truth_format.*number: .*math: .*'\\\\frac\{'"
    ):
        verifier_for(None, [*NUMBERS, problem(r"\frac{")])


def test_mixed_answers_are_said() -> None:
    note = verifier_for(None, [*NUMBERS, *WORDS])[1]
    assert note == (
        "answer format: math (found from the data); 3 of 6 answers are words, and are compared as words"
    )


def test_a_tolerance_is_for_numbers() -> None:
    verifier, _ = verifier_for(None, NUMBERS, number_tolerance=0.01)
    assert isinstance(verifier, NumberVerifier)
    with pytest.raises(
        GroundTruthFormatError, match=r"--number_tolerance 0.01 goes with .* number and boxed, not with chess"
    ):
        verifier_for(None, MOVES, number_tolerance=0.01)


def test_a_format_asked_for_must_fit() -> None:
    with pytest.raises(ProblemFileError, match="'e4' is not one number"):
        verifier_for("number", MOVES)


async def test_ungraded_keeps_the_answer_and_compares_nothing() -> None:
    verifier, _ = verifier_for("ungraded", NUMBERS)
    grade = await verifier.grade(NUMBERS[0], r"\boxed{7}")
    assert (grade.outcome, grade.extracted) == (Outcome.UNGRADED, "7")
    assert (await verifier.grade(NUMBERS[0], "no\nidea", truncated=True)).outcome is Outcome.UNGRADED


def test_importing_verifiers_loads_nothing_heavy() -> None:
    code = "import sys, hierarchical_reasoning.verifiers, hierarchical_reasoning.results.records;"
    code += "print([m for m in ('torch', 'transformers', 'sklearn', 'networkx', 'chess', 'sympy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
