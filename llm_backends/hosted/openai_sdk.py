"""Chat completions through the SDK of OpenAI."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm_backends.hosted.chat_completions import ChatCompletionsBackend


class OpenAISdkBackend(ChatCompletionsBackend):
    """A server that is asked with OpenAI's client."""

    def _sdk(self) -> ModuleType:
        import openai

        return openai

    def _new_client(self) -> Any:
        import httpx2
        import openai

        return openai.AsyncOpenAI(**self._client_options(httpx2, openai))

    def _path(self) -> str:
        return "/chat/completions"
