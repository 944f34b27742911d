from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problem_files import TEXTS, write

from hierarchical_reasoning.errors import ProblemFileError, UsageError
from hierarchical_reasoning.problems import read_problems

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "prompt",
        "problem",
        "id",
        "answer",
        "ground_truth",
        "ground_truth_json",
        "final_answer",
        "category",
        "solution",
        "fen",
        "best_move_san",
        "mate_in_one_moves",
        "Puzzles",
    ]
)


@given(
    rows=st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=4),
    category=st.none() | st.text(),
    shape=st.sampled_from(["auto", "plain", "gsm8k", "numina", "lichess", "game24"]),
    shuffle_seed=st.none() | st.integers(),
)
def test_any_rows_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    category: str | None,
    shape: str,
    shuffle_seed: int | None,
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "p.json", rows)
    try:
        found = read_problems(path, category=category, shape=shape, shuffle_seed=shuffle_seed)
    except UsageError:
        return
    assert 0 < len(found.problems) <= len(rows)
    assert all(problem.text.strip() for problem in found.problems)


NAMES = st.sampled_from(
    ["p.json", "p.jsonl", "p.csv", "p.tsv", "p.parquet", "p.json.gz", "p.jsonl.gz", "p.csv.gz", "p.tsv.gz"]
)
PIECES = st.sampled_from(
    [
        "prompt",
        "answer",
        "id",
        ",",
        "\t",
        '"',
        '""',
        "\n",
        "\r",
        "####",
        "x",
        "[",
        "]",
        "{",
        "}",
        ":",
        "\\boxed{",
        "\ufeff",
    ]
)


@given(raw=st.binary(max_size=60), name=NAMES, zipped=st.booleans())
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, name: str, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(gzip.compress(raw) if zipped and path.suffix == ".gz" else raw)
    with pytest.raises(ProblemFileError):
        read_problems(path)


@given(pieces=st.lists(PIECES, max_size=30), name=NAMES)
def test_anything_that_looks_like_a_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], name: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / name
    raw = "".join(pieces).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    try:
        found = read_problems(path)
    except ProblemFileError:
        return
    assert found.problems


@pytest.mark.parametrize("name", ["p.parquet", "p.jsonl.gz", "p.csv"])
def test_a_file_with_some_bytes_changed_is_read_or_refused(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path / name, TEXTS).read_bytes()
    draw = random.Random(1)
    refused = 0
    for _ in range(400):
        changed = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        end = draw.choice([len(changed), draw.randrange(len(changed))])
        (tmp_path / name).write_bytes(changed[:end])
        try:
            read_problems(tmp_path / name)
        except ProblemFileError:
            refused += 1
    assert refused > 100
