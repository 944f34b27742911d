from __future__ import annotations

from pathlib import Path

import pytest
from problem_files import ROWS, write

from hierarchical_reasoning.errors import CategoryError, UsageError
from hierarchical_reasoning.problems import read_problems

NUMBERED = [{"id": f"p{number}", "prompt": str(number), "answer": number} for number in range(50)]


def ids(path: Path, **options: object) -> list[str]:
    return [problem.id for problem in read_problems(path, **options).problems]  # type: ignore[arg-type]


def test_category_filters_then_n_rows_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", ROWS)
    assert [p.id for p in read_problems(path, category="sum", n_rows=1).problems] == ["a"]
    many = read_problems(path, category="sum", n_rows=10)
    assert [p.id for p in many.problems] == ["a", "c"]
    assert many.notes[0] == "--n_rows 10: there are only 2 problems, all of them are used"


def test_unknown_category_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(CategoryError, match=r"--category 'chess'.*product \(1\), sum \(2\)"):
        read_problems(write(tmp_path / "p.json", ROWS), category="chess")


def test_category_labels_a_file_without_any_and_says_so(tmp_path: Path) -> None:
    found = read_problems(write(tmp_path / "p.json", [{"prompt": "x", "answer": 1}]), category="chess_puzzle")
    assert found.problems[0].category == "chess_puzzle"
    assert "chess_puzzle" in found.notes[0]


def test_ids_pick_problems_and_n_rows_plays_no_part(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    found = read_problems(path, sample_ids=("c", "a"), n_rows=1)
    assert [problem.id for problem in found.problems] == ["a", "c"]
    assert found.notes[0] == "--n_rows 1 plays no part: --sample_id names 2 problems"
    assert read_problems(path, sample_ids=("b",), n_rows=10).notes == (
        "the ground truth is taken from `answer`",
    )


def test_unknown_ids_name_near_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", NUMBERED)
    with pytest.raises(
        UsageError, match=r"--sample_id 'p999', '\?': no problem of .*p\.jsonl.*near it are `p9`"
    ):
        read_problems(path, sample_ids=("p1", "p999", "?"))
    with pytest.raises(UsageError, match=r"--sample_id 'zebra': .*ids are `p0`, `p1`, `p2`, \.\.\."):
        read_problems(path, sample_ids=("zebra",))


def test_an_id_of_another_category_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    assert ids(path, sample_ids=("a",), category="sum") == ["a"]
    with pytest.raises(UsageError, match="--sample_id 'b': not of the --category 'sum'"):
        read_problems(path, sample_ids=("a", "b"), category="sum")


def test_a_shuffle_is_drawn_from_the_whole_file_by_its_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", NUMBERED)
    drawn = ids(path, shuffle_seed=1)
    assert sorted(drawn) == sorted(ids(path))
    assert drawn != ids(path)
    assert ids(path, shuffle_seed=1) == drawn
    assert ids(path, shuffle_seed=2) != drawn
    assert ids(path, shuffle_seed=1, n_rows=7) == drawn[:7]
    assert ids(write(tmp_path / "q.jsonl", NUMBERED[::-1]), shuffle_seed=1) == drawn
    assert "--shuffle: the order is drawn with the seed 1" in read_problems(path, shuffle_seed=1).notes


def test_rows_that_are_not_selected_are_checked_too(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [*ROWS, {"id": "a", "prompt": "again"}])
    with pytest.raises(UsageError, match="line 4: the id 'a' is also that of line 1"):
        read_problems(path, n_rows=1)
