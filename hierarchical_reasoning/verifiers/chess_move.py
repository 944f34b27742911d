"""The verifier for chess moves, exact by playing them on the position.

A move counts as itself however it is written: SAN, UCI, coordinates or long algebraic, with or without +, #, !, ? and a
move number, castling with O or 0, figurines, or in words ("knight to f3"). One that is illegal, ambiguous or not one
move is wrong, and the reason says which; so is one that the text does not open with, doubts or takes back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from hierarchical_reasoning.verifiers.chess_wording import MOVE, in_notation, told_in_whole, told_on_line
from hierarchical_reasoning.verifiers.extract import Candidate, Marker

_SENTENCE_END = re.compile(r"(?<=[a-z])[.!?]\s")
"""Not after a digit: that is a move, or the number of one."""
_WHOLE = (Marker.BOXED, Marker.ANSWER_TAG)


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
        written = in_notation(candidate.text)
        if candidate.marker is Marker.WHOLE_TEXT:
            return bool(re.fullmatch(rf"(?:\d+\s*\.+\s*)?(?:{MOVE.pattern})[\s.]*", written))
        return bool(MOVE.search(_SENTENCE_END.split(written, maxsplit=1)[0]))

    async def grade_candidate(self, problem: Problem, candidate: Candidate) -> Grade:
        """Play the move found and compare it with the accepted ones."""
        puzzle = self._puzzle(problem)
        written = in_notation(candidate.text)
        how = candidate.marker.value
        told = told_in_whole(written) if candidate.marker in _WHOLE else told_on_line(written)
        board = chess.Board(puzzle.fen)
        flaw = told.flaw
        if not told.moves:
            flaw = "the answer is no chess move"
        elif _is_undecided(board, told.moves, whole=candidate.marker in _WHOLE):
            flaw = "more than one move is named"
        if flaw:
            return Grade(Outcome.WRONG, candidate.text, f"{flaw}: {candidate.text!r}", how)
        outcome, reason = _judge(board, puzzle, told.moves[0])
        return Grade(outcome, told.moves[0], reason, how)

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


def _is_undecided(board: chess.Board, moves: Sequence[str], *, whole: bool) -> bool:
    """Whether several moves are offered: they are neither the first written again nor a line that goes on from it.

    `whole` says that there is nothing but moves, so that one that cannot be played counts too.
    """
    first = _legal_uci(board, moves[0])
    others = {_legal_uci(board, move) for move in set(moves)}
    differ = {uci for uci in others if uci != first and (whole or uci is not None)}
    return first is not None and bool(differ) and not is_line(board, moves)


def _legal_uci(board: chess.Board, written: str) -> str | None:
    try:
        return read_move(board, written).uci()
    except ValueError:
        return None
