"""The chess position of a problem, for the page to draw.

The pieces are those of python-chess (Colin M. L. Burnett's), put into the page once, and only where a problem has a
position. Nothing of the problem's text gets into markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_STYLE = re.compile(r'\sstyle="([^"]*)"')


@dataclass(frozen=True)
class Board:
    """A position to move in."""

    fen: str
    solutions: tuple[str, ...]
    """UCI."""

    @property
    def in_page(self) -> dict[str, object]:
        """As the page's script reads it."""
        placement, turn = self.fen.split()[:2]
        return {
            "squares": placement,
            "black": turn == "b",
            "solutions": [move[:4] for move in self.solutions],
        }


def board_of(text: str, answers: Sequence[str]) -> Board | None:
    """The position that a problem is about; None where its text has none.

    Solutions are left out where an answer cannot be played in it.
    """
    from hierarchical_reasoning.verifiers.chess_position import ChessPuzzleError, puzzle_of

    for solutions in (answers, ()):
        try:
            puzzle = puzzle_of(text, {}, solutions)
        except ChessPuzzleError:
            continue
        return Board(puzzle.fen, puzzle.solutions)
    return None


def move_on(board: Board, answer: str | None) -> str | None:
    """Where an answer moves from and to, as "e2e4"; None where it is no legal move."""
    import chess

    from hierarchical_reasoning.verifiers.chess_position import read_move

    if answer is None:
        return None
    try:
        return read_move(chess.Board(board.fen), answer).uci()[:4]
    except ValueError:
        return None


def piece_symbols() -> Markup:
    """The twelve pieces as definitions that `<use href="#piece-N">` draws, letters as in a FEN."""
    import chess.svg

    symbols = []
    for letter, markup in chess.svg.PIECES.items():
        shape = re.sub(r'\sid="[^"]*"', "", markup, count=1)
        symbols.append(
            f'<symbol id="piece-{letter}" viewBox="0 0 45 45">{_STYLE.sub(_attributes, shape)}</symbol>'
        )
    return Markup(f'<svg width="0" height="0" aria-hidden="true"><defs>{"".join(symbols)}</defs></svg>')  # noqa: S704


def _attributes(style: re.Match[str]) -> str:
    """The declarations of a style attribute as attributes, which the page's security policy lets through."""
    pairs = (declaration.split(":", 1) for declaration in style[1].split(";") if declaration.strip())
    return "".join(f' {name.strip()}="{value.strip()}"' for name, value in pairs)
