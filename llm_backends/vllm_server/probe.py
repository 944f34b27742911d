"""Asking a server what it can do, over HTTP.

The standard library alone, in a thread: a probe must not depend on the SDK whose server it checks.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_backends.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    ConnectionFailedError,
    MalformedReplyError,
    RequestTimeoutError,
    ServerError,
)
from llm_backends.hosted.addresses import checked_base_url, is_loopback

_LONGEST_REPLY = 10 * 2**20
_LONGEST_SHOWN = 300
_SHORTEST_KEY = 8
"""A shorter one occurs in ordinary words."""
_CHOICES = ("yes", "no")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server offers."""

    name: str
    max_model_len: int | None
    """Tokens of prompt and reply together; None where the server does not say."""


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """What was found out about a server."""

    base_url: str
    steps: tuple[CheckStep, ...]
    """In the order in which they were tried; the first that fails is the last."""
    models: tuple[ServedModel, ...]

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)


class ServerProbe:
    """Small questions to one server."""

    def __init__(self, base_url: str, *, api_key: str | None = None, timeout_s: float = 10.0) -> None:
        """
        :param base_url: with or without the `/v1` at its end.
        :param api_key: None takes VLLM_API_KEY, if set.
        :raises BadRequestError: it is no URL of a server.
        """
        self._root = checked_base_url(base_url).removesuffix("/v1").rstrip("/")
        self._key = api_key if api_key is not None else os.environ.get("VLLM_API_KEY")
        self._timeout_s = timeout_s
        # A proxy for the world outside must not be asked for a server on this machine.
        proxies = [urllib.request.ProxyHandler({})] if is_loopback(self._root) else []
        self._open = urllib.request.build_opener(*proxies).open

    @property
    def base_url(self) -> str:
        return f"{self._root}/v1"

    async def is_healthy(self) -> bool:
        """Whether it answers, and says that its engine runs."""
        try:
            await self.health()
        except BackendError:
            return False
        return True

    async def health(self) -> None:
        """
        :raises BackendError: it cannot be reached, or its engine is dead.
        """
        await asyncio.to_thread(self._ask, "/health", None)

    async def models(self) -> tuple[ServedModel, ...]:
        reply = await self._json("/v1/models", None)
        try:
            return tuple(ServedModel(str(entry["id"]), entry.get("max_model_len")) for entry in reply["data"])
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedReplyError(
                f"{self.base_url}/models has no list of models: {reply!r:.300}"
            ) from error

    async def complete_one_token(self, model: str) -> str:
        """One token after a short prompt."""
        body = {"model": model, "prompt": "The", "max_tokens": 1, "temperature": 0}
        reply = await self._json("/v1/completions", body)
        try:
            return str(reply["choices"][0]["text"])
        except (KeyError, IndexError, TypeError) as error:
            raise MalformedReplyError(f"the completion has no text: {reply!r:.300}") from error

    async def choose(self, model: str, choices: tuple[str, ...] = _CHOICES) -> str:
        """One of the choices, which is what a planner needs.

        :raises MalformedReplyError: the reply is none of them.
        """
        body = {
            "model": model,
            "messages": [{"role": "user", "content": f"Answer with one of: {', '.join(choices)}."}],
            "max_tokens": 16,
            "temperature": 0,
            "structured_outputs": {"choice": list(choices)},
        }
        reply = await self._json("/v1/chat/completions", body)
        try:
            chosen = str(reply["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError) as error:
            raise MalformedReplyError(f"the chat completion has no text: {reply!r:.300}") from error
        if chosen not in choices:
            raise MalformedReplyError(
                f"the server was to choose one of {', '.join(choices)}, and wrote {chosen!r}; it needs vLLM 0.12 or "
                "newer (structured_outputs)"
            )
        return chosen

    async def _json(self, path: str, body: Mapping[str, Any] | None) -> Any:
        data = await asyncio.to_thread(self._ask, path, body)
        try:
            return json.loads(data)
        except ValueError as error:
            raise MalformedReplyError(f"{self._root}{path} replied no JSON: {data[:100]!r}") from error

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> bytes:
        url = f"{self._root}{path}"
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 (http or https, checked)
        try:
            with self._open(request, timeout=self._timeout_s) as reply:
                return self._without_key(reply.read(_LONGEST_REPLY))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(url, error.code, self._without_key(error.read(_LONGEST_REPLY))) from error
        except TimeoutError as error:
            raise RequestTimeoutError(f"{url} did not reply within {self._timeout_s:.0f} s") from error
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise RequestTimeoutError(f"{url} did not reply within {self._timeout_s:.0f} s") from error
            raise ConnectionFailedError(f"{url} cannot be reached: {reason}") from error

    def _without_key(self, reply: bytes) -> bytes:
        """The reply of a server that may show what it was sent."""
        key = self._key or ""
        return reply if len(key) < _SHORTEST_KEY else reply.replace(key.encode(), b"[redacted key]")


async def check_server(base_url: str, *, api_key: str | None = None, timeout_s: float = 60.0) -> ServerCheck:
    """Try, one after another, what a run needs: health, models, a completion, a constrained choice."""
    probe = ServerProbe(base_url, api_key=api_key, timeout_s=timeout_s)
    steps: list[CheckStep] = []
    models: tuple[ServedModel, ...] = ()

    async def health() -> str:
        await probe.health()
        return "ok"

    async def list_models() -> str:
        nonlocal models
        models = await probe.models()
        if not models:
            raise MalformedReplyError("the server offers no model")
        return ", ".join(f"{model.name} (context {model.max_model_len or 'unknown'})" for model in models)

    async def completion() -> str:
        return f"one token: {await probe.complete_one_token(models[0].name)!r}"

    async def choice() -> str:
        return f"chose {await probe.choose(models[0].name)!r} of {', '.join(_CHOICES)}"

    tried: dict[str, Callable[[], Any]] = {
        "health": health,
        "models": list_models,
        "completion": completion,
        "choice": choice,
    }
    for name, attempt in tried.items():
        began = time.monotonic()
        try:
            detail, ok = await attempt(), True
        except BackendError as error:
            detail, ok = str(error), False
        steps.append(CheckStep(name, ok, detail, time.monotonic() - began))
        if not ok:
            break
    return ServerCheck(probe.base_url, tuple(steps), models)


def _refusal(url: str, status: int, body: bytes) -> BackendError:
    said = body.decode("utf-8", errors="replace").strip()[:_LONGEST_SHOWN]
    message = f"{url} replied with status {status}: {said or 'nothing more'}"
    if status in (401, 403):
        return AuthenticationError(f"{message} (set VLLM_API_KEY to the server's key)")
    return ServerError(message) if status >= 500 else BadRequestError(message)
