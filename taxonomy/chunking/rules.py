"""Dividing the text of a trace into chunks by rules. Joined, the chunks are the text again, to the last character.

A chunk ends after a sentence or a paragraph; what white space follows belongs to it. Displayed formulas, fenced code
and quoted blocks are never divided, a number that opens a list's item stays with the item, and a line that ends with
a colon with the next one, unless that begins a list.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from taxonomy.rollouts import Chunk, Rollout

_WHOLE_MARK = re.compile(r"(?P<twin>```|\$\$|\"\"\")|\\\[|\\\]|\\(?P<side>begin|end)\{(?P<name>\w+\*?)\}")
"""What opens or closes text that stays whole."""
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE_END = re.compile(
    r"(?<![.!?…。！？])(?P<stop>[.!?…。！？]+)(?P<closers>[\"'”’)\]*_]*)(?:\s+|(?<=[。！？])|$)|\n\s*"
)
_ABBREVIATIONS = frozenset(
    "dr mr mrs ms prof st vs etc e.g i.e cf eq eqs fig figs approx resp viz al ca sec ch thm".split()  # noqa: SIM905
)
_SEEN_BEFORE = 24
"""Characters before a full stop that decide what it ends."""
_WORD = re.compile(r"\w")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘*]*$")
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_LIST_MARKER = re.compile(r"\s*(?:[-*•>#]+|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s*")
_OPENING = re.compile(rf"(?:{_LIST_MARKER.pattern})?\s*")
_MARKER_WITHIN_LINE = re.compile(r"(?:[;,]\s*\d{1,3}|:\s*1)$")
_GOES_ON = re.compile(r"[a-z,;:=+*/^)\]}\\]")


def split_paragraphs(text: str) -> tuple[str, ...]:
    """Pieces that end after a blank line."""
    return _cut(text, [found.end() for found in _PARAGRAPH_END.finditer(text)])


def split_sentences(text: str) -> tuple[str, ...]:
    """Pieces that end after a sentence, or at the end of a line whose next line opens a new thought."""
    paragraph_ends = {found.end() for found in _PARAGRAPH_END.finditer(text)}
    ends = []
    opened = _end_of_opening(text, 0)
    for found in _SENTENCE_END.finditer(text):
        end = found.end()
        if end in paragraph_ends or (end > opened and _ends_sentence(text, found)):
            ends.append(end)
            opened = _end_of_opening(text, end)
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


def _end_of_opening(text: str, start: int) -> int:
    """Where the list marker, if any, and the white space end that text opens with from here."""
    opening = _OPENING.match(text, start)
    assert opening is not None  # it may be empty
    return opening.end()


def _ends_sentence(text: str, found: "re.Match[str]") -> bool:
    after = text[found.end() : found.end() + 8]
    if not after:
        return False
    if found["stop"] is None:  # a line that ends without a full stop
        if _LIST_MARKER.match(after):
            return True
        # What is announced stays with its announcement.
        return not text.endswith(":", 0, found.start()) and not _GOES_ON.match(after)
    before = text[max(found.start() - _SEEN_BEFORE, 0) : found.start()]
    last = _LAST_WORD.search(before)
    word = last.group().casefold() if last else ""
    if found["stop"].startswith(".") and (word in _ABBREVIATIONS or re.fullmatch(r"[b-hj-z]", word)):
        return False
    if "a" <= after[0] <= "z":
        return not found["closers"] and _ends_sentence_before_lower_case(before, word, found["stop"])
    return not _GOES_ON.match(after)


def _ends_sentence_before_lower_case(before: str, word: str, stop: str) -> bool:
    """Many traces have no capital letters; but three dots are a pause there, and "5!" is a number."""
    if stop == ".":
        return not _LETTERS.fullmatch(word) and not _MARKER_WITHIN_LINE.search(before)
    if stop == "!":
        return len(word) > 1 and word[-1].isalpha()
    return "?" in stop or not set(stop) <= set(".…")


def _cut(text: str, ends: list[int]) -> tuple[str, ...]:
    """The text cut at these places, but for those inside what stays whole; pieces without a word join
    a neighbour."""
    whole = _whole_spans(text)
    spans: list[tuple[int, int]] = []
    start, passed = 0, 0
    for end in [*ends, len(text)]:
        while passed < len(whole) and whole[passed][1] <= end:
            passed += 1
        inside = passed < len(whole) and whole[passed][0] < end < whole[passed][1]
        if end == start or (inside and end < len(text)):
            continue
        if _WORD.search(text, start, end):
            spans.append((start if spans else 0, end))
        elif spans:
            spans[-1] = (spans[-1][0], end)
        start = end
    return tuple(text[start:end] for start, end in spans) if spans else (text,) * bool(text)


def _whole_spans(text: str) -> list[tuple[int, int]]:
    """Fenced code, quoted blocks, displayed formulas and LaTeX environments, the outermost only, in one pass.

    What is opened and never closed is no span. Inside code and formulas nothing is looked for.
    """
    last = {closer: text.rfind(closer) for closer in ("```", "$$", '"""', "\\]")}
    spans: list[tuple[int, int]] = []
    environments: list[tuple[str, int]] = []
    open_names: Counter[str] = Counter()
    closer, opened_at = "", 0
    for mark in _WHOLE_MARK.finditer(text):
        if closer:
            if mark.group() == closer:
                spans.append((opened_at, mark.end()))
                closer = ""
        elif mark["side"] == "begin":
            environments.append((mark["name"], mark.start()))
            open_names[mark["name"]] += 1
        elif mark["side"] == "end" and open_names[mark["name"]]:
            name, opened_at = "", 0
            while name != mark["name"]:
                name, opened_at = environments.pop()
                open_names[name] -= 1
            while spans and spans[-1][0] > opened_at:
                spans.pop()
            spans.append((opened_at, mark.end()))
        elif mark["side"] is None and mark.group() != "\\]":
            wanted = mark["twin"] or "\\]"
            if last[wanted] >= mark.end():
                closer, opened_at = wanted, mark.start()
    return spans
