from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from problem_files import read_one, write

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems import ProblemSet, read_problems

GSM8K = {"question": "4 + 5?", "answer": "She has 4 + 5 = <<4+5=9>>9.\n#### 9"}
NUMINA = {
    "source": "olympiads",
    "problem": "Solve.",
    "solution": r"First \boxed{1}, then \boxed{\frac{2}{3}}.",
    "messages": [{"role": "user", "content": "Solve."}],
}
LICHESS = {
    "id": "oY29r",
    "prompt": "What is the best move?",
    "fen": "R7/2p4k/6p1/3B1ppp/3b4/4qP2/1PP1Q1PP/5K2 b - - 1 25",
    "best_move_uci": "e3g1",
    "best_move_san": "Qg1#",
    "mate_in_one_moves": ["Qg1#"],
}
GAME24 = {"Rank": "3", "Puzzles": "1 1 3 8", "Solved rate": "99.20%"}


def read(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> ProblemSet:
    return read_problems(write(tmp_path / "p.jsonl", rows), **options)


def test_gsm8k_keeps_the_solution_and_takes_what_follows_the_hashes(tmp_path: Path) -> None:
    found = read(tmp_path, [GSM8K])
    assert found.problems[0].answer == "9"
    assert found.problems[0].fields["answer"] == GSM8K["answer"]
    assert found.notes[0].startswith(
        "problem shape: gsm8k (found from the data): the truth is what follows ####"
    )


def test_a_gsm8k_solution_without_hashes_is_no_answer_where_the_shape_is_asked_for(tmp_path: Path) -> None:
    rows = [GSM8K, {"question": "q", "answer": "She has nine"}, {"question": "r"}]
    found = read(tmp_path, rows, shape="gsm8k")
    assert [problem.answer for problem in found.problems] == ["9", None, None]
    assert found.notes[2] == "2 of 3 problems have no answer: line 2, line 3"


@pytest.mark.parametrize("other", ["5", 5, "She has nine", ["5", "#### 6"]])
def test_hashes_in_some_answers_alone_are_an_error(tmp_path: Path, other: Any) -> None:
    """One such row used to take the truth from every other one."""
    rows = [{"question": "r"}, {"question": "q", "answer": other}, GSM8K]
    with pytest.raises(ProblemFileError, match=r"line 2: `answer` has no ####.* --problem_shape plain"):
        read(tmp_path, rows)
    whole = read(tmp_path, rows, shape="plain").problems
    assert whole[1].answers[0] == str(other[0] if isinstance(other, list) else other)


def test_a_shape_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    plain = read(tmp_path, [GSM8K], shape="plain")
    assert plain.problems[0].answer == GSM8K["answer"]
    assert plain.notes == ("the ground truth is taken from `answer`",)
    assert read(tmp_path, [GSM8K], shape="gsm8k").notes[0].startswith("problem shape: gsm8k (asked for)")
    assert read(tmp_path, [NUMINA], shape="plain").problems[0].answer is None


def test_hashes_elsewhere_make_no_gsm8k(tmp_path: Path) -> None:
    for field in ("final_answer", "ground_truth", "notes"):
        found = read(tmp_path, [{"prompt": "4 + 5?", "answer": "9", field: "So\n#### 8"}])
        assert found.problems[0].answer == "9"
        assert found.notes == ("the ground truth is taken from `answer`",)


def test_numina_takes_the_last_box_and_counts_those_without(tmp_path: Path) -> None:
    found = read(tmp_path, [NUMINA, NUMINA | {"solution": "A proof.", "source": "cn_contest"}])
    assert [problem.answer for problem in found.problems] == [r"\frac{2}{3}", None]
    assert [problem.category for problem in found.problems] == ["olympiads", "cn_contest"]
    assert found.notes[0].startswith("problem shape: numina (found from the data)")
    assert found.notes[1:] == (
        "the ground truth is taken from `solution`",
        "1 of 2 problems have no answer: line 2",
    )
    assert len(read(tmp_path, [NUMINA], category="olympiads").problems) == 1


def test_an_answer_field_goes_before_the_box(tmp_path: Path) -> None:
    rows = [NUMINA | {"answer": "5"}, NUMINA]
    assert [problem.answer for problem in read(tmp_path, rows).problems] == ["5", None]
    asked = read(tmp_path, rows, shape="numina")
    assert [problem.answer for problem in asked.problems] == ["5", r"\frac{2}{3}"]
    named = read(tmp_path, rows, shape="numina", answer_field="solution")
    assert [problem.answer for problem in named.problems] == [r"\frac{2}{3}", r"\frac{2}{3}"]


def test_lichess_moves_in_the_position_and_takes_every_mate(tmp_path: Path) -> None:
    found = read(tmp_path, [LICHESS])
    assert found.problems[0].answer == "Qg1#"
    assert found.notes[0].startswith(
        "problem shape: lichess (found from the data): the position to move in is `fen`"
    )
    several = read_one(tmp_path, LICHESS | {"mate_in_one_moves": ["Qf2#", "Qg1#"]})
    assert several.answer == ("Qg1#", "Qf2#")
    assert read_one(tmp_path, LICHESS | {"best_move_san": "Qd4", "mate_in_one_moves": []}).answer == "Qd4"


def test_game_of_24_makes_its_text_and_fields(tmp_path: Path) -> None:
    found = read_problems(write(tmp_path / "p.csv", [GAME24]))
    (problem,) = found.problems
    assert (problem.id, problem.answer) == ("3", None)
    assert problem.text == (
        "Use the numbers 1, 1, 3 and 8, each exactly once, with +, -, *, / and parentheses, to make 24."
    )
    assert problem.fields == {**GAME24, "numbers": [1, 1, 3, 8], "target": 24}
    assert found.notes == (found.notes[0],)
    named = read_one(tmp_path, {"cards": [2, 3, 5, 12]}, shape="game24", problem_field="cards")
    assert named.fields["numbers"] == [2, 3, 5, 12]


@pytest.mark.parametrize(
    "cell", ["1 1 3", "1 1 3 8 9", "1 1 3 x", "1 1 3 -8", "٣ 1 1 1", "1 1 1 " + "9" * 5_000]
)
def test_four_numbers_are_four_whole_numbers(tmp_path: Path, cell: str) -> None:
    with pytest.raises(ProblemFileError, match="line 2: `Puzzles` must be four whole numbers"):
        read(tmp_path, [GAME24, GAME24 | {"Rank": "4", "Puzzles": cell}])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("gsm8k", "--problem_shape gsm8k needs solutions that end with ####"),
        ("numina", "--problem_shape numina needs a `solution`.*`prompt`"),
        ("lichess", "--problem_shape lichess needs `fen`"),
        ("game24", "--problem_shape game24 needs a `Puzzles`"),
        ("round", "--problem_shape 'round' is not known; choose one of auto, plain, gsm8k"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(tmp_path: Path, shape: str, message: str) -> None:
    with pytest.raises(ProblemFileError, match=message):
        read_one(tmp_path, {"prompt": "x", "answer": "y"}, shape=shape)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "n", "answered", "shape"),
    [
        ("gsm8k_train.jsonl.gz", 7473, 7473, "gsm8k"),
        ("deepscaler_train_math.json.gz", 7474, 7470, None),
        ("aime24_test.jsonl", 30, 30, None),
        ("lichess_puzzles_1000_enriched.jsonl", 1000, 1000, "lichess"),
        ("game24_all_1362.csv", 1362, 0, "game24"),
    ],
)
def test_real_files_read_as_they_are(
    shared_data: Path, name: str, n: int, answered: int, shape: str | None
) -> None:
    found = read_problems(shared_data / "problems" / name)
    assert len(found.problems) == n
    assert sum(problem.answer is not None for problem in found.problems) == answered
    notes = " ".join(found.notes)
    assert (f"problem shape: {shape} (found" in notes) if shape else ("problem shape" not in notes)
    if shape == "game24":
        assert all(len(problem.fields["numbers"]) == 4 for problem in found.problems)
        assert len(found.notes) == 1
    if shape == "lichess":
        assert all(problem.answer == problem.fields["best_move_san"] for problem in found.problems)
    if "deepscaler" in name:
        assert "4 of 7474 problems have no answer: row 887, row 1010, row 5329, row 5331" in found.notes
