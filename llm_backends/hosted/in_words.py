"""Asking in words for what a server cannot be made to reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_backends.types import Message


def with_choices(messages: Sequence[Message], choices: Sequence[str]) -> tuple[Message, ...]:
    """The messages, which end by listing the choices unless all of them occur in the messages already."""
    text = "\n".join(message.content for message in messages)
    if all(choice in text for choice in choices):
        return tuple(messages)
    listed = "\n".join(f"- {choice}" for choice in choices)
    return _with_last_line(messages, f"Reply with exactly one of these, and nothing else:\n{listed}")


def with_schema(messages: Sequence[Message], schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages, which end by asking for JSON of this schema."""
    written = json.dumps(schema, ensure_ascii=False)
    return _with_last_line(
        messages, f"Reply with JSON that fits this JSON schema, and nothing else:\n{written}"
    )


def none_of_the_options(
    messages: Sequence[Message], reply: str, choices: Sequence[str]
) -> tuple[Message, ...]:
    """The messages, followed by a reply that was not usable and what to do about it."""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    complaint = f"That is not exactly one of the options. Reply with exactly one of: {listed}"
    return (*messages, Message("assistant", reply), Message("user", complaint))


def _with_last_line(messages: Sequence[Message], line: str) -> tuple[Message, ...]:
    *before, last = messages
    if last.role != "user":
        return (*messages, Message("user", line))
    return (*before, replace(last, content=f"{last.content}\n\n{line}"))
