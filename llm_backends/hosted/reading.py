"""Strict reading of chat completions.

A reply is read from the plain data, because making the SDK's objects of it costs more than all the rest of a call.
Whatever is not as the protocol says is a `MalformedReplyError`, never a default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_backends.errors import ContentFilterError, MalformedReplyError
from llm_backends.types import FinishReason, TokenLogprob, Usage

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
}
_FILTERED = "content_filter"
_THOUGHT = re.compile(r"\A\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
_THINKING = re.compile(r"\A\s*<think>(.*)\Z", re.DOTALL)
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ServerReply:
    """What a server replied, before it is held against what was asked."""

    text: str
    finish_reason: FinishReason
    usage: Usage | None
    """None when the server does not report it."""
    reasoning: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    token_limit: int | None = None
    """New tokens that were allowed, where that is not what the request said."""

    def __post_init__(self) -> None:
        for text in (self.text, self.reasoning or ""):
            try:
                text.encode()
            except UnicodeEncodeError as error:  # JSON can hold half of a surrogate pair, a file cannot
                raise MalformedReplyError(f"the reply is no text: {error.reason} at {error.start}") from error


def read_chat_completion(data: object) -> ServerReply:
    """Read the body of a chat completion with one choice.

    :raises MalformedReplyError: it is not what the protocol says.
    :raises ContentFilterError: the reply was withheld, or is a refusal.
    """
    body = mapping_in(data, "the body")
    if body.get("error"):
        raise MalformedReplyError(f"the server replied with an error of its own: {shown(body['error'])}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedReplyError(f"the reply has no choices: {shown(body)}")
    choice = mapping_in(choices[0], "the choice")
    message = mapping_in(choice.get("message"), "the message")
    if message.get("refusal"):
        raise ContentFilterError(f"the model refused to reply: {shown(message['refusal'])}")
    finish_reason = _finish_reason(choice.get("finish_reason"))
    field = message.get("reasoning_content") or message.get("reasoning")
    reasoning = field if isinstance(field, str) else None
    if "content" not in message and reasoning is None:
        raise MalformedReplyError(f"the message has no content: {shown(message)}")
    text, thought = split_reasoning(_content(message.get("content")))
    return ServerReply(
        text=text,
        finish_reason=finish_reason,
        usage=_usage(body.get("usage")),
        reasoning=reasoning if thought is None else thought,
        logprobs=_logprobs(choice.get("logprobs")),
    )


def split_reasoning(content: str) -> tuple[str, str | None]:
    """The reply proper, and the reasoning in `<think>` tags that comes before it; None when there is none.

    The opening tag may be missing, as it is where the chat template writes it. Reasoning that does not end leaves an
    empty reply.
    """
    thought = _THOUGHT.match(content) or _THINKING.match(content)
    if thought is None:
        return content, None
    return content[thought.end() :], thought.group(1).strip()


def mapping_in(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MalformedReplyError(f"{what} of the reply is no JSON object: {shown(value)}")
    return value


def count_in(fields: Mapping[str, Any], name: str) -> int:
    """A number of tokens; 0 when it is missing or null."""
    value = fields.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedReplyError(f"{name} in the usage of the reply is {shown(value)}; it must be 0 or more")
    return value


def details_in(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside another; empty when it is missing or null."""
    value = fields.get(name)
    return {} if value is None else mapping_in(value, name)


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _finish_reason(value: object) -> FinishReason:
    if value == _FILTERED:
        raise ContentFilterError(f"the provider withheld the reply (finish_reason {_FILTERED})")
    if not isinstance(value, str) or value not in _FINISH_REASONS:
        raise MalformedReplyError(f"finish_reason is {shown(value)}; known are {', '.join(_FINISH_REASONS)}")
    return _FINISH_REASONS[value]


def _content(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [mapping_in(part, "a part of the content").get("text", "") for part in content]
        return "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        raise MalformedReplyError(f"the content is {shown(content)}; it must be text")
    return content


def _usage(data: object) -> Usage | None:
    if data is None:
        return None
    usage = mapping_in(data, "the usage")
    prompt_details = details_in(usage, "prompt_tokens_details")
    completion_details = details_in(usage, "completion_tokens_details")
    return Usage(
        prompt_tokens=count_in(usage, "prompt_tokens"),
        # Together has the number beside the others.
        cached_tokens=count_in(prompt_details, "cached_tokens") or count_in(usage, "cached_tokens"),
        completion_tokens=count_in(usage, "completion_tokens"),
        reasoning_tokens=count_in(completion_details, "reasoning_tokens"),
    )


def _logprobs(data: object) -> tuple[TokenLogprob, ...] | None:
    """In the form of OpenAI, or in Together's of parallel lists."""
    if data is None:
        return None
    fields = mapping_in(data, "logprobs")
    if isinstance(fields.get("content"), list):
        return tuple(_token(mapping_in(token, "a token's logprobs")) for token in fields["content"])
    tokens, logprobs = fields.get("tokens"), fields.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        return None
    tops = fields.get("top_logprobs")
    if not isinstance(tops, list) or len(tops) != len(tokens):
        tops = [{}] * len(tokens)
    return tuple(
        TokenLogprob(str(token), _number(logprob), _likeliest(mapping_in(top or {}, "top_logprobs").items()))
        for token, logprob, top in zip(tokens, logprobs, tops, strict=True)
    )


def _token(fields: Mapping[str, Any]) -> TokenLogprob:
    listed = fields.get("top_logprobs") or []
    if not isinstance(listed, list):
        raise MalformedReplyError(f"top_logprobs is {shown(listed)}; it must be a list")
    others = [mapping_in(other, "an alternative in top_logprobs") for other in listed]
    top = _likeliest((other.get("token"), other.get("logprob")) for other in others)
    return TokenLogprob(str(fields.get("token")), _number(fields.get("logprob")), top)


def _likeliest(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, float], ...]:
    return tuple(
        sorted(((str(token), _number(logprob)) for token, logprob in pairs), key=lambda pair: -pair[1])
    )


def _number(value: object) -> float:
    """A log probability; what JSON cannot hold, minus infinity, comes as null."""
    if value is None:
        return float("-inf")
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not float(value) < math.inf:
            raise MalformedReplyError(
                f"a log probability of the reply is {shown(value)}; it must be a number"
            )
        return float(value)
    except OverflowError as error:  # JSON has no largest number
        raise MalformedReplyError("a log probability of the reply is a number beyond any float") from error
