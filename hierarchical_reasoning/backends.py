"""The backends of a run: one for each role, and one alone where roles share a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.config import ModelChoice, RunConfig
from hierarchical_reasoning.results import check_writable
from llm_backends import Backend, ReplyCache, create_backend

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

CACHE_FILE = "replies.sqlite"
"""In `--cache_dir`."""


@dataclass(frozen=True)
class Backends:
    """Who is asked for what."""

    reasoner: Backend
    planner: Backend
    cache: ReplyCache | None = None
    """Closed with the backends."""

    @classmethod
    def one(cls, backend: Backend) -> Backends:
        """One model that plays every role."""
        return cls(backend, backend)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the backends did otherwise than asked."""
        return tuple(dict.fromkeys([*self.planner.notes, *self.reasoner.notes]))

    def described(self) -> dict[str, dict[str, object]]:
        """By role, what is asked and what else can change its replies; for the record."""
        return {
            role: {"framework": backend.name, "model": backend.model_name, **backend.cache_identity()}
            for role, backend in (("reasoner", self.reasoner), ("planner", self.planner))
        }

    async def check_models(self) -> None:
        """Find out whether the models are there, before a problem is begun."""
        await self.reasoner.check_model()
        if self.planner is not self.reasoner:
            await self.planner.check_model()

    async def aclose(self) -> None:
        await self.reasoner.aclose()
        if self.planner is not self.reasoner:
            await self.planner.aclose()
        if self.cache is not None:
            self.cache.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def make_backends(config: RunConfig) -> Backends:
    """Make them; a model in this process is loaded, which takes a while.

    Raises:
        BackendError: a model, a key or a package is missing, or the cache of replies cannot be used.
        OutputError: `--cache_dir` cannot be written.
    """
    cache = open_cache(config)
    try:
        reasoner = make_backend(config, config.reasoner, cache)
        planner = reasoner
        if (
            config.planner_model != config.reasoner
            and config.planner == "model"
            and not config.vanilla_baseline
        ):
            named = "--model_name" if config.planner_model_name is None else "--planner_model_name"
            planner = make_backend(config, config.planner_model, cache, model_flag=named)
    except BaseException:
        if cache is not None:
            cache.close()
        raise
    return Backends(reasoner, planner, cache)


def open_cache(config: RunConfig) -> ReplyCache | None:
    """The cache of replies; None with ``--no_cache``."""
    return None if config.no_cache else ReplyCache(check_writable(config.cache_dir) / CACHE_FILE)


def make_backend(
    config: RunConfig, model: ModelChoice, cache: ReplyCache | None, *, model_flag: str = "--model_name"
) -> Backend:
    """The backend of one model, which `model_flag` has chosen."""
    options = dict(_options(config, model, cache))
    if model.framework == "local":
        options["model_flag"] = model_flag
    return create_backend(model.framework, model_name=model.model_path, **options)


def _options(config: RunConfig, model: ModelChoice, cache: ReplyCache | None) -> Mapping[str, Any]:
    options: dict[str, Any] = {"max_retries": config.max_retries, "cache": cache}
    if model.framework == "local":
        return options | {
            "dtype": config.dtype,
            "device": config.device,
            "trust_remote_code": config.trust_remote_code,
        }
    options |= {
        "max_concurrency": config.max_concurrency,
        "requests_per_minute": config.requests_per_minute,
        "timeout_s": config.request_timeout,
    }
    given = {
        "base_url": model.base_url,
        "api_key_env": config.api_key_env,
        "structured_output": None if config.structured_output == "auto" else config.structured_output,
    }
    return options | {name: value for name, value in given.items() if value is not None}
