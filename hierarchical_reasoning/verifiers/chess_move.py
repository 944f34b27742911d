"""The verifier for chess moves, exact by playing them on the position.

A move counts as itself however it is written: SAN, UCI, coordinates or long algebraic, with or without +, #, !, ? and a
move number, castling with O or 0, figurines, or in words ("knight to f3"). One that is illegal, ambiguous or not one
move is wrong, and the reason says which.
"""

from __future__ import annotations

import re
from typing import ClassVar

import chess

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.verifiers.base import AnswerVerifier, Grade
from hierarchical_reasoning.verifiers.chess_position import (
    ChessPuzzle,
    ChessPuzzleError,
    is_line,
    puzzle_of,
    read_move,
)
from hierarchical_reasoning.verifiers.extract import Candidate, Marker

_MOVE = re.compile(
    r"(?<![\w/-])(?:[O0o]-[O0o](?:-[O0o])?|"
    r"[KQRBN]?[a-h]?[1-8]?[-x]?[a-h][1-8](?:[=/(]?[NBRQnbrq]\)?)?)(?![\w/-])[+#!?]*"
)
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|boxed)\b|\\left|\\right|\\(?=[#!,; ])|[{}$*`\"“”_]")
_FIGURINES = str.maketrans("♔♕♖♗♘♚♛♜♝♞", "KQRBNKQRBN", "♙♟")
_PIECES = {"king": "K", "queen": "Q", "rook": "R", "bishop": "B", "knight": "N", "pawn": ""}
_IN_WORDS = re.compile(
    rf"\b({'|'.join(_PIECES)})(?:\s+(?:(?:from|on)\s+)?([a-h][1-8]))?(?:\s+(?:moves?|takes?|captures?|to|on))*"
    r"\s+([a-h][1-8])\b",
    re.IGNORECASE,
)
_CASTLING = re.compile(
    r"\bcastl(?:es?|ing)\s+(king|queen)side\b|\b(king|queen)side\s+castl(?:es?|ing)\b", re.IGNORECASE
)
_OR = re.compile(r"[\s,]*(?:or|and|/|\|)\s*(?:\d+\s*\.+\s*)?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[a-z])[.!?]\s")
"""Not after a digit: that is a move, or the number of one."""


class ChessMoveVerifier(AnswerVerifier):
    """Grades the move that a text ends with, on the position of the problem."""

    format: ClassVar[str] = "chess"
    aliases: ClassVar[tuple[str, ...]] = ("chess coordinate notation", "chess_move")
    answer_form: ClassVar[str] = "one chess move"

    def check(self, problem: Problem) -> None:
        """Raise ProblemFileError if there is no position, or an accepted move cannot be played in it."""
        self._puzzle(problem)

    def ballot(self, answer: str) -> str:
        """The move without what is said of it; one move written in two notations is two ballots."""
        return answer.rstrip("+#!?").replace("0", "O")

    def accepts(self, problem: Problem, candidate: Candidate) -> bool:
        """A phrase leads to an answer if a move follows; a bare text does if it is one move and no more."""
        written = _written(candidate)
        if candidate.marker is Marker.WHOLE_TEXT:
            return bool(re.fullmatch(rf"(?:\d+\s*\.+\s*)?(?:{_MOVE.pattern})[\s.]*", written))
        return bool(_MOVE.search(written))

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Play the move found and compare it with the accepted ones."""
        puzzle = self._puzzle(problem)
        written = _written(candidate)
        how = candidate.marker.value
        moves = _MOVE.findall(written)
        if not moves:
            reason = f"the answer is no chess move: {candidate.text!r}"
            return Grade(Outcome.WRONG, candidate.text, reason, how)
        board = chess.Board(puzzle.fen)
        if _is_undecided(board, written, moves, whole=candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG)):
            reason = f"more than one move is named: {candidate.text!r}"
            return Grade(Outcome.WRONG, candidate.text, reason, how)
        outcome, reason = _judge(board, puzzle, moves[0])
        return Grade(outcome, moves[0], reason, how)

    def _puzzle(self, problem: Problem) -> ChessPuzzle:
        try:
            return puzzle_of(problem.text, problem.fields, problem.answers)
        except ChessPuzzleError as error:
            raise ProblemFileError(
                f"problem {problem.id!r}: {error}; --ground_truth_format chess needs a legal position and "
                "legal moves"
            ) from error


def _judge(board: chess.Board, puzzle: ChessPuzzle, written: str) -> tuple[Outcome, str]:
    expected = " or ".join(board.san(chess.Move.from_uci(uci)) for uci in puzzle.solutions)
    try:
        move = read_move(board, written)
    except chess.AmbiguousMoveError:
        return Outcome.WRONG, f"ambiguous move: {written} can be played by several pieces in {puzzle.fen}"
    except ValueError:
        return Outcome.WRONG, f"illegal move: {written} in {puzzle.fen}"
    if move.uci() in puzzle.solutions:
        return Outcome.CORRECT, f"the same move: {expected}"
    return Outcome.WRONG, f"another legal move: {board.san(move)}, not {expected}"


def _is_undecided(board: chess.Board, written: str, moves: list[str], *, whole: bool) -> bool:
    """Whether several moves are offered as the answer.

    `whole` says that `written` is the answer and nothing else: then further moves must be the same move
    written again, or go on from the first. Elsewhere only "this or that" is undecided; what follows the move
    explains it.
    """
    if len(moves) == 1 or _legal_uci(board, moves[0]) is None:
        return False
    if whole:
        same = {_legal_uci(board, move) for move in moves}
        return len(same) > 1 and not is_line(board, moves)
    first, second, *_ = _MOVE.finditer(written)
    return _OR.fullmatch(written, first.end(), second.start()) is not None


def _legal_uci(board: chess.Board, written: str) -> str | None:
    try:
        return read_move(board, written).uci()
    except ValueError:
        return None


def _written(candidate: Candidate) -> str:
    """What is graded, without markup: all that is boxed or tagged, but of an open line its first sentence."""
    text = _LATEX.sub(" ", candidate.text.translate(_FIGURINES)).strip()
    text = _IN_WORDS.sub(lambda found: _PIECES[found[1].lower()] + (found[2] or "") + found[3].lower(), text)
    text = _CASTLING.sub(lambda found: "O-O" if (found[1] or found[2]).lower() == "king" else "O-O-O", text)
    if candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG):
        return text
    return _SENTENCE_END.split(text, maxsplit=1)[0]
