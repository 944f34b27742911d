"""Finds the answer in a text.

Markers, strongest first: `\\boxed{}` (braces may nest), `<answer>...</answer>`, `>> FINAL ANSWER`, a last
line that begins with `####`, "the answer is ...", and, only where the format is a number, the last number of
the text. The strongest marker present wins; among equals, the last one. What a marker leads to is kept as
written; reading it is the verifier's part.

Every scan is linear in the length of the text; a boxed answer inside another counts as the outer one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from llm_backends.hosted.reading import split_reasoning

NO_MARKER = r"no answer found in the text (looked for \boxed{}, <answer>, >> FINAL ANSWER, the answer is ...)"

_LAST_NUMBER = re.compile(
    r"\\[dt]?frac\{\d+\}\{\d+\}"
    r"|(?<![\w.])[-+−]?\\?[$€£]?\d{1,3}(?:[ \xa0\u2009\u202f]\d{3})+(?![\d.,]\d|\d)"
    r"|(?<!\d[.,])(?<![\w.])[-+−]?\\?[$€£]?\d+(?:[.,]\d+){2,}(?:\.\d+)?(?!\d)"
    r"|(?<!\d[.,])(?<![\w.])[-+−]?\\?[$€£]?(?:\d(?:,?\d)*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
    r"(?:\s?/\s?\d+(?![\d.]))?(?!\d|(?:st|nd|rd|th)\b)(?:\s?\\?%)?"
    r"(?:[²³!^](?=\s?[\w*/+])|[²³]|\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
)
_BRACES = re.compile(r"(?P<open>\\+boxed\s*\{|\{)|\\[{}\\]|(?P<close>\})")
_TAG = re.compile(r"</?answer>", re.IGNORECASE)
_FINAL = re.compile(r">>[ \t]*FINAL[ \t]+ANSWER[ \t]*:?", re.IGNORECASE)
_PHRASE = re.compile(
    r"\b(?:answer|(?:best|winning|correct|right)(?:[ \t]+next)?[ \t]+move"
    r"|(?:best|correct|right)[ \t]+(?:option|choice))"
    r"[ \t*_]*(?:\b(?:is|(?:would|must|should|will)[ \t]+be)\b(?![ \t]+not\b)|[:=])(?:[ \t*_]*:)?",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"\b(?:wrong|incorrect|false|mistaken|tempting|naive)\s+(?:final\s+)?\Z", re.IGNORECASE
)
"""Before the phrase: it tells an answer that is not the writer's."""
_QUOTES = '"""', "```", "'''"


_DENIAL = re.compile(
    r"(?:\bnot|n['’]t(?: be)?|\bcannot be|\bnever|\bneither|\bnor|"
    r"\b(?:less|more|greater|fewer|other|rather) than|\bat (?:least|most)|\binstead of)\s+[$€£]?\Z",
    re.IGNORECASE,
)
_SEEN_BEFORE = 24
"""Characters before the last number that may deny it."""


class Marker(str, Enum):
    """What pointed at an answer, strongest first."""

    BOXED = "\\boxed{}"
    ANSWER_TAG = "<answer>"
    FINAL_ANSWER = ">> FINAL ANSWER"
    HASHES = "####"
    PHRASE = "the answer is"
    LAST_NUMBER = "last number"
    WHOLE_TEXT = "whole text"


@dataclass(frozen=True)
class Candidate:
    """One possible answer."""

    text: str
    marker: Marker
    closed: bool
    """Whether the text goes on after the answer, so that no token limit can have shortened it."""


def best_candidate(
    text: str,
    *,
    accepts: Callable[[Candidate], bool],
    with_last_number: bool = False,
    truncated: bool = False,
    problem_text: str = "",
) -> Candidate | None:
    """The candidate under the strongest marker; among equals, the last.

    `accepts` is asked about candidates of open markers alone: what is boxed or tagged is the answer, readable
    or not, while "the answer is clear" is none. In a `truncated` text only closed candidates count, and the
    last number never. Reasoning in `<think>` tags holds no answer, nor does what is boxed or tagged in the problem
    itself, which the text may repeat.
    """
    text = split_reasoning(text.lstrip())[0]
    told = {candidate for find in (_boxed, _tagged) for candidate in find(problem_text)}
    for find in (_boxed, _tagged, _after_final_answer, _after_hashes, _after_phrase):
        last = None
        for candidate in find(text):
            certain = candidate.marker in (Marker.BOXED, Marker.ANSWER_TAG)
            if candidate in told:
                continue
            if certain or ((candidate.closed or not truncated) and accepts(candidate)):
                last = candidate
        if last is not None:
            return last
    if truncated:
        return None
    whole = Candidate(text.strip(), Marker.WHOLE_TEXT, closed=False)
    if whole.text and "\n" not in whole.text and not with_last_number and accepts(whole):
        return whole
    return _last_number(text) if with_last_number else None


def boxed_candidate(text: str, *, problem_text: str = "") -> Candidate | None:
    """The last `\\boxed{}`, and nothing else, under the same rules as in `best_candidate`."""
    told = set(_boxed(problem_text))
    found = (candidate for candidate in _boxed(split_reasoning(text.lstrip())[0]) if candidate not in told)
    return next(iter(deque(found, maxlen=1)), None)


def _boxed(text: str) -> Iterator[Candidate]:
    """Contents of `\\boxed{}`, of nested ones the outermost."""
    spans: list[tuple[int, int]] = []
    open_braces: list[tuple[bool, int]] = []
    for match in _BRACES.finditer(text):
        if match["open"]:
            open_braces.append((match["open"] != "{", match.end()))
        elif match["close"] and open_braces:
            is_box, start = open_braces.pop()
            if is_box:
                while spans and spans[-1][0] > start:
                    spans.pop()
                spans.append((start, match.start()))
    for start, end in spans:
        if content := text[start:end].strip():
            yield Candidate(content, Marker.BOXED, closed=True)


def _tagged(text: str) -> Iterator[Candidate]:
    start: int | None = None
    for match in _TAG.finditer(text):
        if not match[0].startswith("</"):
            start = match.end()
        elif start is not None:
            content = text[start : match.start()].strip()
            start = None
            if content:
                yield Candidate(content, Marker.ANSWER_TAG, closed=True)


def _after_final_answer(text: str) -> Iterator[Candidate]:
    for match, limit in _with_limits(_FINAL, text):
        start = _skip_blanks(text, match.end())
        quote = text[start : start + 3]
        if quote in _QUOTES:
            end = text.find(quote, start + 3, limit)
            if end >= 0 and (content := text[start + 3 : end].strip()):
                yield Candidate(content, Marker.FINAL_ANSWER, closed=True)
                continue
            start = _skip_blanks(text, start + 3)
        yield from _line_at(text, start, limit, Marker.FINAL_ANSWER)


def _after_hashes(text: str) -> Iterator[Candidate]:
    text = text.rstrip()
    start = text.rfind("\n") + 1
    if text.startswith("####", start):
        yield from _line_at(text, start + 4, len(text), Marker.HASHES)


def _after_phrase(text: str) -> Iterator[Candidate]:
    for match, limit in _with_limits(_PHRASE, text):
        if _NO_ANSWER.search(text, max(0, match.start() - 20), match.start()):
            continue
        yield from _line_at(text, _skip_blanks(text, match.end()), limit, Marker.PHRASE)


def _with_limits(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Each match with the place where the next one begins, which ends what the first leads to."""
    matches = list(pattern.finditer(text))
    limits = [*(match.start() for match in matches), len(text)]
    yield from zip(matches, limits[1:], strict=True)


def _line_at(text: str, start: int, limit: int, marker: Marker) -> Iterator[Candidate]:
    line_end = text.find("\n", start, limit)
    end = line_end if line_end >= 0 else limit
    if content := text[start:end].strip():
        yield Candidate(content, marker, closed=end < len(text))


def _skip_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _last_number(text: str) -> Candidate | None:
    """None where the text denies its last number: "the answer is not 72" has no answer."""
    (last,) = deque(_LAST_NUMBER.finditer(text), maxlen=1) or (None,)
    if last is None or _DENIAL.search(text, max(0, last.start() - _SEEN_BEFORE), last.start()):
        return None
    return Candidate(last[0], Marker.LAST_NUMBER, closed=False)
