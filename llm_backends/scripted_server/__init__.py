"""A server on this machine that replies what it was told to, over the protocols of the hosted backends."""

from llm_backends.scripted_server.replies import (
    Answer,
    Call,
    Dialect,
    Fault,
    Raw,
    Reply,
    Reset,
    Stall,
    Status,
    Truncated,
    choice_text,
    first_option,
    tokens_of,
)
from llm_backends.scripted_server.server import ScriptedServer

__all__ = [
    "Answer",
    "Call",
    "Dialect",
    "Fault",
    "Raw",
    "Reply",
    "Reset",
    "ScriptedServer",
    "Stall",
    "Status",
    "Truncated",
    "choice_text",
    "first_option",
    "tokens_of",
]
