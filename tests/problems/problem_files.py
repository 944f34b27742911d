"""Files of problems, written for a test."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

from hierarchical_reasoning.problems import Problem, read_problems

ROWS = [
    {"id": "a", "prompt": "1 + 1?", "answer": 2, "category": "sum"},
    {"id": "b", "prompt": "2 * 3?", "answer": "6", "category": "product"},
    {"id": "c", "prompt": "1 + 2?", "answer": 3, "category": "sum"},
]
TEXTS = [row | {"answer": str(row["answer"])} for row in ROWS]
"""A column of a table has one type."""


def write(path: Path, rows: Any) -> Path:
    """As the ending of `path` asks for."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path
    if ".jsonl" in path.name:
        text = "\n".join(json.dumps(row) for row in rows)
    elif ".csv" in path.name or ".tsv" in path.name:
        text = table(rows, "," if ".csv" in path.name else "\t")
    else:
        text = json.dumps(rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def table(rows: list[dict[str, Any]], delimiter: str) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_one(tmp_path: Path, row: dict[str, Any], **options: Any) -> Problem:
    (problem,) = read_problems(write(tmp_path / "one.json", [row]), **options).problems
    return problem
