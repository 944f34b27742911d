"""A vLLM server."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llm_backends.base import BackendOptions
from llm_backends.errors import ModelNotFoundError
from llm_backends.hosted.addresses import NO_KEY, checked_base_url, key_from_environment
from llm_backends.hosted.backend import RefusedError, StructuredOutput
from llm_backends.hosted.openai_sdk import OpenAISdkBackend
from llm_backends.hosted.parameters import max_tokens_name
from llm_backends.hosted.reading import ServerReply
from llm_backends.hosted.sdk_errors import Refusal
from llm_backends.model_files import model_files
from llm_backends.types import Completion, Request

if TYPE_CHECKING:
    from typing_extensions import Unpack

_BASE_URL = "http://127.0.0.1:8000/v1"
_MODELS_SHOWN = 10
_SAMPLING_OFF = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
_CONTEXT = re.compile(r"maximum context length is (\d+) tokens")
_PROMPT = re.compile(
    r"(?:prompt contains|request has) (?:at least )?(\d+) input tokens|\((\d+) in the messages"
)
_MOST_NEW = re.compile(r"max_(?:completion_)?tokens=\d+ cannot be greater than \w+=(\d+)")


class VLLMBackend(OpenAISdkBackend):
    """The chat completions of a vLLM server; a LoRA adapter is a model like any other.

    The server allows nothing but the choices, and tells log probabilities after that constraint and before the
    temperature (unless it was started with another `logprobs-mode`); which of the two comes first does not matter,
    as they are normalized again over the choices.
    """

    name = "vllm"
    supports_choice_probabilities = True
    takes_top_k = True
    constrains_choices = True

    def __init__(
        self,
        model_name: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "VLLM_API_KEY",
        structured_output: StructuredOutput = "auto",
        extra_body: Mapping[str, object] | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        """
        :param base_url: address of the server, up to `/v1`; else VLLM_BASE_URL, else http://127.0.0.1:8000/v1.
        :param api_key_env: the environment variable with the key, for a server that was started with one.
        :param structured_output: how choices and schemas are asked for: `words`, or by the server's own constraint,
            which `auto` and `json_schema` both mean, as every vLLM has it.
        :param extra_body: fields to send besides, which replace those of the same name.
        :raises BadRequestError: the address is none.
        """
        super().__init__(
            model_name,
            base_url=checked_base_url(base_url or os.environ.get("VLLM_BASE_URL") or _BASE_URL),
            api_key=key_from_environment(api_key_env, backend=self.name, without=NO_KEY),
            structured_output="json_schema" if structured_output == "auto" else structured_output,
            extra_body=extra_body,
            **options,
        )
        self._context_length: int | None = None
        self._knows_models = False

    @property
    def context_length(self) -> int | None:
        """Known once the first request has been answered."""
        return self._context_length

    def cache_identity(self) -> Mapping[str, object]:
        """Where the model is a directory, its files are what changes a reply, and the server's address is not."""
        identity = dict(super().cache_identity())
        if self._files:
            del identity["base_url"]
        return identity | {"files": self._files}

    @cached_property
    def _files(self) -> dict[str, str]:
        return model_files(self.model_name)

    async def check_model(self) -> None:
        await super().check_model()
        await self._learn_models()

    async def _complete(self, request: Request) -> Completion:
        if not self._knows_models:
            await self._learn_models()
        return await super()._complete(request)

    async def _answer(self, body: dict[str, Any]) -> ServerReply:
        try:
            return await super()._answer(body)
        except RefusedError as error:
            room, name = room_left(error.refusal), max_tokens_name(body)
            if room is None or name is None or not 0 < room < body[name]:
                raise
            return replace(await super()._answer(body | {name: room}), token_limit=room)

    async def _learn_models(self) -> None:
        """What the server serves, asked once.

        :raises ModelNotFoundError: it does not serve this model.
        """
        try:
            cards = await self._model_cards()
        except ModelNotFoundError:
            self.note(f"{self.base_url} lists no models, so the model's context length is not known")
            self._knows_models = True
            return
        lengths = {str(card["id"]): card.get("max_model_len") for card in cards}
        if self.model_name not in lengths:
            served = ", ".join(map(repr, list(lengths)[:_MODELS_SHOWN]))
            raise ModelNotFoundError(
                f"{self.base_url} does not serve the model {self.model_name!r}; it serves {self._redacted(served)} "
                "(--model_name)"
            )
        length = lengths[self.model_name]
        self._context_length = length if isinstance(length, int) else None
        self._knows_models = True

    def _body(self, request: Request) -> dict[str, Any]:
        # Where a request says nothing, the server takes what comes with the model (generation_config.json).
        body = _SAMPLING_OFF | super()._body(request)
        name = max_tokens_name(body)
        if self._context_length is not None and name is not None:
            # It refuses a number that no prompt would leave room for, while a reply is cut at the context's end.
            body[name] = min(body[name], self._context_length)
        return body

    def _choices_format(self, request: Request) -> dict[str, Any]:
        assert request.choices is not None
        return {"structured_outputs": {"choice": list(request.choices)}}

    def _schema_format(self, request: Request) -> dict[str, Any]:
        assert request.schema is not None
        return {"structured_outputs": {"json": request.schema.model_json_schema()}}


def room_left(refusal: Refusal) -> int | None:
    """Tokens that a reply may have, when the prompt fits into the context and the reply asked for does not; None when
    the refusal is about something else."""
    most = _MOST_NEW.search(refusal.message)
    if most is not None:
        return int(most.group(1))
    context, prompt = _CONTEXT.search(refusal.message), _PROMPT.search(refusal.message)
    if context is None or prompt is None:
        return None
    return int(context.group(1)) - int(prompt.group(1) or prompt.group(2))
