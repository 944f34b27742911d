"""Rows of one dataclass, as columns, CSV or a pandas data frame. pandas is used only where it is installed."""

import csv
import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, TypeVar

from taxonomy.looking.errors import MissingPackageError

Row = TypeVar("Row")


@dataclass(frozen=True)
class Frame(Generic[Row]):
    """A table: `kind` is the dataclass whose fields are the columns, so an empty table has columns too."""

    kind: type[Row]
    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in fields(self.kind))  # type: ignore[arg-type]  # a dataclass

    def columns(self) -> dict[str, list[Any]]:
        """By name, one value per row; enums as their values."""
        return {name: [_plain(getattr(row, name)) for row in self.rows] for name in self.names}

    def records(self) -> list[dict[str, Any]]:
        """One dict per row, as JSON takes it."""
        return [{name: _plain(getattr(row, name)) for name in self.names} for row in self.rows]

    def csv_bytes(self) -> bytes:
        """UTF-8, with a header; None is an empty cell."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(self.names)
        writer.writerows(record.values() for record in self.records())
        return buffer.getvalue().encode("utf-8", "backslashreplace")

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise MissingPackageError(
                "to_pandas() needs pandas, which is not installed: pip install pandas; columns() needs nothing"
            ) from error
        return pandas.DataFrame(self.columns(), columns=list(self.names))


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value
