"""The rows of a file, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.source import Source


@dataclass(frozen=True)
class Row:
    """One problem as its file has it."""

    place: str
    """Where it stands, such as "line 7"."""
    number: int
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class _Streamed(Iterable[Row]):
    """Rows that are read anew each time, and never held together."""

    read: Callable[[], Iterator[Row]]

    def __iter__(self) -> Iterator[Row]:
        return self.read()


def read_rows(source: Source) -> Iterable[Row]:
    """The rows, which can be gone through more than once. Raises ProblemFileError, here or on the way."""
    from hierarchical_reasoning.problems.json_rows import document_rows, line_rows
    from hierarchical_reasoning.problems.parquet_rows import parquet_rows
    from hierarchical_reasoning.problems.table_rows import table_rows

    readers: dict[str, Callable[[Source], Iterator[Row]]] = {
        ".jsonl": line_rows,
        ".csv": partial(table_rows, delimiter=","),
        ".tsv": partial(table_rows, delimiter="\t"),
        ".parquet": parquet_rows,
    }
    if source.ending == ".json":
        return document_rows(source)
    if source.ending not in readers or (source.ending == ".parquet" and source.is_gzipped):
        raise ProblemFileError(
            f"{source} has the ending {''.join(source.path.suffixes[-2:])!r}; {source.flag} takes .json, .jsonl, "
            ".csv and .tsv, each also with .gz, and .parquet"
        )
    return _Streamed(partial(readers[source.ending], source))
