"""Chess moves in a text: in one notation whatever words they are told in, and which of them the text settles on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hierarchical_reasoning.verifiers.wording import takes_back

MOVE = re.compile(
    r"(?<![\w/-])(?:[O0o]-[O0o](?:-[O0o])?|"
    r"[KQRBN]?[a-h]?[1-8]?[-x]?[a-h][1-8](?:[=/(]?[NBRQnbrq]\)?)?)(?![\w/-])[+#!?]*"
)
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|boxed)\b|\\left|\\right|\\(?=[,; ])|[{}$*`\"“”_]")
_ESCAPED_MARK = re.compile(r"\\(?=[#!])")
_FIGURINES = str.maketrans("♔♕♖♗♘♚♛♜♝♞", "KQRBNKQRBN", "♙♟")
_PIECES = {"king": "K", "queen": "Q", "rook": "R", "bishop": "B", "knight": "N", "pawn": ""}
_PIECE = "|".join(_PIECES)
_IN_WORDS = re.compile(
    rf"\b({_PIECE})(?:\s+(?:(?:from|on)\s+)?([a-h][1-8]))?(?:\s+(?:moves?|(?:takes?|captures?|x)(?:\s+(?:the\s+)?(?:{_PIECE}))?|"
    r"to|on)){0,3}\s+([a-h][1-8])\b",
    re.IGNORECASE,
)
_SPACED = re.compile(r"(?<![\w'’])([KQRBN])\s+(x?)\s*([a-h][1-8])(?!\w)")
_PROMOTION = re.compile(
    rf"(?<=[a-h][18])(?:\s*=\s*|\s*,?\s(?:promot(?:es|ing)\s+)?(?:in)?to\s+(?:an?\s+)?)({_PIECE}|[QRBN])\b",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"(?<![\w/-])[A-H][1-8]-?[A-H][1-8](?![\w/-])")
_SIDE = {"king": "O-O", "short": "O-O", "queen": "O-O-O", "long": "O-O-O"}
_CASTLING = re.compile(
    r"\b(?:castl(?:es?|ing)\s+(?:(?:on\s+)?the\s+)?(king|queen)[\s-]?side|castl(?:es?|ing)\s+(short|long)"
    r"|(king|queen)[\s-]?side\s+castl(?:es?|ing)|(short|long)\s+castl(?:es?|ing))\b",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r"(?:[\s\d.…,:;()\[\]=→–—-]|\b(?:the|best|next|winning|move|is|plays?|to|for|white|black|answer|checkmate|check|mate|"
    r"en\s+passant|e\.p|ep)\b)*",
    re.IGNORECASE,
)
"""What may stand beside a move that is the answer: its number, and words that say that it is the move."""
_EXPLAINED = re.compile(
    r"\b(?:because|since|(?<!well )as(?!\s+well)|which|to(?!\s+be\b)|for|then|followed\s+by|rather\s+than|instead\s+of|"
    r"(?!being)[a-z]+ing|attacks|controls|covers|defends|forks|pins|prepares|threatens|wins)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:not|never|wrong|incorrect|bad|illegal|mistake|blunder|avoid(?:ed)?|tempting|impossible|unplayable|fails?|loses|refuted|or|"
    r"either|maybe|perhaps|possibly)\b|n['’]t\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?:(?<=[!?])|\.)\s+(?=[A-Z](?:[a-z]+|)\b)")


@dataclass(frozen=True)
class Told:
    """The moves that a text offers as its answer."""

    moves: tuple[str, ...]
    flaw: str = ""
    """Why the text does not settle on the first, whatever the position; empty where it does."""


def in_notation(text: str) -> str:
    """The text without markup, with figurines, castling and moves in words ("knight to f3") written as moves."""
    text = _LATEX.sub(" ", _ESCAPED_MARK.sub("", text.translate(_FIGURINES))).strip()
    text = _IN_WORDS.sub(lambda found: _PIECES[found[1].lower()] + (found[2] or "") + found[3].lower(), text)
    text = _CASTLING.sub(lambda found: _SIDE[found[found.lastindex or 1].lower()], text)
    text = _CAPITALS.sub(lambda found: found[0].lower(), _SPACED.sub(r"\1\2\3", text))
    return _PROMOTION.sub(lambda found: "=" + (_PIECES.get(found[1].lower()) or found[1].upper()), text)


def told_in_whole(written: str) -> Told:
    """The moves of a text that is the answer and nothing else: no other words may stand in it."""
    moves = tuple(MOVE.findall(written))
    if all(_BESIDE.fullmatch(part) for part in MOVE.split(written)):
        return Told(moves)
    return Told(moves, "words that are no move stand in the answer")


def told_on_line(written: str) -> Told:
    """The moves of an open line, which the move is to open; what explains it afterwards may name others."""
    found = MOVE.search(written)
    if found is None:
        return Told(())
    if not _BESIDE.fullmatch(written, 0, found.start()):
        return Told((found[0],), "the line does not open with a move")
    sentence = _SENTENCE_END.split(written[found.start() :], maxsplit=1)[0]
    head = _EXPLAINED.split(sentence, maxsplit=1)[0]
    moves = tuple(MOVE.findall(head))
    if takes_back(f".{written[found.end() :]}") or _DOUBT.search(head):
        return Told(moves, "the move named is taken back or in doubt")
    return Told(moves)
