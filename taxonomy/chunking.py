"""Dividing the text of a trace into chunks by rules. Joined, the chunks are the text again, to the last character.

A chunk ends after a sentence or a paragraph; what white space follows belongs to it. Displayed formulas and fenced
code are never divided, and a number that opens a list's item stays with the item.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from taxonomy.rollouts import Chunk, Rollout

_UNDIVIDED = re.compile(r"```.*?```|\$\$.*?\$\$|\\\[.*?\\\]|\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]*_]*(?:\s+|(?<=[。！？])|$)|\n\s*")
_ABBREVIATIONS = frozenset(
    "dr mr mrs ms prof st vs etc e.g i.e cf eq eqs fig figs approx resp viz al ca sec ch thm".split()  # noqa: SIM905
)
_WORD = re.compile(r"\w")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘*]*$")
_LIST_MARKER = re.compile(r"\s*(?:[-*•>#]+|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s*")
_GOES_ON = re.compile(r"[a-z,;:=+*/^)\]}\\]")


def split_paragraphs(text: str) -> tuple[str, ...]:
    """Pieces that end after a blank line."""
    return _cut(text, [found.end() for found in _PARAGRAPH_END.finditer(text)])


def split_sentences(text: str) -> tuple[str, ...]:
    """Pieces that end after a sentence, or at the end of a line whose next line opens a new thought."""
    paragraph_ends = {found.end() for found in _PARAGRAPH_END.finditer(text)}
    ends = []
    start = 0
    for found in _SENTENCE_END.finditer(text):
        end = found.end()
        if end in paragraph_ends or _ends_sentence(text, start, found):
            ends.append(end)
            start = end
    return _cut(text, sorted({*ends, *paragraph_ends}))


CHUNKERS: Mapping[str, Callable[[str], tuple[str, ...]]] = MappingProxyType(
    {"sentences": split_sentences, "paragraphs": split_paragraphs}
)
"""The rules by name."""


def is_unchunked(rollout: Rollout) -> bool:
    return not rollout.chunks and bool(rollout.text)


def with_chunks(rollout: Rollout, pieces: tuple[str, ...]) -> Rollout:
    """The rollout with these pieces of its text as chunks, its text left away."""
    chunks = tuple(Chunk(idx=idx, text=piece) for idx, piece in enumerate(pieces))
    return replace(rollout, chunks=chunks, text=None)


def chunk_by_rules(rollout: Rollout, chunker: str) -> Rollout:
    """The rollout with its text divided; one that has chunks stays as it is."""
    return with_chunks(rollout, CHUNKERS[chunker](rollout.text or "")) if is_unchunked(rollout) else rollout


def _ends_sentence(text: str, start: int, found: "re.Match[str]") -> bool:
    before, after = text[start : found.start()], text[found.end() : found.end() + 8]
    if not after or not (before + found.group()).strip() or _LIST_MARKER.fullmatch(before + found.group()):
        return False
    if found.group().isspace():  # a line that ends without a full stop
        return bool(_LIST_MARKER.match(after)) or not _GOES_ON.match(after)
    last = _LAST_WORD.search(before)
    word = last.group().casefold() if last else ""
    if found.group().startswith(".") and (word in _ABBREVIATIONS or re.fullmatch(r"[b-hj-z]", word)):
        return False
    return not _GOES_ON.match(after)


def _cut(text: str, ends: list[int]) -> tuple[str, ...]:
    """The text cut at these places, but for those inside what stays whole; pieces without a word join
    a neighbour."""
    whole = [found.span() for found in _UNDIVIDED.finditer(text)]
    pieces: list[str] = []
    start, passed = 0, 0
    for end in [*ends, len(text)]:
        while passed < len(whole) and whole[passed][1] <= end:
            passed += 1
        inside = passed < len(whole) and whole[passed][0] < end < whole[passed][1]
        if end == start or (inside and end < len(text)):
            continue
        pieces.append(text[start:end])
        start = end
    return _without_wordless_pieces(pieces)


def _without_wordless_pieces(pieces: list[str]) -> tuple[str, ...]:
    joined: list[str] = []
    blank_before = ""
    for piece in pieces:
        if _WORD.search(piece):
            joined.append(blank_before + piece)
            blank_before = ""
        elif joined:
            joined[-1] += piece
        else:
            blank_before += piece
    return tuple(joined) if joined else ((blank_before,) if blank_before else ())
