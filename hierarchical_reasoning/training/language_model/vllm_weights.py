"""How a vLLM server comes by new weights: one that the user started takes them while it runs; one of ours does so too,
or is started anew with them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from llm_backends import Limits, UnsupportedError
from llm_backends.hosted.token_sampler import Probe, VLLMTokenSampler
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.vllm_server import RunningServer, ServerOptions, StartProgress, own_server
from llm_backends.vllm_server.hardware import this_machine

Connect: TypeAlias = "Callable[[str, str | None], VLLMBackend]"
"""From the name of a model and the address of its server; None: the usual address."""


@dataclass(frozen=True)
class Serving:
    """A server with the weights that it took last."""

    backend: VLLMBackend
    sampler: VLLMTokenSampler


def backend_for(config: LanguageModelConfig) -> Connect:
    """Backends whose calls are limited as the run's are."""

    def connect(name: str, base_url: str | None) -> VLLMBackend:
        return VLLMBackend(
            name,
            base_url=base_url,
            limits=Limits(config.max_concurrency, config.requests_per_minute),
            timeout_s=config.request_timeout,
            max_retries=config.max_retries,
        )

    return connect


class GivenServer:
    """One that the user started, and that stays."""

    def __init__(self, config: LanguageModelConfig, connect: Connect) -> None:
        self._config = config
        self._connect = connect
        self._serving: Serving | None = None
        self.notes: list[str] = []

    async def take(self, folder: Path, probe: Probe, end_ids: frozenset[int]) -> Serving:
        """Have it draw from the weights in a folder, which `probe` is of.

        Raises:
            ConfigError: it serves several models, and none by the name of the one in training.
            UnsupportedError: it takes no weights, or does not draw from them; or does not adapt temperatures.
            BackendError: it is out of reach, or fails.
        """
        if self._serving is None:
            backend = self._connect(await self._served_name(), self._config.vllm_base_url)
            self._serving = await _serving(backend, end_ids)
            if self._config.adaptive_temperature:
                await self._serving.sampler.check_adapts()
        await self._serving.sampler.refresh(folder, probe)
        return self._serving

    def check_runs(self) -> None:
        """Whether it does is the user's affair."""

    async def aclose(self) -> None:
        if self._serving is not None:
            await self._serving.backend.aclose()

    async def _served_name(self) -> str:
        """The model in training, or its only model, whatever that is called: it gets the weights in training."""
        wanted = self._config.trained_path
        asking = self._connect(wanted, self._config.vllm_base_url)
        try:
            names = await asking.list_models()
        finally:
            await asking.aclose()
        if wanted in names:
            return wanted
        if len(names) == 1:
            return names[0]
        raise ConfigError(
            f"the vLLM server at {asking.base_url} serves {', '.join(map(repr, names)) or 'no model'}, and which of "
            f"them is --model_id {self._config.model_id} is not known; start it with --served-model-name {wanted}"
        )


class OwnServer:
    """One that is started for the run, and stopped with it."""

    def __init__(
        self, options: ServerOptions, connect: Connect, on_progress: Callable[[StartProgress], None]
    ) -> None:
        self._options = options
        self._connect = connect
        self._on_progress = on_progress
        self._server: RunningServer | None = None
        self._serving: Serving | None = None
        self._reloads = True
        self.notes: list[str] = []

    async def take(self, folder: Path, probe: Probe, end_ids: frozenset[int]) -> Serving:
        """As `GivenServer.take`; where it does not draw from new weights, it is started anew with them.

        Raises:
            BackendError: it cannot be started, or fails.
        """
        if self._serving is not None and self._reloads:
            try:
                await self._serving.sampler.refresh(folder, probe)
            except UnsupportedError as error:
                self._start_anew_from_now_on(str(error))
            else:
                return self._serving
        return await self._started(folder, probe, end_ids)

    def check_runs(self) -> None:
        """
        Raises:
            EngineDiedError: it has ended by itself.
        """
        if self._server is not None:
            self._server.check_runs()

    async def aclose(self) -> None:
        """Stop it."""
        serving, self._serving = self._serving, None
        if serving is not None:
            await serving.backend.aclose()
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    async def _started(self, folder: Path, probe: Probe, end_ids: frozenset[int]) -> Serving:
        await self.aclose()
        hardware = await asyncio.to_thread(this_machine)
        if self._options.port is None:
            self._options = replace(self._options, port=_any_port())
        options = self._options
        if not hardware.gpus:
            # What is compiled for a start would hardly be used before the next one.
            options = replace(options, arguments=(*options.arguments, "--enforce-eager"))
        self._server = await own_server(str(folder), options, self._on_progress, hardware=hardware)
        if not self._server.record.gpus and self._reloads:
            self._start_anew_from_now_on("on a CPU, vLLM keeps copies of weights that it does not refresh")
        self._serving = await _serving(self._connect(self._server.model, self._server.base_url), end_ids)
        await self._serving.sampler.check_weights(probe)
        return self._serving

    def _start_anew_from_now_on(self, why: str) -> None:
        self._reloads = False
        self.notes.append(f"the vLLM server is started anew for each update: {why}")


def _any_port() -> int:
    """By the system's choice: a minute goes by until a server listens, and those of others begin at 8000 too."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


async def _serving(backend: VLLMBackend, end_ids: frozenset[int]) -> Serving:
    await backend.check_model()
    return Serving(backend, VLLMTokenSampler(backend, end_ids, context_length=backend.context_length))
