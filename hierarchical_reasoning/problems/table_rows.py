"""Rows from CSV and TSV, with the names of the fields in the first line.

An empty cell is a field without a value. Quoting is strict: a quotation mark out of place is an error that names its
line, rather than a guess at where the cell ends.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.problems.source import Source, text_lines
from hierarchical_reasoning.wording import quoted

MAX_CELL_CHARACTERS = 16 * 2**20
_SEPARATORS = {",": "commas", "\t": "tabs"}


def table_rows(source: Source, *, delimiter: str) -> Iterator[Row]:
    """A row for each record; it is called after the line on which it begins."""
    with _long_cells():
        records = _records(source, delimiter)
        first_line, header = next(records, (1, []))
        names = _names(source, first_line, header, delimiter)
        for line, cells in records:
            if len(cells) != len(names):
                raise ProblemFileError(
                    f"{source}, line {line}: {len(cells)} cells for {len(names)} columns ({quoted(names)}); cells "
                    f"with {_SEPARATORS[delimiter]} or line breaks in them need quotation marks; see {source.flag}"
                )
            fields = {name: cell or None for name, cell in zip(names, cells, strict=True)}
            yield Row(f"line {line}", line, fields)


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _records(source: Source, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, and the line on which it begins."""
    reader = csv.reader(text_lines(source), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ProblemFileError(
                f"{source}, in the record that begins on line {line}: broken {source.ending[1:].upper()}, "
                f"{_explained(error)}; see {source.flag}"
            ) from error
        if cells:
            yield line, cells


def _explained(error: csv.Error) -> str:
    said = str(error)
    if said == "unexpected end of data":
        return "a quotation mark is opened and never closed"
    if said.startswith("field larger than"):
        return f"a cell has more than {MAX_CELL_CHARACTERS} characters, or a quotation mark is never closed"
    return said


def _names(source: Source, line: int, header: list[str], delimiter: str) -> list[str]:
    names = [name.strip() for name in header]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ProblemFileError(
            f"{source}, line {line}: two columns are called {twice!r}; names of columns must differ; see "
            f"{source.flag}"
        )
    others = [mark for mark in ",;\t" if mark != delimiter and mark in "".join(names)]
    if len(names) == 1 and others:
        raise ProblemFileError(
            f"{source}, line {line}: there is one column, {names[0]!r}; columns of a {source.ending} file are "
            f"separated by {_SEPARATORS[delimiter]}, not by {others[0]!r}; see {source.flag}"
        )
    return names
