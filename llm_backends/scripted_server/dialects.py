"""How each server words what is common to them: replies, errors, lists of models."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from llm_backends.scripted_server.replies import Call, Dialect, Reply, tokens_of
from llm_backends.types import TokenLogprob

_ANTHROPIC_STOP_REASON = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
}
_ANTHROPIC_ERROR_TYPE = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(
    dialect: Dialect, status: int, message: str, code: str | None, param: str | None
) -> dict[str, Any]:
    if dialect == "anthropic":
        kind = _ANTHROPIC_ERROR_TYPE.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}
    if dialect == "vllm":
        return {"error": {"message": message, "type": "BadRequestError", "param": param, "code": status}}
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def unknown_model(dialect: Dialect, model: str) -> tuple[str, str | None]:
    """The message and the code of a 404."""
    if dialect == "anthropic":
        return f"model: {model}", None
    if dialect == "together":
        return f"Unable to access model {model}. Please visit the list of models.", "model_not_available"
    return f"The model `{model}` does not exist.", "model_not_found"


def too_long(dialect: Dialect, prompt_tokens: int, limit: int) -> tuple[int, str, str | None]:
    """The status, the message and the code."""
    if dialect == "anthropic":
        return 400, f"prompt is too long: {prompt_tokens} tokens > {limit} maximum", None
    if dialect == "together":
        return (
            403,
            f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {limit}. Given: {prompt_tokens} "
            "`inputs` tokens and 1 `max_new_tokens`",
            None,
        )
    if dialect == "vllm":
        return (
            400,
            f"This model's maximum context length is {limit} tokens. However, your prompt contains {prompt_tokens} "
            "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
            "input prompt.",
            None,
        )
    return (
        400,
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {prompt_tokens} "
        "tokens. Please reduce the length of the messages.",
        "context_length_exceeded",
    )


def models_body(models: Sequence[str], max_model_len: int | None) -> dict[str, Any]:
    cards = [
        {"id": model, "object": "model", "created": 0, "owned_by": "scripted", "max_model_len": max_model_len}
        for model in models
    ]
    return {"object": "list", "data": cards}


def reply_body(
    dialect: Dialect, call: Call, reply: Reply, prompt_tokens: int, completion_tokens: int
) -> dict[str, Any]:
    if dialect == "anthropic":
        return _message(call, reply, prompt_tokens, completion_tokens)
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.reasoning is not None:
        message["reasoning"] = reply.reasoning
    if reply.refusal is not None:
        message["refusal"] = reply.refusal
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": reply.finish_reason,
        "logprobs": None,
    }
    if call.body.get("logprobs"):
        choice["logprobs"] = _logprobs(dialect, call.body, _token_logprobs(reply))
    body: dict[str, Any] = {
        "id": f"chatcmpl-{call.index}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": call.body["model"],
        "choices": [choice],
    }
    if reply.reports_usage:
        body["usage"] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        }
    return body


def _token_logprobs(reply: Reply) -> Sequence[TokenLogprob]:
    if reply.logprobs is not None:
        return reply.logprobs
    return [TokenLogprob(token, 0.0, ((token, 0.0),)) for token in tokens_of(reply.text or "")]


def _logprobs(dialect: Dialect, body: Mapping[str, Any], tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    if dialect == "together":
        most = body["logprobs"]
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [dict(token.top[:most]) for token in tokens],
        }
    most = body.get("top_logprobs", 0)
    return {
        "content": [
            {
                "token": token.token,
                "logprob": token.logprob,
                "bytes": list(token.token.encode()),
                "top_logprobs": [
                    {"token": text, "logprob": logprob, "bytes": list(text.encode())}
                    for text, logprob in token.top[:most]
                ],
            }
            for token in tokens
        ]
    }


def _message(call: Call, reply: Reply, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    if reply.reasoning is not None:
        blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": "scripted"})
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    stop_reason = "refusal" if reply.refusal is not None else reply.finish_reason
    body: dict[str, Any] = {
        "id": f"msg_{call.index}",
        "type": "message",
        "role": "assistant",
        "model": call.body["model"],
        "content": blocks,
        "stop_reason": _ANTHROPIC_STOP_REASON.get(stop_reason or "", stop_reason),
        "stop_sequence": None,
    }
    if reply.reports_usage:
        body["usage"] = {
            "input_tokens": prompt_tokens - reply.cached_tokens,
            "cache_read_input_tokens": reply.cached_tokens,
            "cache_creation_input_tokens": 0,
            "output_tokens": completion_tokens,
        }
    return body
