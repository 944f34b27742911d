"""Tables of results as files and data frames.

Rows are written as they come, so that a table may be larger than memory; a data frame may not. pandas and pyarrow are
needed only for what is theirs.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader.rows import (
    ENTRY_COLUMNS,
    STEP_COLUMNS,
    Row,
    table_rows,
)
from hierarchical_reasoning.results.reader.run_files import open_run
from taxonomy.atomic import written_atomically

PARQUET_ROWS = 1000
"""Rows that are held before they are written."""


def check_export_path(path: Path, sources: Sequence[Path], *, overwrite: bool) -> None:
    """See, before anything is read, that a table can be written to `path`.

    Raises:
        OutputError: its name ends in no suffix of a table, or there is something that may not be replaced.
    """
    if path.suffix not in WRITERS:
        raise OutputError(
            f"--export {path}: the name must end in {', '.join(WRITERS)}, or be - for CSV on stdout"
        )
    if path.is_dir():
        raise OutputError(f"--export {path} is a directory; give the name of a file")
    if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        raise OutputError(f"--export {path} is one of the files to read; choose another name")
    if path.exists() and not overwrite:
        raise OutputError(f"--export {path} exists; choose another name, or give --overwrite to replace it")
    if path.suffix == ".parquet":
        _package("pyarrow", f"--export {path}")


def write_table(path: Path, rows: Iterable[Row], columns: Mapping[str, str]) -> int:
    """Write `rows` in the format that the suffix of `path` names; returns how many there were.

    The file is there when all of it is, or not at all, whatever `rows` raises.

    Raises:
        OutputError: the path cannot be written.
    """
    try:
        with written_atomically(path) as file:
            return WRITERS[path.suffix](file, rows, columns)
    except OSError as error:
        raise OutputError(f"--export {path} cannot be written ({error.strerror or error})") from error


def write_csv(file: BinaryIO, rows: Iterable[Row], columns: Mapping[str, str]) -> int:
    """UTF-8 with a header; None is an empty cell. Returns how many rows there were."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        n = 0
        for row in rows:
            writer.writerow(row)
            n += 1
        return n
    finally:
        text.detach()  # the file is the caller's to close


def _write_jsonl(file: BinaryIO, rows: Iterable[Row], columns: Mapping[str, str]) -> int:
    n = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        n += 1
    return n


def _write_parquet(file: BinaryIO, rows: Iterable[Row], columns: Mapping[str, str]) -> int:
    arrow, parquet = _package("pyarrow", "parquet"), _package("pyarrow.parquet", "parquet")
    schema = arrow.schema([(name, arrow.type_for_alias(kind)) for name, kind in columns.items()])
    rows, n = iter(rows), 0
    with parquet.ParquetWriter(file, schema) as writer:
        while batch := list(islice(rows, PARQUET_ROWS)):
            writer.write_batch(arrow.RecordBatch.from_pylist(batch, schema))
            n += len(batch)
    return n


WRITERS: Mapping[str, Callable[[BinaryIO, Iterable[Row], Mapping[str, str]], int]] = {
    ".csv": write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
"""By the suffix of the file."""


def to_frame(
    paths: Iterable[str | Path],
    *,
    steps: bool = False,
    outcomes: Collection[Outcome] = (),
    category: str | None = None,
) -> Any:
    """A `pandas.DataFrame` of the results of all files, one row an entry or, with `steps`, one row a step.

    Columns, and which entries are taken, are as `table_rows` has them.

    Raises:
        ConfigError: pandas is not installed.
        CategoryError, ResultsFileError, JournalError: as `table_rows` and `open_run`.
    """
    pandas = _package("pandas", "to_frame()")
    rows = table_rows([open_run(path) for path in paths], steps=steps, outcomes=outcomes, category=category)
    return pandas.DataFrame(list(rows), columns=list(STEP_COLUMNS if steps else ENTRY_COLUMNS))


def _package(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {name.partition('.')[0]}, which is not installed: "
            "pip install 'hierarchical-reasoning[tables]'"
        ) from error
