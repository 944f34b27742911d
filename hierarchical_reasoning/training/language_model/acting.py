"""The copy of the model in training that acts: where the tokens of rollouts come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import torch

from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.language_model.vllm_sampling import ServedActingModel
from hierarchical_reasoning.training.language_model.vllm_weights import GivenServer, OwnServer, backend_for
from hierarchical_reasoning.training.language_model.weights_probe import weights_probe
from hierarchical_reasoning.training.loading import Weights
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from llm_backends import Backend
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.local.loading import LoadedModel
from llm_backends.token_streams import TokenSampler
from llm_backends.vllm_server import ServerOptions, StartProgress, parse_gpus
from llm_backends.vllm_server.plugins import ADAPTIVE_TEMPERATURE

OnServer = Callable[[StartProgress], None]
"""Is told of a server on its way to being ready."""
_TOLD_BY_VLLM = 20
"""Alternatives that a server tells at most, unless it is started for more."""


class ActingModel(TokenSampler, Protocol):
    """Draws streams, and chooses, by the weights that it was given last."""

    @property
    def notes(self) -> list[str]:
        """What was done otherwise than asked; grows."""

    @property
    def chooser(self) -> Backend:
        """The same weights, asked to choose. Once `ready`."""

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Act with these weights from now on. For between draws."""

    async def ready(self) -> None:
        """Wait until it acts with the weights of the last `refresh`. To be called before draws.

        Raises:
            BackendError: it cannot.
        """

    async def aclose(self) -> None: ...


class LocalActingModel(LocalTokenSampler):
    """In this process."""

    def __init__(self, backend: LocalBackend) -> None:
        super().__init__(backend)
        self.notes: list[str] = []
        self.chooser = backend

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        self.chooser.refresh(weights)

    async def ready(self) -> None:
        """It always is."""

    async def aclose(self) -> None:
        await self.chooser.aclose()


def acting_model(
    config: LanguageModelConfig,
    weights: Weights,
    model: LoadedModel,
    packed: PackedModel,
    prompt: Sequence[int],
    on_server: OnServer,
) -> ActingModel:
    """
    Args:
        model: the one in training, and `packed` its forward passes.
        prompt: one of the run's, by which weights are told apart.

    Raises:
        BackendError: the model cannot be loaded.
    """
    if config.framework == "local":
        backend = LocalBackend(
            weights.acting,
            dtype=weights.acting_dtype,
            device=weights.acting_device,
            model_flag=weights.acting_flag,
            max_batch_size=min(config.max_concurrency, 64),
        )
        return LocalActingModel(backend)
    connect = backend_for(config)
    if config.vllm_auto_start:
        server: GivenServer | OwnServer = OwnServer(
            _server_options(config, weights, model.context_length), connect, on_server
        )
    else:
        server = GivenServer(config, connect)
    return ServedActingModel(
        server, model, partial(weights_probe, packed, prompt), config.output_dir / "acting_model"
    )


def _server_options(
    config: LanguageModelConfig, weights: Weights, context_length: int | None
) -> ServerOptions:
    longest = config.max_length
    if longest is not None and context_length is not None:
        longest = min(longest, context_length)
    arguments = ["--enable-prefix-caching", "--max-logprobs", str(max(_TOLD_BY_VLLM, config.entropy_topk))]
    if config.adaptive_temperature:
        arguments += ["--logits-processors", ADAPTIVE_TEMPERATURE]
    return ServerOptions(
        gpus=None if config.vllm_gpus is None else parse_gpus(config.vllm_gpus),
        max_model_len=longest,
        dtype=weights.acting_dtype,
        gpu_memory_utilization=config.gpu_memory_utilization,
        served_model_name=config.model_id,
        takes_weights=True,
        arguments=tuple(arguments),
        log_dir=config.output_dir / "vllm_logs",
    )
