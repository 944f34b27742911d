"""CSV, TSV and parquet."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problem_files import TEXTS, read_one, write

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems import read_problems


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.csv.gz", "p.TSV.GZ", "p.parquet"])
def test_tables_read_as_json_does(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name.lower(), TEXTS).rename(tmp_path / name)
    found = read_problems(path)
    assert [(p.id, p.text, p.answer, p.category) for p in found.problems] == [
        ("a", "1 + 1?", "2", "sum"),
        ("b", "2 * 3?", "6", "product"),
        ("c", "1 + 2?", "3", "sum"),
    ]
    assert found.notes == ("the ground truth is taken from `answer`",)


def test_cells_may_hold_line_breaks_and_a_row_is_called_after_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes('\ufeffprompt, answer\r\n"one\r\ntwo, ""three""",3\r\n\r\nfour,\r\n'.encode())
    found = read_problems(path)
    assert [(p.id, p.text, p.answer) for p in found.problems] == [
        ("row-2", 'one\r\ntwo, "three"', "3"),
        ("row-5", "four", None),
    ]
    assert found.problems[1].fields == {"prompt": "four", "answer": None}
    assert found.notes[1] == "1 of 2 problems have no answer: line 5"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "", "holds no problems"),
        ("p.csv", "prompt,answer\n", "holds no problems"),
        ("p.csv", "prompt,answer\nx,1\ny\n", "line 3: 1 cells for 2 columns .`prompt`, `answer`."),
        ("p.csv", "prompt,answer\nx, y,1\n", "line 2: 3 cells for 2 columns.*quotation marks"),
        ("p.csv", "prompt,prompt\nx,1\n", "line 1: two columns are called 'prompt'"),
        ("p.csv", "prompt;answer\nx;1\n", "separated by commas, not by ';'"),
        ("p.tsv", "prompt,answer\nx,1\n", "separated by tabs, not by ','"),
        ("p.csv", 'prompt\nx\n"y\nz\n', "begins on line 3: broken CSV, a quotation mark is opened and never"),
        ("p.tsv", 'prompt\tanswer\n"x" y\t1\n', "begins on line 2: broken TSV"),
        ("p.csv", "prompt,answer\nx,1\n,2\n", "line 3: `prompt` is empty"),
        ("p.csv", "prompt,answer\nx,1\0\n", "line 2: byte 4 is NUL"),
        ("p.csv", "id,prompt\n1,x\n1,y\n", "line 3: the id '1' is also that of line 2"),
        ("p.parquet", "", "after row 0: broken parquet"),
        ("p.parquet", "PAR1 and no more PAR1", "after row 0: broken parquet"),
    ],
)
def test_bad_tables_are_named_with_their_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ProblemFileError, match=message) as caught:
        read_problems(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.json"])
def test_other_encodings_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes("prompt\nx".encode("utf-16"))
    with pytest.raises(ProblemFileError, match="line 1: not UTF-8 text but UTF-16"):
        read_problems(path)
    path.write_bytes("\ncafé".encode("latin-1"))
    with pytest.raises(ProblemFileError, match=r"line 2: not UTF-8 text \(byte 4 is 0xe9\)"):
        read_problems(path)


def test_giant_lines_and_cells_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "line.jsonl.gz", "wb", compresslevel=1) as handle:
        handle.write(b'{"prompt": "')
        for _ in range(100):
            handle.write(b"x" * 2**20)
    with gzip.open(tmp_path / "cell.csv.gz", "wb", compresslevel=1) as handle:
        handle.write(b'prompt\nx\n"')
        for _ in range(100):
            handle.write((b"x" * 1023 + b"\n") * 1024)
    program = r"""if True:
        import re, sys
        from pathlib import Path
        from hierarchical_reasoning.problems import read_problems
        try:
            read_problems(sys.argv[1])
        except ValueError as error:
            print(error)
        print(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])
    """
    for name, message in (
        ("line.jsonl.gz", "line 1: longer than 64 MiB"),
        ("cell.csv.gz", "begins on line 3: broken CSV, a cell has more than 16777216 characters"),
    ):
        command = [sys.executable, "-c", program, str(tmp_path / name)]
        said, kilobytes = subprocess.check_output(command, text=True).splitlines()
        assert message in said
        assert int(kilobytes) < 300_000


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with path.open("w") as handle:
        for number in range(5_000):
            handle.write(json.dumps({"prompt": f"{number} {'x' * 6_000}", "answer": number}) + "\n")
    program = r"""if True:
        import re, sys
        from pathlib import Path
        from hierarchical_reasoning.problems import read_problems
        def most():
            return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])
        before = most()
        found = read_problems(sys.argv[1], n_rows=10, shuffle_seed=1)
        print(len(found.problems), most() - before)
    """
    n, kilobytes = map(
        int, subprocess.check_output([sys.executable, "-c", program, str(path)], text=True).split()
    )
    assert n == 10
    assert kilobytes < path.stat().st_size / 1024 / 5


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        ),
        min_size=1,
        max_size=5,
    ),
    name=st.sampled_from(["p.csv", "p.tsv", "p.csv.gz"]),
)
def test_any_text_survives_a_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], name: str
) -> None:
    written = [{"prompt": f"{prompt}?", "note": note} for prompt, note in rows]
    found = read_problems(write(tmp_path_factory.mktemp("table") / name, written))
    assert [problem.text for problem in found.problems] == [row["prompt"] for row in written]
    assert [problem.fields["note"] or "" for problem in found.problems] == [row["note"] for row in written]


def test_parquet_keeps_lists_and_objects_and_reads_decimals(tmp_path: Path) -> None:
    rows = [
        {"problem": "x", "answer": Decimal("1.50"), "options": ["a", "b"], "messages": [{"role": "user"}]},
        {"problem": "y", "answer": None, "options": [], "messages": None},
    ]
    found = read_problems(write(tmp_path / "p.parquet", rows))
    assert [problem.answer for problem in found.problems] == ["1.50", None]
    assert found.problems[0].fields["options"] == ["a", "b"]
    assert found.notes[1] == "1 of 2 problems have no answer: row 2"
    dated = write(tmp_path / "d.parquet", [{"problem": "x", "answer": date(2024, 1, 1)}])
    with pytest.raises(ProblemFileError, match=r"row 1: `answer` must be text.* not a date"):
        read_problems(dated)


def test_the_nan_of_data_frames_is_no_answer(tmp_path: Path) -> None:
    assert read_one(tmp_path, {"prompt": "x", "answer": float("nan")}).answer is None


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "p.parquet", TEXTS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ProblemFileError, match=r"pip install 'hierarchical-reasoning\[tables\]'"):
        read_problems(path)
