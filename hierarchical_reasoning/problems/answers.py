"""The ground truth of one row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.problems.columns import is_missing
from hierarchical_reasoning.wording import kind_of, quoted

Answer = str | tuple[str, ...]


def read_answer(
    where: str, text: str, fields: Mapping[str, Any], names: Iterable[str]
) -> tuple[str, Answer] | tuple[None, None]:
    """The first of these fields that has a value, and the answer in it.

    Args:
        where: file and line, for messages.
        text: the problem's, which may tell of a move that a chess position is still short of.
        fields: the row.
        names: in the order in which they are looked at.
    """
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and (name == "ground_truth_json" or value.lstrip().startswith('{"')):
            value = None if not value.strip() else _parsed(where, name, value)
        if is_missing(value):
            continue
        if isinstance(value, dict):
            return name, _chess_answer(where, name, text, value)
        if isinstance(value, list):
            return name, tuple(_one_answer(where, name, one) for one in value)
        return name, _one_answer(where, name, value)
    return None, None


def flaw_of(text: str) -> str | None:
    """Why this is no text that could be sent to a model; None where it is one."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half of a surrogate pair, which is no text"
    return "holds a NUL character, which is no text" if "\0" in text else None


def _parsed(where: str, name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ProblemFileError(
            f"{where}: `{name}` holds broken JSON; name another field with --answer_field"
        ) from error


def _one_answer(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str | int | float | Decimal):
        raise ProblemFileError(
            f"{where}: `{name}` must be text, a number, or a list of these, not {kind_of(value)}; name "
            "another field with --answer_field"
        )
    answer = str(value).strip()
    flaw = flaw_of(answer) if answer else "is blank"
    if flaw is not None:
        raise ProblemFileError(f"{where}: `{name}` {flaw}; name another field with --answer_field")
    return answer


def _chess_answer(where: str, name: str, text: str, truth: dict[str, Any]) -> Answer:
    if not {"fen", "move_list"} <= truth.keys():
        raise ProblemFileError(
            f"{where}: `{name}` is an object with {quoted(truth)}; an object needs `fen` and `move_list`; "
            "name another field with --answer_field"
        )
    from hierarchical_reasoning.verifiers.chess_position import ChessPuzzleError, ground_truth_moves

    try:
        moves = ground_truth_moves(text, truth)
    except ChessPuzzleError as error:
        raise ProblemFileError(f"{where}: `{name}`: {error}; see --answer_field") from error
    return moves[0] if len(moves) == 1 else moves
