"""The models of a study: each is made once in a process, whichever arms ask it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from hierarchical_reasoning.backends import Backends, make_backend, make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.reasoning_config import ModelChoice, ReasoningConfig
from llm_backends import Backend, Limits, ReplyCache
from llm_backends.closing import AsyncClosing

_OPTIONS = (
    "device",
    "dtype",
    "max_concurrency",
    "max_retries",
    "request_timeout",
    "requests_per_minute",
    "structured_output",
    "trust_remote_code",
)
"""Settings that a backend is made with, besides which model it is."""


class Models(AsyncClosing):
    """Makes backends, and closes them all together."""

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Backend] = {}
        self._closing = AsyncExitStack()

    async def backends(self, config: RunConfig) -> Backends:
        """Those of a run, checked to be there; raises as `make_backends` and `Backends.check_models`."""
        backends = make_backends(config, self._make)
        self._closing.push_async_callback(backends.aclose)
        await backends.check_models()
        return backends

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done otherwise than asked."""
        return tuple(dict.fromkeys(note for backend in self._made.values() for note in backend.notes))

    async def aclose(self) -> None:
        await self._closing.aclose()

    def _make(
        self,
        config: ReasoningConfig,
        model: ModelChoice,
        cache: ReplyCache | None,
        *,
        limits: Limits | None = None,
        flag: str | None = None,
    ) -> Backend:
        options: dict[str, Any] = {name: getattr(config, name) for name in _OPTIONS}
        key = (model.framework, model.model_path, model.base_url, model.api_key_env, model.extra_body)
        key = (*key, *options.values())
        if key not in self._made:
            self._made[key] = make_backend(config, model, cache, limits=limits, flag=flag)
        return self._made[key]
