"""A vLLM server that acts with the weights in training.

Before rollouts the weights are written as a model folder, one that takes the place of the last, and the server reads
them from there. The trainer's own forward passes say how likely tokens were in training; what the server says of them
is kept beside, and compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.training.checkpoints import write_folder
from hierarchical_reasoning.training.language_model.vllm_weights import GivenServer, OwnServer, Serving
from llm_backends import Backend, TransientError
from llm_backends.hosted.token_sampler import Probe
from llm_backends.local.loading import LoadedModel
from llm_backends.token_streams import StreamSettings, TokenStream


class ServedActingModel:
    """An `ActingModel` behind a server."""

    def __init__(
        self,
        server: GivenServer | OwnServer,
        model: LoadedModel,
        probe: Callable[[], Probe],
        folder: Path,
    ) -> None:
        """
        Args:
            model: the one in training: its end tokens, its context, and how its folders are written.
            probe: of the weights in training as they are when it is called.
            folder: where they are written; removed at the end. The server must be able to read it.
        """
        self._server = server
        self._model = model
        self._probe_of_weights = probe
        self._folder = folder
        self._digest = b""
        self._probe: Probe | None = None
        """Of the weights in the folder, until the server has them."""
        self._taking: asyncio.Task[Serving] | None = None
        self._serving: Serving | None = None

    @property
    def notes(self) -> list[str]:
        return self._server.notes

    @property
    def end_ids(self) -> frozenset[int]:
        return self._model.chat.eos_ids

    @property
    def context_length(self) -> int | None:
        """The shorter one of the model's and the server's."""
        served = None if self._serving is None else self._serving.sampler.context_length
        known = [length for length in (self._model.context_length, served) if length is not None]
        return min(known, default=None)

    @property
    def chooser(self) -> Backend:
        assert self._serving is not None, "asked before it was ready"
        return self._serving.backend

    async def draw(
        self,
        prefix: Sequence[int],
        settings: StreamSettings,
        *,
        seed: int,
        max_new_tokens: int,
        name: str | None = None,
        after: str | None = None,
    ) -> TokenStream:
        """As `TokenSampler.draw`.

        Raises:
            EngineDiedError: the server was ours, and has ended; with the end of its log.
        """
        assert self._serving is not None, "asked before it was ready"
        with self._told_if_it_died():
            return await self._serving.sampler.draw(
                prefix, settings, seed=seed, max_new_tokens=max_new_tokens, name=name, after=after
            )

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Write them, where they are not those that were written last.

        Raises:
            OutputError: they cannot be written.
        """
        whole = {name: tensor.detach().cpu() for name, tensor in weights}
        digest = _digest(whole)
        if digest == self._digest:
            return
        for left in (self._folder, *self._folder.parent.glob(f".{self._folder.name}.*")):
            shutil.rmtree(left, ignore_errors=True)
        try:
            write_folder(self._folder, lambda folder: self._model.save(folder, whole))
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"the weights for the vLLM server cannot be written to {self._folder} ({reason}); make room, then go "
                "on with --resume, or choose another --output_dir"
            ) from error
        self._digest, self._probe = digest, self._probe_of_weights()

    async def ready(self) -> None:
        if self._probe is None:
            return
        # A task of its own: where the run is interrupted, `aclose` ends it, and with it what it starts.
        self._taking = asyncio.create_task(self._server.take(self._folder, self._probe, self.end_ids))
        with self._told_if_it_died():
            self._serving = await asyncio.shield(self._taking)
        self._probe = None

    async def aclose(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        await self._server.aclose()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    @contextmanager
    def _told_if_it_died(self) -> Iterator[None]:
        try:
            yield
        except TransientError:
            self._server.check_runs()
            raise


def _digest(weights: Mapping[str, torch.Tensor]) -> bytes:
    found = hashlib.blake2b()
    for name, tensor in weights.items():
        found.update(name.encode())
        found.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.digest()
