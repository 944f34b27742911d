"""Together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm_backends.base import BackendOptions
from llm_backends.hosted.addresses import NO_KEY, checked_base_url, is_loopback, key_from_environment
from llm_backends.hosted.backend import StructuredOutput
from llm_backends.hosted.chat_completions import ChatCompletionsBackend

if TYPE_CHECKING:
    from typing_extensions import Unpack

_INFERENCE = "https://api-inference.together.ai"
"""Where the SDK sends chat completions unless it is given an address."""


class TogetherBackend(ChatCompletionsBackend):
    """Together's chat completions.

    Left out on purpose: probabilities of choices, as the alternatives to a token are not documented to come for
    every token.
    """

    name = "together"
    _models_path = "/v1/models"
    _embeddings_path = "/v1/embeddings"
    takes_top_k = True

    def __init__(
        self,
        model_name: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "TOGETHER_API_KEY",
        structured_output: StructuredOutput = "auto",
        extra_body: Mapping[str, object] | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        """
        :param base_url: address of the server, with or without `/v1`; else TOGETHER_BASE_URL, else Together's own.
        :param api_key_env: the environment variable with the key. A server on this machine needs none.
        :param structured_output: as for `openai`.
        :param extra_body: fields to send besides, which replace those of the same name.
        :raises AuthenticationError: there is no key.
        :raises BadRequestError: the address is none.
        """
        address = checked_base_url(base_url or os.environ.get("TOGETHER_BASE_URL") or _INFERENCE)
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
        import together

        return together

    def _new_client(self) -> Any:
        import httpx
        import together

        return together.AsyncTogether(**self._client_options(httpx, together))

    def _path(self) -> str:
        return "/v1/chat/completions"

    def _logprobs_fields(self, alternatives: int) -> dict[str, Any]:
        # A number of alternatives here, where 0 turns log probabilities off.
        return {"logprobs": max(1, alternatives)}
