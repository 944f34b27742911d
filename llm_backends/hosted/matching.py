"""Which of the choices a reply in words means.

A reply is taken only where it says which one; all else would be a guess. What counts is, in this order: a JSON
object with a `choice`; the whole reply, but for case, white space, quotes and markdown; the beginning of one choice
only, up to the end of a word and at least half of it; what the last line says, alone or in a sentence such as "I
choose X", where no line before it says another choice in these ways. A choice that is only mentioned counts for
nothing, as it may as well be what the reply turns down.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\s*\n?(.*?)\s*```\s*\Z", re.DOTALL)
_FENCE_MARK = re.compile(r"\s*```\w*\s*")
_LIST_MARK = re.compile(r"\A(?:[-*+•>#]+\s+|\d{1,3}[.)]\s+)")
_EMPHASIS = re.compile(r"\*+|`+|(?<!\w)_+|(?<!_)_+(?!\w)")
_QUOTES = "\"'“”‘’«»"
_CLOSERS = ".!,;:"
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_CLOSED = re.compile(r"[.!?][\s*_`\"'”’»)]*\Z")
_SUBJECT = (
    r"(?:(?:the|my)\s+)?(?:(?:final|best|next)\s+){0,2}(?:answer|choice|option|pick|step|thought|approach)"
)
_LABEL = re.compile(rf"(?:next|{_SUBJECT})\s*:\s*(?P<named>\S.*)", re.IGNORECASE | re.DOTALL)
_DECISION = re.compile(
    rf"""
    (?:(?:so|then|thus|hence|therefore|now|ok|okay),?\s+)?
    (?:
        (?:i|we)(?:['’](?:d|ll)|\s+would|\s+will)?\s+(?:choose|pick|select|take|go\s+with|opt\s+for)
        | let['’]s\s+(?:choose|pick|select|take|go\s+with)
        | {_SUBJECT}\s+(?:is|would\s+be)
    )
    (?:\s*:\s*|\s+)(?P<named>\S.*)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""As `_LABEL`, what a sentence that says a choice begins with; the choice's name is all the rest of it."""

_LONGEST_FRAME = 200
"""Characters around the name of a choice in the sentence that says it, and more than enough of them."""
_CUT = "…"
"""Stands for the beginning of a sentence too long to say a choice; no sentence that says one begins with it."""


def match_choice(reply: str, choices: Sequence[str]) -> str | None:
    """The choice that `reply` means; None when it is none of them, or could be several."""
    named = _named_in_json(reply)
    if named is not None:
        return _called(named, choices)
    return _called(reply, choices) or _begun(reply, choices) or _concluded(reply, choices)


def unfenced(text: str) -> str:
    """The content of a markdown code block, when the text is nothing else."""
    block = _FENCE.match(text)
    return text if block is None else block.group(1)


def _called(name: str, choices: Sequence[str]) -> str | None:
    """The choice of this name."""
    for form in (_as_is, str.strip, _plain):
        fitting = _equal(form, name, choices)
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _equal(form: Callable[[str], str], name: str, choices: Sequence[str]) -> list[str]:
    said = form(name)
    return [choice for choice in choices if said and form(choice) == said]


def _as_is(text: str) -> str:
    return text


def _plain(text: str) -> str:
    """The text without case, and undecorated."""
    return " ".join(_undecorated(text).casefold().split())


def _undecorated(text: str) -> str:
    """The text without markdown, quotes around it, and a period at its end."""
    text = unfenced(text)
    while True:
        plainer = _EMPHASIS.sub("", _LIST_MARK.sub("", text.strip())).strip(_QUOTES).strip()
        plainer = plainer.rstrip(_CLOSERS).rstrip()
        if plainer == text:
            return text
        text = plainer


def _named_in_json(reply: str) -> str | None:
    try:
        data = json.loads(unfenced(reply))
    except (ValueError, RecursionError):
        return None
    if isinstance(data, dict):
        data = data.get("choice")
    return data if isinstance(data, str) else None


def _begun(reply: str, choices: Sequence[str]) -> str | None:
    """The only choice that begins like this, as when the reply was cut off."""
    said = _plain(reply)
    fitting = [choice for choice in choices if said and _plain(choice).startswith(said)]
    if len(fitting) != 1:
        return None
    name = _plain(fitting[0])
    ends_a_word = not re.match(r"\w", name[len(said) :])
    return fitting[0] if ends_a_word and 2 * len(said) >= len(name) else None


def _concluded(reply: str, choices: Sequence[str]) -> str | None:
    """The choice that the last line says, when no line before says another one."""
    said = list(_said(reply, choices))
    return said[-1] if said and len({*said} - {None}) == 1 else None


def _said(reply: str, choices: Sequence[str]) -> Iterator[str | None]:
    """What each sentence says; None for one that says none of the choices."""
    before = ""
    longest = _LONGEST_FRAME + 2 * max(map(len, choices))
    lines = reply.splitlines()
    # One of several items of a list is an option that was looked at.
    items = Counter(line for line in lines if _LIST_MARK.match(line.strip()))
    for line in lines:
        if not line.strip() or _FENCE_MARK.fullmatch(line):
            # The line after a gap begins anew, unless a colon has announced it.
            before = before if _announces(before) else ""
            continue
        if _is_labelled(line) and not _announces(before):
            before = ""
        text = f"{before} {line}" if before else line
        named = _said_in_json(line, choices) or _framed(text, choices)
        if named is None and not before and (line not in items or items.total() == 1):
            named = _called(line, choices)
        sentences = _BETWEEN_SENTENCES.split(text)
        yield from [_framed(sentence, choices) for sentence in sentences] if named is None else [named]
        before = "" if _CLOSED.search(line) else sentences[-1]
        if len(before) > longest:
            before = f"{_CUT}{before[-longest:]}"


def _announces(line: str) -> bool:
    return line.rstrip(" *_`\"'”’»").endswith(":")


def _is_labelled(line: str) -> bool:
    return _LABEL.fullmatch(_undecorated(line)) is not None


def _said_in_json(line: str, choices: Sequence[str]) -> str | None:
    named = _named_in_json(line) if line.lstrip().startswith("{") else None
    return None if named is None else _called(named, choices)


def _framed(sentence: str, choices: Sequence[str]) -> str | None:
    said = _undecorated(sentence)
    frame = _LABEL.fullmatch(said) or _DECISION.fullmatch(said)
    return None if frame is None else _called(frame["named"], choices)
