from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from problem_files import ROWS, read_one, write

from hierarchical_reasoning import errors
from hierarchical_reasoning.errors import ProblemFileError, UsageError
from hierarchical_reasoning.problems import read_problems


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.json.gz", "p.jsonl.gz"])
def test_every_container_reads_alike(tmp_path: Path, name: str) -> None:
    found = read_problems(write(tmp_path / name, ROWS))
    assert [(p.id, p.text, p.answer, p.category) for p in found.problems] == [
        ("a", "1 + 1?", "2", "sum"),
        ("b", "2 * 3?", "6", "product"),
        ("c", "1 + 2?", "3", "sum"),
    ]
    assert found.problems[0].fields == ROWS[0]
    assert found.notes == ("the ground truth is taken from `answer`",)
    assert len(found.sha256) == 64


@pytest.mark.parametrize("name", ["results", "problems", "data"])
def test_a_list_under_a_known_name_is_read(tmp_path: Path, name: str) -> None:
    assert len(read_problems(write(tmp_path / "p.json", {"model_name": "m", name: ROWS})).problems) == 3


@pytest.mark.parametrize(
    ("row", "text", "answer"),
    [
        ({"problem": "q", "correct_answer": "x"}, "q", "x"),
        ({"question": "q", "ground_truth": 0.5}, "q", "0.5"),
        ({"prompt": "q", "problem": "other", "final_answer": "7"}, "q", "7"),
        ({"prompt": None, "problem": "q"}, "q", None),
        ({"problem": "q", "ground_truth_json": '"8"'}, "q", "8"),
        ({"problem": "q", "ground_truth_json": "[1, 2]"}, "q", ("1", "2")),
        ({"problem": "q", "final_answer": "a model's", "gold_answer": "the truth"}, "q", "the truth"),
        ({"question": "q", "answer": "She has 4 + 5.\n#### 1,009"}, "q", "1,009"),
        ({"prompt": "q", "answer": ["e4", "d4"]}, "q", ("e4", "d4")),
        ({"prompt": "q", "answer": ""}, "q", None),
        ({"prompt": "q", "best_move_uci": "e2e4", "best_move_san": "e4"}, "q", "e4"),
        ({"prompt": "q", "best_move_uci": "e2e4"}, "q", "e2e4"),
    ],
)
def test_fields_are_found_by_their_usual_names(
    tmp_path: Path, row: dict[str, Any], text: str, answer: object
) -> None:
    problem = read_one(tmp_path, row)
    assert (problem.text, problem.answer) == (text, answer)


def test_fields_can_be_named(tmp_path: Path) -> None:
    problem = read_one(
        tmp_path, {"prompt": "no", "q": "yes", "answer": "no", "a": "1"}, problem_field="q", answer_field="a"
    )
    assert (problem.text, problem.answers) == ("yes", ("1",))


def test_rows_without_id_are_named_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "x"}\n\n{"prompt": "y"}\n{"prompt": "z", "problem_id": 7}\n')
    assert [p.id for p in read_problems(path).problems] == ["row-1", "row-3", "7"]


def test_chess_ground_truth_is_resolved_to_the_move_after_the_opponents(tmp_path: Path) -> None:
    start = "rnbqkbnr/pppp1ppp/8/4p3/6P1/5P2/PPPPP2P/RNBQKBNR b KQkq - 0 2"
    row = {
        "prompt": f"The board state is {start}.",
        "ground_truth_json": json.dumps({"fen": start, "move_list": ["d8h4"]}),
    }
    assert read_one(tmp_path, row).answer == "Qh4#"
    before = "rnbqkbnr/pppp1ppp/8/4p3/8/5P2/PPPPP1PP/RNBQKBNR w KQkq - 0 2"
    told = {
        "prompt": f"The board state is {before}. Your opponent plays g2g4. What is the best next move?",
        "ground_truth": {"fen": before, "move_list": ["g2g4", "d8h4"]},
    }
    assert read_one(tmp_path, told).answer == "Qh4#"
    told["ground_truth"] = {"fen": before, "move_list": ["d8h4"]}
    assert read_one(tmp_path, told).answer == "Qh4#"
    told["ground_truth"] = {"fen": before, "move_list": ["g2g4"]}
    with pytest.raises(ProblemFileError, match="move_list"):
        read_one(tmp_path, told)


def test_missing_answers_are_noted(tmp_path: Path) -> None:
    found = read_problems(write(tmp_path / "p.json", [*ROWS, {"id": "d", "prompt": "x"}]))
    assert found.notes[1:] == ("1 of 4 problems have no answer: row 4",)


@pytest.mark.parametrize("other", ["gold_answer", "answer", "ground_truth_json", "best_move_uci"])
def test_a_final_answer_beside_another_answer_field_is_a_models(tmp_path: Path, other: str) -> None:
    rows = [
        {"prompt": "x", "final_answer": "5", other: None},
        {"prompt": "y", "final_answer": "6", other: "7"},
    ]
    path = write(tmp_path / "p.json", rows)
    found = read_problems(path)
    assert [problem.answer for problem in found.problems] == [None, "7"]
    assert found.notes[:2] == (
        f"the ground truth is taken from `{other}`",
        "1 of 2 problems have no answer: row 1",
    )
    assert "--answer_field final_answer" in found.notes[2]
    # The whole file is looked at, not the rows that are kept.
    assert [problem.answer for problem in read_problems(path, n_rows=1).problems] == [None]
    named = read_problems(path, answer_field="final_answer")
    assert [problem.answer for problem in named.problems] == ["5", "6"]
    assert named.notes == ("the ground truth is taken from `final_answer`",)


def test_a_final_answer_alone_is_the_truth_and_is_named(tmp_path: Path) -> None:
    rows = [{"prompt": "x", "final_answer": "5", "answer": None}, {"prompt": "y", "final_answer": "6"}]
    found = read_problems(write(tmp_path / "p.json", rows))
    assert [problem.answer for problem in found.problems] == ["5", "6"]
    assert found.notes == ("the ground truth is taken from `final_answer`",)


def test_every_field_that_a_ground_truth_came_from_is_named(tmp_path: Path) -> None:
    found = read_problems(write(tmp_path / "p.json", [*ROWS, {"prompt": "x", "ground_truth": 1}]))
    assert found.notes == ("the ground truth is taken from several fields: `answer` (3), `ground_truth` (1)",)


def test_a_named_answer_field_alone_counts(tmp_path: Path) -> None:
    rows = [{"prompt": "x", "a": "1"}, {"prompt": "y", "best_move_san": "e4"}, {"prompt": "z", "answer": "2"}]
    found = read_problems(write(tmp_path / "p.json", rows), answer_field="a")
    assert [problem.answer for problem in found.problems] == ["1", None, None]
    assert found.notes == (
        "the ground truth is taken from `a`",
        "2 of 3 problems have no answer: row 2, row 3",
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", "", "holds no problems"),
        ("p.jsonl", "\n\n", "holds no problems"),
        ("p.json", "[]", "holds no problems"),
        ("p.json", '[{"prompt": "x"},\n {"prompt": ]', r"line 2, column 13: broken JSON"),
        ("p.jsonl", '{"prompt": "x"}\n{"prompt"}', r"line 2, column 10: broken JSON"),
        ("p.json", '{"prompt": "x"}\n{"prompt": "y"}', r"\.jsonl"),
        ("p.json", "[" * 100_000, "nested too deeply"),
        ("p.json", "7", "holds a number"),
        ("p.json", '{"rows": []}', "`results`, `problems`, `data`"),
        ("p.json", "[[]]", "row 1: a problem must be an object, not a list"),
        ("p.jsonl", '{"text": "x"}', r"line 1: none of `prompt`, `problem`, `question`.*--problem_field"),
        ("p.jsonl", '{"prompt": "x"}\n{"prompt": "  "}', "line 2: `prompt` is empty"),
        ("p.jsonl", '{"prompt": ["x"]}', "line 1: `prompt` must be text, not a list"),
        ("p.jsonl", '{"prompt": "\\ud800"}', "surrogate"),
        (
            "p.jsonl",
            '{"prompt": "x", "id": 1}\n{"prompt": "y", "id": "1"}',
            "line 2: the id '1' .* of line 1",
        ),
        ("p.jsonl", '{"prompt": "x", "id": [1]}', "`id` must be text or a whole number, not a list"),
        ("p.jsonl", '{"prompt": "x", "answer": {"a": 1}}', "`fen` and `move_list`.*--answer_field"),
        ("p.jsonl", '{"prompt": "x", "answer": [[1]]}', "must be text, a number"),
        ("p.jsonl", '{"prompt": "x", "ground_truth_json": "{"}', "broken JSON.*--answer_field"),
        ("p.jsonl", '{"prompt": "x", "ground_truth": {"fen": "8", "move_list": ["e4"]}}', "is no position"),
        ("p.jsonl", '{"prompt": "x", "category": [1]}', "`category` must be text, not a list"),
        ("p.jsonl", '{"prompt": "x", "category": "\\u0000"}', "`category` holds a NUL character"),
        ("p.txt", "prompt\nx", r"'.txt'; --input_file takes .json, .jsonl, .csv"),
        ("p.parquet.gz", "", r"'.parquet.gz'; --input_file takes .*, and .parquet$"),
        ("p.json.gz", "[]", "not a whole gzip"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ProblemFileError, match=message) as caught:
        read_problems(path)
    assert str(path) in str(caught.value)


def test_missing_file_directory_and_binary_are_clear(tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError, match=r"does not exist.*--input_file"):
        read_problems(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ProblemFileError, match="is no regular file"):
        read_problems(tmp_path / "folder.json")
    (tmp_path / "b.json").write_bytes(b"[\xff]")
    with pytest.raises(ProblemFileError, match=r"line 1: not UTF-8 text .byte 2 is 0xff"):
        read_problems(tmp_path / "b.json")
    torn = tmp_path / "t.json.gz"
    torn.write_bytes(gzip.compress(b"[]" * 100)[:-9])
    with pytest.raises(ProblemFileError, match="not a whole gzip"):
        read_problems(torn)


def test_flags_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", ROWS)
    with pytest.raises(UsageError, match="--n_rows must be at least 1, not 0"):
        read_problems(path, n_rows=0)
    with pytest.raises(ProblemFileError, match=r"--problem_field .q. is in no row.*`prompt`"):
        read_problems(path, problem_field="q")
    with pytest.raises(ProblemFileError, match="--answer_field 'q' is in no row"):
        read_problems(path, answer_field="q")


def test_every_error_survives_pickling() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) >= 9
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("what: value")))
        assert (type(error), str(error)) == (kind, "what: value")


def test_where_no_row_has_an_answer_the_fields_are_named(tmp_path: Path) -> None:
    rows = [{"question": "1 + 1?", "anser": "2"}, {"question": "1 + 2?", "anser": "3"}]
    found = read_problems(write(tmp_path / "p.jsonl", rows))
    assert any("`question`, `anser`" in note and "--answer_field" in note for note in found.notes)
    named = read_problems(tmp_path / "p.jsonl", answer_field="anser")
    assert [problem.answer for problem in named.problems] == ["2", "3"]
    assert not any("--answer_field" in note for note in named.notes)
