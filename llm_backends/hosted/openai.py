"""OpenAI, and any other server of chat completions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llm_backends.base import BackendOptions
from llm_backends.hosted.addresses import NO_KEY, checked_base_url, host_of, is_loopback, key_from_environment
from llm_backends.hosted.backend import StructuredOutput
from llm_backends.hosted.openai_sdk import OpenAISdkBackend

if TYPE_CHECKING:
    from typing_extensions import Unpack

_BASE_URL = "https://api.openai.com/v1"
_OWN_HOSTS = "openai.com"


class OpenAIBackend(OpenAISdkBackend):
    """OpenAI's chat completions, or those of the server at `base_url`."""

    name = "openai"
    supports_choice_probabilities = True

    def __init__(
        self,
        model_name: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        structured_output: StructuredOutput = "auto",
        extra_body: Mapping[str, object] | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        """
        :param base_url: address of the server, up to `/v1`; else OPENAI_BASE_URL, else OpenAI's own.
        :param api_key_env: the environment variable with the key. A server on this machine needs none.
        :param structured_output: how choices and schemas are asked for; `auto` is `json_schema` until the model
            refuses that, then `words`.
        :param extra_body: fields to send besides, which replace those of the same name.
        :raises AuthenticationError: there is no key.
        :raises BadRequestError: the address is none.
        """
        address = checked_base_url(base_url or os.environ.get("OPENAI_BASE_URL") or _BASE_URL)
        super().__init__(
            model_name,
            base_url=address,
            api_key=key_from_environment(
                api_key_env, backend=self.name, without=NO_KEY if is_loopback(address) else None
            ),
            structured_output=structured_output,
            extra_body=extra_body,
            **options,
        )
        host = host_of(address)
        if host == _OWN_HOSTS or host.endswith(f".{_OWN_HOSTS}"):
            self._max_tokens_name = "max_completion_tokens"
