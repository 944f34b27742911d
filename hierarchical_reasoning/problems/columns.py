"""What stands in a file's rows, which decides how they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.problems.source import Source
from hierarchical_reasoning.wording import quoted

_AFTER_HASHES = re.compile(r"^####[ \t]*(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Columns:
    """The fields of all rows."""

    n_rows: int
    first: Row
    present: frozenset[str]
    """In some row."""
    filled: frozenset[str]
    """With a value in some row."""
    hashed: frozenset[str]
    """With a text in some row that has its answer after `####`."""


def look_through(source: Source, rows: Iterable[Row]) -> Columns:
    """Go through every row once. Raises ProblemFileError where there is none."""
    n_rows = 0
    first: Row | None = None
    present: set[str] = set()
    filled: set[str] = set()
    hashed: set[str] = set()
    for row in rows:
        n_rows += 1
        first = first or row
        present.update(row.fields)
        for name, value in row.fields.items():
            if name not in filled and not is_missing(value):
                filled.add(name)
            if name not in hashed and isinstance(value, str) and after_hashes(value) is not None:
                hashed.add(name)
    if first is None:
        raise ProblemFileError(f"{source} holds no problems; {source.flag} needs at least one row")
    return Columns(n_rows, first, frozenset(present), frozenset(filled), frozenset(hashed))


def check_field(source: Source, columns: Columns, name: str | None, flag: str) -> None:
    """Raise ProblemFileError where a field that was named with `flag` is in no row."""
    if name is not None and name not in columns.present:
        raise ProblemFileError(
            f"{source}: {flag} {name!r} is in no row; the first row has {quoted(columns.first.fields)}"
        )


def is_missing(value: Any) -> bool:
    """Whether a field says nothing: null, an empty text or list, or the NaN that data frames write for it."""
    return value is None or value == "" or value == [] or (isinstance(value, float) and math.isnan(value))


def after_hashes(text: str) -> str | None:
    """What follows the last `####` that begins a line, as GSM8K marks its answers; None where nothing does."""
    if "####" not in text:
        return None
    found = _AFTER_HASHES.findall(text)
    return found[-1].strip() if found else None
