"""Rows from parquet, with pyarrow (the extra `tables`)."""

from __future__ import annotations

from collections.abc import Iterator

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.problems.source import Source, opened

ROWS_AT_A_TIME = 256


def parquet_rows(source: Source) -> Iterator[Row]:
    """Rows are counted from 1; some hundreds are held at a time."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ProblemFileError(
            f"{source}: .parquet is read with pyarrow, which is not installed; pip install "
            f"'hierarchical-reasoning[tables]', or give another format with {source.flag}"
        ) from error
    number = 0
    with opened(source) as handle:
        try:
            for batch in ParquetFile(handle).iter_batches(ROWS_AT_A_TIME):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"row {number}", number, fields)
        except (ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ProblemFileError(
                f"{source}, after row {number}: broken parquet, {reason}; see {source.flag}"
            ) from error
