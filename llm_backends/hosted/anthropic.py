"""Anthropic's messages.

Left out on purpose: log probabilities and seeds, which the service does not have, and settings of its thinking (give
them as `extra_body`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm_backends.base import BackendOptions
from llm_backends.errors import ContentFilterError, MalformedReplyError, UnsupportedError
from llm_backends.hosted import in_words
from llm_backends.hosted.addresses import NO_KEY, checked_base_url, is_loopback, key_from_environment
from llm_backends.hosted.backend import HostedBackend, StructuredOutput, room_for
from llm_backends.hosted.json_schemas import choice_schema, closed_schema
from llm_backends.hosted.reading import ServerReply, count_in, details_in, mapping_in, shown
from llm_backends.types import FinishReason, Request, Usage

if TYPE_CHECKING:
    from typing_extensions import Unpack

_BASE_URL = "https://api.anthropic.com"
_CONTEXT_FULL = "model_context_window_exceeded"
_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    _CONTEXT_FULL: FinishReason.LENGTH,
}


class AnthropicBackend(HostedBackend):
    """Anthropic's messages. A request of several turns marks the last for the prompt cache, so that a conversation
    that grows is served from it; a prompt of one turn is not, as writing it costs more and it is hardly read again."""

    name = "anthropic"
    _models_path = "/v1/models"

    def __init__(
        self,
        model_name: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "ANTHROPIC_API_KEY",
        structured_output: StructuredOutput = "auto",
        extra_body: Mapping[str, object] | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        """
        :param base_url: address of the server, with or without `/v1`; else ANTHROPIC_BASE_URL, else Anthropic's own.
        :param api_key_env: the environment variable with the key. A server on this machine needs none.
        :param structured_output: as for `openai`.
        :param extra_body: fields to send besides, which replace those of the same name.
        :raises UnsupportedError: the SDK is not installed.
        :raises AuthenticationError: there is no key.
        :raises BadRequestError: the address is none.
        """
        address = checked_base_url(base_url or os.environ.get("ANTHROPIC_BASE_URL") or _BASE_URL)
        _import_sdk()
        super().__init__(
            model_name,
            base_url=address.removesuffix("/v1"),
            api_key=key_from_environment(
                api_key_env, backend=self.name, without=NO_KEY if is_loopback(address) else None
            ),
            structured_output=structured_output,
            extra_body=extra_body,
            **options,
        )

    def _sdk(self) -> ModuleType:
        return _import_sdk()

    def _new_client(self) -> Any:
        import httpx2

        sdk = _import_sdk()
        return sdk.AsyncAnthropic(**self._client_options(httpx2, sdk))

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        if sampling.top_k and request.choices is None:
            raise UnsupportedError(
                f"top_k is {sampling.top_k}, which the backend {self.name!r} does not take; set it to 0"
            )
        body: dict[str, Any] = {
            "model": self.model_name,
            "max_tokens": room_for(request),
            "temperature": sampling.temperature,
        }
        if request.choices is None:
            if sampling.top_p != 1.0:
                body["top_p"] = sampling.top_p
            if sampling.stop:
                body["stop_sequences"] = list(sampling.stop)
        messages = request.messages
        if request.choices is not None:
            if self._in_words:
                messages = in_words.with_choices(messages, request.choices)
            else:
                body["output_config"] = _output_format(choice_schema(request.choices))
        elif request.schema is not None:
            schema, closed = closed_schema(request.schema)
            if self._in_words or not closed:
                messages = in_words.with_schema(messages, request.schema.model_json_schema())
            else:
                body["output_config"] = _output_format(schema)
        system = "\n\n".join(message.content for message in messages if message.role == "system")
        if system:
            body["system"] = system
        body["messages"] = [
            {"role": message.role, "content": message.content}
            for message in messages
            if message.role != "system"
        ]
        if len(body["messages"]) > 1:
            body["cache_control"] = {"type": "ephemeral"}
        return self._without_leavings(body)

    def _has_format(self, body: Mapping[str, Any]) -> bool:
        return "output_config" in body

    async def _answer(self, body: dict[str, Any]) -> ServerReply:
        return read_message(await self._call("post", "/v1/messages", body))


def read_message(data: object) -> ServerReply:
    """Read the body of a message.

    :raises MalformedReplyError: it is not what the protocol says.
    :raises ContentFilterError: the model refused.
    """
    body = mapping_in(data, "the body")
    blocks = body.get("content")
    if not isinstance(blocks, list):
        raise MalformedReplyError(f"the reply has no content: {shown(body)}")
    stop_reason = body.get("stop_reason")
    if stop_reason == "refusal":
        details = body.get("stop_details")
        raise ContentFilterError(f"the model refused to reply: {shown(details)}")
    if not isinstance(stop_reason, str) or stop_reason not in _FINISH_REASONS:
        raise MalformedReplyError(
            f"stop_reason is {shown(stop_reason)}; known are {', '.join(_FINISH_REASONS)}"
        )
    text, thinking = "", ""
    for block in blocks:
        fields = mapping_in(block, "a block of the content")
        if fields.get("type") == "text":
            text += str(fields.get("text", ""))
        elif fields.get("type") == "thinking":
            thinking += str(fields.get("thinking", ""))
    usage = _usage(body.get("usage"))
    return ServerReply(
        text,
        _FINISH_REASONS[stop_reason],
        usage,
        thinking or None,
        token_limit=None if usage is None or stop_reason != _CONTEXT_FULL else usage.completion_tokens,
    )


def _usage(data: object) -> Usage | None:
    if data is None:
        return None
    usage = mapping_in(data, "the usage")
    read = count_in(usage, "cache_read_input_tokens")
    written = count_in(usage, "cache_creation_input_tokens")
    return Usage(
        prompt_tokens=count_in(usage, "input_tokens") + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        completion_tokens=count_in(usage, "output_tokens"),
        reasoning_tokens=count_in(details_in(usage, "output_tokens_details"), "thinking_tokens"),
    )


def _output_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": schema}}


def _import_sdk() -> ModuleType:
    try:
        return importlib.import_module("anthropic")
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "the backend 'anthropic' needs a package that is not installed; run "
            "pip install hierarchical-reasoning[anthropic]"
        ) from error
