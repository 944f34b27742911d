"""Which position a chess problem is about, and which moves solve it.

A `fen` field is the position to move in. A ground truth may be an object with `fen` and `move_list` instead;
and where there is neither, the FEN stands in the prompt. In these two cases a move of the opponent that the
prompt tells is applied first, if it can be played there; so are positions kept in the files that this
project's users have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chess

_RANK = r"[pnbrqkPNBRQK1-8]{1,8}"
_FEN = re.compile(
    rf"(?<![\w/]){_RANK}(?:/{_RANK}){{7}} [wb] (?:-|[KQkqA-Ha-h]{{1,4}}) (?:-|[a-h][36])"
    r"(?: \d{1,3} \d{1,4})?"
)
_OPPONENT_MOVE = re.compile(
    r"\bopponent(?:'s|’s)?\s+(?:has\s+|just\s+|last\s+)*(?:plays|played|moves|moved|move\s+(?:is|was))\s*:?\s*"
    r"(?P<move>[\w=+#-]+)",
    re.IGNORECASE,
)
_MOVE_NUMBER = re.compile(r"^\d*\s*(?:\.+|…)\s*")


@dataclass(frozen=True)
class ChessPuzzle:
    """A position and the moves that solve it."""

    fen: str
    """The position to move in."""
    solutions: tuple[str, ...]
    """UCI; empty when no ground truth was given."""


class ChessPuzzleError(ValueError):
    """The position or the ground truth of a problem cannot be used; the message says why."""


def puzzle_of(text: str, fields: Mapping[str, Any], answers: Sequence[str]) -> ChessPuzzle:
    """The puzzle of a problem with this prompt, these fields and these accepted moves.

    Raises ChessPuzzleError when there is no position, or when an accepted move cannot be played in it.
    """
    board = _position(text, fields)
    return ChessPuzzle(board.fen(), tuple(_playable(board, answer).uci() for answer in answers))


def ground_truth_moves(text: str, truth: Mapping[str, Any]) -> tuple[str, ...]:
    """The accepted moves, as SAN, of a ground truth with `fen` and `move_list`.

    Of moves that can be played one after the other the first is the answer; moves that cannot are all
    accepted. The list may begin with the opponent's move that the prompt tells. Raises ChessPuzzleError.
    """
    board, moves = _resolve(text, truth)
    return tuple(board.san(_playable(board, move)) for move in moves)


def ground_truth_object(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The ground truth with `fen` and `move_list`, given as an object or as its JSON text; else None."""
    for name in ("ground_truth", "ground_truth_json"):
        value = fields.get(name)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            try:
                value = json.loads(value)
            except ValueError:
                continue
        if isinstance(value, Mapping) and "fen" in value:
            return value
    return None


def read_move(board: chess.Board, text: str) -> chess.Move:
    """The legal move that `text` writes: UCI, SAN, or coordinates, with or without +, #, !, ? and a move
    number.

    Raises chess.AmbiguousMoveError, chess.IllegalMoveError or chess.InvalidMoveError (all ValueError).
    """
    written = _MOVE_NUMBER.sub("", text.strip()).rstrip("+#!?.,;: ")
    if written.upper() in ("0-0", "O-O", "0-0-0", "O-O-O"):
        return board.parse_san(written.upper().replace("0", "O"))
    compact = written.replace("-", "").replace("=", "").lower()
    if re.fullmatch(r"[a-h][1-8][a-h][1-8][nbrq]?", compact) and written[0].islower():
        return board.parse_uci(compact)
    if re.fullmatch(r"K[a-h][18][-x]?[a-h][18]", written):
        castling = chess.Move.from_uci(re.sub("[-Kx]", "", written))
        if board.is_castling(castling) and castling in board.legal_moves:
            return castling
    move = board.parse_san(re.sub(r"([18])[/(]?([NBRQ])\)?$", r"\1=\2", written))
    if not move:
        raise chess.IllegalMoveError(f"{text!r} is not a move on the board")
    return move


def is_line(board: chess.Board, moves: Sequence[str]) -> bool:
    """Whether the moves can be played one after the other."""
    board = board.copy(stack=False)
    for written in moves:
        move = _legal(board, written)
        if move is None:
            return False
        board.push(move)
    return True


def _position(text: str, fields: Mapping[str, Any]) -> chess.Board:
    if isinstance(fields.get("fen"), str):
        return _board(fields["fen"])
    truth = ground_truth_object(fields)
    if truth is not None:
        return _resolve(text, truth)[0]
    match = _FEN.search(text)
    if match is None:
        raise ChessPuzzleError("no `fen` field, no ground truth with `fen`, and no FEN in the prompt")
    board = _board(match[0])
    told = _told_move(text, board)
    if told is not None:
        board.push(told)
    return board


def _resolve(text: str, truth: Mapping[str, Any]) -> tuple[chess.Board, list[str]]:
    """The position to move in and the accepted moves, in the first reading of the list that can be played."""
    start = _board(truth["fen"])
    moves = truth.get("move_list")
    moves = moves.split() if isinstance(moves, str) else moves
    if not isinstance(moves, list) or not moves or not all(isinstance(move, str) for move in moves):
        raise ChessPuzzleError(f"`move_list` must be a list of moves, not {moves!r}")
    readings = [(start, moves)]
    told = _told_move(text, start)
    if told is not None:
        after = start.copy()
        after.push(told)
        begins_with_told = told == _legal(start, moves[0])
        readings = (
            [(after, moves[1:]), (after, moves)] if begins_with_told else [(after, moves), (start, moves)]
        )
    for board, line in readings:
        if line and is_line(board, line):
            return board, line[:1]
    for board, alternatives in readings:
        if alternatives and all(_legal(board, move) for move in alternatives):
            return board, alternatives
    raise ChessPuzzleError(f"the moves {moves} of `move_list` cannot be played in {start.fen()}")


def _told_move(text: str, board: chess.Board) -> chess.Move | None:
    """The opponent's move that the prompt tells, if it can be played on `board`."""
    match = _OPPONENT_MOVE.search(text)
    return _legal(board, match["move"]) if match else None


def _legal(board: chess.Board, written: str) -> chess.Move | None:
    try:
        return read_move(board, written)
    except ValueError:
        return None


def _playable(board: chess.Board, written: str) -> chess.Move:
    try:
        return read_move(board, written)
    except ValueError as error:
        raise ChessPuzzleError(f"the answer {written!r} cannot be played in {board.fen()}") from error


def _board(fen: object) -> chess.Board:
    try:
        return chess.Board(str(fen).strip())
    except ValueError as error:
        raise ChessPuzzleError(f"the FEN {fen!r} is no position: {error}") from error
