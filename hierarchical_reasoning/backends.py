"""The backends of a run: one for each role, and one alone where roles share a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.model_combinations import model_flag
from hierarchical_reasoning.reasoning_config import ModelChoice, ReasoningConfig
from hierarchical_reasoning.results.file import check_writable
from llm_backends import Backend, Limits, ReplyCache, create_backend
from llm_backends.closing import AsyncClosing

CACHE_FILE = "replies.sqlite"
"""In `--cache_dir`."""
SMALLEST_BATCH = 64
"""Requests that a model in this process computes together at most, unless more problems are in flight."""
MakeBackend: TypeAlias = "Callable[..., Backend]"
"""Called as `make_backend`."""


@dataclass(frozen=True)
class Backends(AsyncClosing):
    """Who is asked for what."""

    reasoner: Backend
    planner: Backend
    cache: ReplyCache | None = None
    """Closed with the backends."""
    judge: Backend | None = None
    """Of answers; None where they are graded without a model, and no search asks it."""
    embedder: Backend | None = None
    """What a value head sees; None where that is something else."""

    @classmethod
    def one(cls, backend: Backend) -> Backends:
        """One model that plays every role."""
        return cls(backend, backend)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the backends did otherwise than asked."""
        return tuple(dict.fromkeys(note for backend in self._by_role.values() for note in backend.notes))

    def described(self) -> dict[str, dict[str, object]]:
        """By role, what is asked and what else can change its replies; for the record."""
        return {
            role: {"framework": backend.name, "model": backend.model_name, **backend.cache_identity()}
            for role, backend in self._by_role.items()
        }

    async def check_models(self) -> None:
        """Find out whether the models are there, before a problem is begun."""
        for backend in dict.fromkeys(self._by_role.values()):
            await backend.check_model()

    @property
    def _by_role(self) -> dict[str, Backend]:
        roles = {"reasoner": self.reasoner, "planner": self.planner}
        others = {"judge": self.judge, "value head": self.embedder}
        return roles | {role: backend for role, backend in others.items() if backend is not None}

    async def aclose(self) -> None:
        for backend in dict.fromkeys(self._by_role.values()):
            await backend.aclose()
        if self.cache is not None:
            self.cache.close()


def make_backends(config: ReasoningConfig, make: MakeBackend | None = None) -> Backends:
    """Make them; a model in this process is loaded, which takes a while. Where no planner is asked, the reasoner's
    stands in its place.

    Args:
        make: makes each backend, as `make_backend` does, which it is where this is None.

    Raises:
        BackendError: a model, a key or a package is missing, or the cache of replies cannot be used.
        OutputError: `--cache_dir` cannot be written.
    """
    cache = open_cache(config)
    make = make or make_backend
    try:
        limits = Limits(config.max_concurrency, config.requests_per_minute)
        reasoner = make(config, config.reasoner, cache, limits=limits)

        def other(model: ModelChoice, flag: str) -> Backend:
            if model == config.reasoner:
                return reasoner
            one_account = (model.framework, model.base_url) == (config.framework, config.reasoner.base_url)
            own_limits = limits if one_account else None
            return make(config, model, cache, limits=own_limits, flag=flag)

        planner, judge, embedder = reasoner, None, None
        if config.asked_planner is not None:
            same = config.asked_planner.model_name == config.main_model_name
            planner = other(config.asked_planner, model_flag(config, "reasoner" if same else "planner"))
        if config.judge_model is not None:
            judge = other(config.judge_model, model_flag(config, "judge"))
        if config.embedding_model is not None:
            embedder = other(config.embedding_model, "--embedding_model_name")
    except BaseException:
        if cache is not None:
            cache.close()
        raise
    return Backends(reasoner, planner, cache, judge, embedder)


def open_cache(config: ReasoningConfig) -> ReplyCache | None:
    """The cache of replies; None with ``--no_cache``."""
    return None if config.no_cache else ReplyCache(check_writable(config.cache_dir) / CACHE_FILE)


def make_backend(
    config: ReasoningConfig,
    model: ModelChoice,
    cache: ReplyCache | None,
    *,
    limits: Limits | None = None,
    flag: str | None = None,
) -> Backend:
    """The backend of one model.

    Args:
        config: how it is asked.
        model: which one.
        cache: of replies.
        limits: shared with other backends of the same server; None: its own.
        flag: the one that chose the model, for messages; None: that of the main model.
    """
    options: dict[str, Any] = {"max_retries": config.max_retries, "cache": cache}
    if model.framework == "local":
        options |= {
            "dtype": config.dtype,
            "device": config.device,
            "trust_remote_code": config.trust_remote_code,
            "max_batch_size": max(SMALLEST_BATCH, config.max_concurrency),
            "model_flag": flag or model_flag(config, "reasoner"),
        }
    else:
        own = Limits(config.max_concurrency, config.requests_per_minute)
        options |= {"limits": limits or own, "timeout_s": config.request_timeout}
        if config.structured_output != "auto":
            options["structured_output"] = config.structured_output
        given = {
            "base_url": model.base_url,
            "api_key_env": model.api_key_env,
            "extra_body": None if model.extra_body is None else parse_extra_body(model.extra_body),
        }
        options |= {name: value for name, value in given.items() if value is not None}
    return create_backend(model.framework, model_name=model.model_path, **options)


def parse_extra_body(text: str) -> dict[str, Any]:
    """
    Raises:
        ConfigError: the text is no JSON object.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--extra_body {text!r} is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(
            f'--extra_body {text!r} is no JSON object; give one, as in {{"reasoning_effort": "low"}}'
        )
    return fields
