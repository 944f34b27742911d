"""Rows from JSON: a list of objects, or an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.rows import Row
from hierarchical_reasoning.problems.source import Source, text_lines, whole_text
from hierarchical_reasoning.wording import kind_of, quoted

LIST_FIELDS = ("results", "problems", "data")


def line_rows(source: Source) -> Iterator[Row]:
    """One object a line; blank lines are passed over."""
    for number, line in enumerate(text_lines(source), start=1):
        if line.strip():
            yield _row(source, f"line {number}", number, _parsed(source, line.rstrip(), first_line=number))


def document_rows(source: Source) -> list[Row]:
    """The list that a document is, or that it has under one of LIST_FIELDS."""
    text = whole_text(source)
    content = _parsed(source, text, first_line=1) if text.strip() else []
    return [
        _row(source, f"row {number}", number, value)
        for number, value in enumerate(_list_in(source, content), start=1)
    ]


def _parsed(source: Source, text: str, *, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{source}, line {first_line + error.lineno - 1}, column {error.colno}"
        hint = "a file with one object a line is named .jsonl; " if error.msg.startswith("Extra data") else ""
        raise ProblemFileError(f"{where}: broken JSON, {error.msg}; {hint}see {source.flag}") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ProblemFileError(
            f"{source}, from line {first_line}: unreadable JSON, {reason}; see {source.flag}"
        ) from error


def _list_in(source: Source, content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        for name in LIST_FIELDS:
            if isinstance(content.get(name), list):
                found: list[Any] = content[name]
                return found
    raise ProblemFileError(
        f"{source} holds {kind_of(content)}; {source.flag} needs a list of objects, or an object with such a "
        f"list under one of {quoted(LIST_FIELDS)}"
    )


def _row(source: Source, place: str, number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        raise ProblemFileError(
            f"{source}, {place}: a problem must be an object, not {kind_of(value)}; see {source.flag}"
        )
    return Row(place, number, value)
