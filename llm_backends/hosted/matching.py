"""Which of the choices a reply in words means.

A reply is taken only when one choice fits and no other does; it is never a guess. What is tried, in this order: the
choice itself; the choice but for case, white space, quotes and markdown; a JSON object with a `choice`; the beginning
of one choice only; a reply that begins with a choice (the longest), or mentions one, and mentions no other. A reply
that says what it does not pick counts as none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\s*\n?(.*?)\s*```\s*\Z", re.DOTALL)
_LIST_MARK = re.compile(r"\A(?:[-*+•>#]+\s+|\d{1,3}[.)]\s+)")
_EMPHASIS = re.compile(r"\*+|`+|(?<!\w)_+|_+(?!\w)")
_QUOTES = "\"'“”‘’«»"
_CLOSERS = ".!,;:"
_DENIAL = re.compile(
    r"\b(?:not|never|neither|nor|no|cannot|except|without|rather than|instead of)\b|n['’]t\b", re.IGNORECASE
)
_SHORTEST_BEGINNING = 3
"""A shorter beginning, such as "A", may as well be the name of an option as its first letter."""


def match_choice(reply: str, choices: Sequence[str]) -> str | None:
    """The choice that `reply` means; None when it is none of them, or could be several."""
    named = _named_in_json(reply)
    return _match_text(reply if named is None else named, choices)


def unfenced(text: str) -> str:
    """The content of a markdown code block, when the text is nothing else."""
    block = _FENCE.match(text)
    return text if block is None else block.group(1)


def _match_text(reply: str, choices: Sequence[str]) -> str | None:
    for form in (_as_is, str.strip, _plain):
        fitting = _equal(form, reply, choices)
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    said = _plain(reply)
    plain = {choice: _plain(choice) for choice in choices}
    if len(said) >= _SHORTEST_BEGINNING:
        fitting = [choice for choice, text in plain.items() if text.startswith(said)]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return _mentioned(said, plain)


def _equal(form: Callable[[str], str], reply: str, choices: Sequence[str]) -> list[str]:
    said = form(reply)
    return [choice for choice in choices if form(choice) == said]


def _as_is(text: str) -> str:
    return text


def _plain(text: str) -> str:
    """The text without case, markdown, quotes around it, and a period at its end."""
    text = unfenced(text)
    while True:
        plainer = _EMPHASIS.sub("", _LIST_MARK.sub("", text.strip())).strip(_QUOTES).strip()
        plainer = plainer.rstrip(_CLOSERS).rstrip()
        if plainer == text:
            return " ".join(text.casefold().split())
        text = plainer


def _named_in_json(reply: str) -> str | None:
    try:
        data = json.loads(unfenced(reply))
    except ValueError:
        return None
    if isinstance(data, dict):
        data = data.get("choice")
    return data if isinstance(data, str) else None


def _mentioned(said: str, plain: dict[str, str]) -> str | None:
    """The only choice that occurs in `said`, apart from those that are part of a longer one there."""
    rest = said
    found: list[str] = []
    for choice, text in sorted(plain.items(), key=lambda item: -len(item[1])):
        if not text:
            continue
        occurs = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
        if occurs.search(rest):
            found.append(choice)
            rest = occurs.sub("\0", rest)
    if len(found) != 1 or _DENIAL.search(rest):
        return None
    same = [choice for choice, text in plain.items() if text == plain[found[0]]]
    return found[0] if len(same) == 1 else None
