from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path

import chess
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.errors import ProblemFileError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem, read_problems
from hierarchical_reasoning.verifiers import Grade
from hierarchical_reasoning.verifiers.chess_move import ChessMoveVerifier
from hierarchical_reasoning.verifiers.chess_position import ground_truth_moves, puzzle_of

START = chess.STARTING_FEN
CASTLING = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
PROMOTION = "8/4P1k1/8/8/8/8/8/4K3 w - - 0 1"
BISHOP = "4k3/8/8/8/2p5/8/4B3/4K3 w - - 0 1"
TWO_ROOKS = "4k3/8/8/R6R/8/8/8/4K3 w - - 0 1"
FOOLS_MATE = "rnbqkbnr/pppp1ppp/8/4p3/6P1/5P2/PPPPP2P/RNBQKBNR b KQkq - 0 2"


def problem(fen: str | None, answer: str | tuple[str, ...] | None, text: str = "Which move?") -> Problem:
    return Problem("p", text, answer, None, {} if fen is None else {"fen": fen})


def grade(fen: str, answer: str | tuple[str, ...], text: str) -> tuple[Outcome, str]:
    found = graded(problem(fen, answer), text)
    return found.outcome, found.reason


def graded(of: Problem, text: str, *, truncated: bool = False) -> Grade:
    return asyncio.run(ChessMoveVerifier().grade(of, text, truncated=truncated))


@pytest.mark.parametrize(
    ("fen", "answer", "texts"),
    [
        (START, "Nf3", ["Nf3", "g1f3", "Nf3!", "Nf3?!", "1. Nf3", "Ng1-f3", "N1f3", "Ng1f3", "Nf3."]),
        (START, "e2e4", ["e4", "e2e4", "e2-e4", "1.e4", "e4!!"]),
        (FOOLS_MATE, "Qh4#", ["Qh4#", "Qh4", "Qh4+", "2... Qh4#", "move 2. ... Qh4", "d8h4", r"Qh4\#"]),
        (CASTLING, "O-O", ["O-O", "0-0", "o-o", "e1g1", "e1h1", "O-O!", "1. O-O", "castles kingside"]),
        (CASTLING, "O-O", ["Ke1-g1", "Ke1g1", "Short castling", "castles king-side", "King e1 to g1"]),
        (CASTLING, "e1c1", ["O-O-O", "0-0-0", "e1c1", "queenside castling", "castling long", "Ke1-c1"]),
        (START, "Nf3", ["♘f3", "♞f3", "knight to f3", "Knight g1 to f3", "knight moves to f3"]),
        (START, "Nf3", ["N f3", "G1F3", "G1-F3", "to play Nf3", "White plays Nf3"]),
        (BISHOP, "Bxc4", ["bishop takes pawn on c4", "Bishop takes c4", "bishop e2 captures the pawn on c4"]),
        (START, "e4", ["pawn to e4", "pawn e2 to e4", "♙e4"]),
        (CASTLING, "Rxa8+", ["Rxa8+", "Rxa8", "Ra8", "a1a8", "Ra1xa8+"]),
        (PROMOTION, "e8=Q", ["e8=Q", "e8Q", "e8(Q)", "e7e8q", "e7-e8=Q", "e8=Q!"]),
        (PROMOTION, "e8=Q", ["e8 = Q", "e8=queen", "e8 = Queen", "pawn to e8, promoting to a queen"]),
        (TWO_ROOKS, "Rad5", ["Rad5", "Ra5d5", "a5d5"]),
        (START, ("d4", "e4"), ["e4", "d2d4"]),
    ],
)
def test_a_move_counts_as_itself_however_it_is_written(
    fen: str, answer: str | tuple[str, ...], texts: list[str]
) -> None:
    for text in texts:
        for form in (
            r"\boxed{%s}",
            r"so \boxed{\text{%s}}",
            "<answer>%s</answer>",
            "The best move is **%s**",
        ):
            assert grade(fen, answer, form % text)[0] is Outcome.CORRECT, form % text


@pytest.mark.parametrize(
    ("fen", "answer", "text", "reason"),
    [
        (START, "e4", "d4", "another legal move: d4, not e4"),
        (START, "e4", "e5", "illegal move: e5 in"),
        (START, "e4", "Ke9", "the answer is no chess move: 'Ke9'"),
        (START, "e4", "castle", "the answer is no chess move: 'castle'"),
        (START, "f3", "N f3", "another legal move: Nf3, not f3"),
        (PROMOTION, "e8=Q", "e8=knight", "another legal move: e8=N+, not e8=Q"),
        (START, "e4", "not e4", "words that are no move stand in the answer: 'not e4'"),
        (START, "e4", r"\neg e4", "words that are no move stand in the answer"),
        (START, "e4", "e4 is wrong", "words that are no move stand in the answer"),
        (START, "e4", "e4/d4", "the answer is no chess move"),
        (START, "f3", "knight to f3", "another legal move: Nf3, not f3"),
        (START, "e4", "O-O", "illegal move: O-O in"),
        (TWO_ROOKS, "Rad5", "Rd5", "ambiguous move: Rd5 can be played by several pieces"),
        (PROMOTION, "e8=Q", "e8", "illegal move: e8 in"),
        (PROMOTION, "e8=Q", "e8=N", "another legal move: e8=N+, not e8=Q"),
        (START, "e4", "e4 or d4", "more than one move is named: 'e4 or d4'"),
        (START, "e4", "e4, d4", "more than one move is named: 'e4, d4'"),
    ],
)
def test_a_wrong_move_says_why(fen: str, answer: str, text: str, reason: str) -> None:
    outcome, why = grade(fen, answer, rf"\boxed{{{text}}}")
    assert outcome is Outcome.WRONG
    assert why.startswith(reason)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\boxed{1. e4 e5 2. Nf3}", Outcome.CORRECT),
        (r"\boxed{e4 (e2e4)}", Outcome.CORRECT),
        ("The best move is e4, since d4 is slower.", Outcome.CORRECT),
        ("The best move is e4 or d4.", Outcome.WRONG),
        ("The answer is clear. I play e4.", Outcome.NO_ANSWER),
        ("I like e4", Outcome.NO_ANSWER),
        ("e4", Outcome.CORRECT),
        ("1. e4!", Outcome.CORRECT),
        (r"The best move is d4. No: \boxed{e4}", Outcome.CORRECT),
        ("", Outcome.NO_ANSWER),
    ],
)
def test_the_move_is_found_in_its_text(text: str, expected: Outcome) -> None:
    assert grade(START, "e4", text)[0] is expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("The answer is neither e4 nor d4", "the line does not open with a move"),
        ("The best move is to avoid e4", "the line does not open with a move"),
        ("Answer: Instead of e4, play d4", "the line does not open with a move"),
        ("Answer: After e4 black is fine, so d4", "the line does not open with a move"),
        ("The best move is to control e4 with Nc3", "the line does not open with a move"),
        ("The best move is e4??? no wait, d4", "more than one move is named"),
        ("The best move is e4, or perhaps d4", "more than one move is named"),
        ("The best move is e4, d4", "more than one move is named"),
        ("The best move is e4 as well as d4", "more than one move is named"),
        ("The best move is e4. No wait, d4", "the move named is taken back or in doubt"),
        ("The best move is e4? Or d4", "the move named is taken back or in doubt"),
        ("The best move is e4 to be avoided", "the move named is taken back or in doubt"),
        ("The best move is e4. However, d4 is better.", "the move named is taken back or in doubt"),
        ("The best move is e4 with d4 being better", "more than one move is named"),
        ("The best move is e4? No.", "the move named is taken back or in doubt"),
        ("The best move is e4 is wrong", "the move named is taken back or in doubt"),
    ],
)
def test_a_move_that_its_line_denies_doubts_or_puts_beside_another_is_no_answer(
    line: str, reason: str
) -> None:
    outcome, why = grade(START, "e4", line)
    assert (outcome, why.partition(":")[0]) == (Outcome.WRONG, reason)


@pytest.mark.parametrize(
    "line",
    [
        "The best move is for White to play 1. e4, controlling d5 and f5",
        "The best move is e4. It controls d5 and prepares Nf3.",
        "The best move is e4! It is better than d4.",
        "The best move is e4 rather than d4.",
        "The best move is e4, since d4 is not as good.",
        "The best move is 1. e4 e5 2. Nf3.",
    ],
)
def test_what_explains_a_move_may_name_others(line: str) -> None:
    assert grade(START, "e4", line)[0] is Outcome.CORRECT


@pytest.mark.parametrize("part", ["e4 ", "knight takes ", "castle ", "a8 =", "1. ", ". A", "e4, d4 "])
def test_hostile_texts_cost_little(part: str) -> None:
    text = part * (100_000 // len(part))
    started = time.process_time()
    grade(START, "e4", rf"\boxed{{{text}}}")
    grade(START, "e4", f"The answer is e4 {text}")
    assert time.process_time() - started < 6


def test_truncated_and_ungraded() -> None:
    assert graded(problem(START, "e4"), "I like e4", truncated=True).outcome is Outcome.TRUNCATED
    found = graded(problem(START, None), r"\boxed{e4}")
    assert (found.outcome, found.extracted) == (Outcome.UNGRADED, "e4")


def test_without_a_fen_field_the_prompt_gives_the_position_and_the_opponents_move() -> None:
    before = "rnbqkbnr/pppp1ppp/8/4p3/8/5P2/PPPPP1PP/RNBQKBNR w KQkq - 0 2"
    told = problem(None, "Qh4#", f"The board state is {before}. Your opponent plays g2g4. What now?")
    assert graded(told, r"\boxed{d8h4}").outcome is Outcome.CORRECT
    assert puzzle_of(told.text, {}, ("Qh4",)).solutions == ("d8h4",)
    untold = problem(None, "e4", f"White moves in {before}.")
    assert graded(untold, r"\boxed{e4}").outcome is Outcome.CORRECT


def test_a_fen_field_is_the_position_to_move_in_whatever_the_prompt_says() -> None:
    told = problem(FOOLS_MATE, "Qh4#", f"The board state is {START}. Your opponent plays e2e4.")
    assert graded(told, r"\boxed{Qh4}").outcome is Outcome.CORRECT


def test_a_move_list_is_a_line_or_alternatives() -> None:
    assert ground_truth_moves("", {"fen": START, "move_list": ["e4", "e5", "Nf3"]}) == ("e4",)
    assert ground_truth_moves("", {"fen": START, "move_list": ["e2e4", "d2d4"]}) == ("e4", "d4")
    assert ground_truth_moves("", {"fen": START, "move_list": "e2e4 e7e5"}) == ("e4",)


@pytest.mark.parametrize(
    ("fen", "answer", "message"),
    [
        ("nonsense", "e4", "is no position"),
        (None, "e4", "no FEN in the prompt"),
        (START, "e5", "the answer 'e5' cannot be played"),
        (START, ("e4", "5"), "the answer '5' cannot be played"),
        (START, "--", "the answer '--' cannot be played"),
    ],
)
def test_an_unusable_truth_is_refused_before_the_run(
    fen: str | None, answer: str | tuple[str, ...], message: str
) -> None:
    with pytest.raises(ProblemFileError, match=message):
        ChessMoveVerifier().check(problem(fen, answer))


SQUARES = 64
NOTATIONS = {
    "SAN": lambda board, move: board.san(move),
    "SAN without marks": lambda board, move: board.san(move).rstrip("+#"),
    "UCI": lambda board, move: move.uci(),
    "coordinates": lambda board, move: coordinates(move),
    "long algebraic": lambda board, move: board.lan(move),
    "numbered, with 0 for O and praise": lambda board, move: numbered(board, move),
}


def coordinates(move: chess.Move) -> str:
    promotion = f"={chess.piece_symbol(move.promotion).upper()}" if move.promotion else ""
    return f"{chess.square_name(move.from_square)}-{chess.square_name(move.to_square)}{promotion}"


def numbered(board: chess.Board, move: chess.Move) -> str:
    dots = ". " if board.turn == chess.WHITE else ". ... "
    return f"move {board.fullmove_number}{dots}{board.san(move).replace('O', '0')}!"


def positions(n: int) -> list[chess.Board]:
    """From seeded games, and from random placements, which have far more promotions and ambiguities."""
    rng = random.Random(7)
    return [played(rng) if i % 2 else placed(rng) for i in range(n)]


def played(rng: random.Random) -> chess.Board:
    while True:
        board = chess.Board(rng.choice((START, START, CASTLING)))
        for _ in range(rng.randrange(80)):
            if not board.is_game_over():
                board.push(rng.choice(list(board.legal_moves)))
        if any(board.legal_moves):
            return board.copy(stack=False)


def placed(rng: random.Random) -> chess.Board:
    while True:
        board = chess.Board(None)
        pieces = "Kk" + "".join(rng.choices("QRRBNPPPPPqrrbnppppp", k=14))
        for square, symbol in zip(rng.sample(range(SQUARES), len(pieces)), pieces, strict=True):
            board.set_piece_at(square, chess.Piece.from_symbol(symbol))
        board.turn = rng.random() < 0.5
        if board.is_valid() and any(board.legal_moves):
            return board


async def test_every_legal_move_of_200_positions_in_6_notations_is_that_move_and_no_other() -> None:
    """The reason of a wrong grade names the move that was read, so that one other truth shows all of them."""
    verifier = ChessMoveVerifier()
    seen: Counter[str] = Counter()
    for board in positions(200):
        moves = list(board.legal_moves)
        puzzles = [problem(board.fen(), move.uci()) for move in moves]
        for i, move in enumerate(moves):
            seen.update(moves=1, promotions=move.promotion is not None, castling=board.is_castling(move))
            another = f"another legal move: {board.san(move)}, not {board.san(moves[i - 1])}"
            for notation in NOTATIONS.values():
                text = rf"\boxed{{{notation(board, move)}}}"
                right = await verifier.grade(puzzles[i], text)
                assert right.outcome is Outcome.CORRECT, (board.fen(), text)
                if len(moves) > 1:
                    wrong = await verifier.grade(puzzles[i - 1], text)
                    assert (wrong.outcome, wrong.reason) == (Outcome.WRONG, another), (board.fen(), text)
    assert (seen["moves"] > 4500, seen["promotions"] > 60, seen["castling"] > 3) == (True, True, True), seen


@given(text=st.text(alphabet="abcdefgh12345678KQRBNxO0-=+# .,or\\boxed{}", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    grade(START, "e4", text)
    grade(START, "e4", rf"\boxed{{{text}}}")


@pytest.mark.shared_data
def test_real_puzzles_grade_their_own_solutions() -> None:
    shared = os.environ.get("HR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
    path = Path(shared) / "problems" / "lichess_puzzles_1000_enriched.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not there; set HR_SHARED_DATA to the folder with it")
    for puzzle in read_problems(path, n_rows=100).problems:
        line = puzzle.fields["solution_uci"]
        assert graded(puzzle, rf"\boxed{{{line[0]}}}").outcome is Outcome.CORRECT
        assert puzzle_of(puzzle.text, {}, puzzle.answers) == puzzle_of(
            puzzle.text, puzzle.fields, puzzle.answers
        )
        whole = {"fen": puzzle.fields["fen_before"], "move_list": [puzzle.fields["opponent_uci"], *line]}
        assert ground_truth_moves(puzzle.text, whole) == puzzle.answers
