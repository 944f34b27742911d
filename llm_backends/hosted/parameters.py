"""Parameters that a model turns out not to take."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from llm_backends.hosted.sdk_errors import Refusal

MAX_TOKENS_NAMES = ("max_tokens", "max_completion_tokens")
LEAVABLE = (*MAX_TOKENS_NAMES, "temperature", "top_p", "seed", "stop", "top_logprobs", "logprobs")
"""What may be left out. The reply is then not what was asked for in every respect, which the backend notes."""
_FORMATS = re.compile(
    r"response_format|json_schema|structured[ _]outputs?|output_config|output_format|guided", re.IGNORECASE
)
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|(does|do) not support|doesn['’]t support|unrecognized|unknown (parameter|argument)|"
    r"not permitted|deprecated|no longer|not (be )?(allowed|accepted|compatible)|cannot both|max allowed",
    re.IGNORECASE,
)
_NOT_TAKEN_CODES = ("unsupported_parameter", "unsupported_value", "unknown_parameter")


def refused_parameter(refusal: Refusal, sent: Container[str]) -> str | None:
    """The parameter that was sent and is not taken by this model; None when the refusal is about something else.

    A value that is wrong, such as a `max_tokens` that is too large, is something else.
    """
    if refusal.status not in (400, 403, 422):  # OpenAI forbids logprobs of some models
        return None
    if refusal.code not in _NOT_TAKEN_CODES and not _NOT_TAKEN.search(refusal.message):
        return None
    for name in LEAVABLE:
        if name == refusal.param and name in sent:
            return name
    mentioned = [
        (place.start(), name)
        for name in LEAVABLE
        if name in sent and (place := re.search(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", refusal.message))
    ]
    return min(mentioned)[1] if mentioned else None


def max_tokens_name(body: Mapping[str, Any]) -> str | None:
    """The name under which a body bounds the tokens of the reply; None when it does not."""
    return next((name for name in reversed(MAX_TOKENS_NAMES) if isinstance(body.get(name), int)), None)


def refuses_formats(refusal: Refusal) -> bool:
    """Whether the refusal is about structured output."""
    return refusal.status in (400, 422) and bool(_FORMATS.search(f"{refusal.param} {refusal.message}"))
