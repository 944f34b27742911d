"""Other weights on a real vLLM server: it takes them, or it is noticed that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hierarchical_reasoning.assets import MODEL
from llm_backends import Message, UnsupportedError
from llm_backends.hosted.token_sampler import Probe, VLLMTokenSampler
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.token_streams import StreamSettings
from tests.real_vllm.conftest import Server

GREEDY = StreamSettings(temperature=0.0, n_top=20)
CLOSE = 0.01


def perturbed(backend: LocalBackend, seed: int) -> dict[str, torch.Tensor]:
    """Its weights with noise; those under two names stay one."""
    torch.manual_seed(seed)
    found: dict[int, torch.Tensor] = {}
    weights = backend._model.module.state_dict()
    for tensor in weights.values():
        noise = 0.1 * tensor.std() * torch.randn_like(tensor)
        found.setdefault(tensor.data_ptr(), tensor + noise)
    return {name: found[tensor.data_ptr()] for name, tensor in weights.items()}


async def test_the_server_is_never_trusted_with_weights_it_does_not_have(
    spare_server: Server, tmp_path: Path
) -> None:
    async with (
        LocalBackend(str(MODEL), dtype="float32") as local,
        VLLMBackend(spare_server.model, base_url=spare_server.base_url) as backend,
    ):
        here = LocalTokenSampler(local)
        served = VLLMTokenSampler(backend, local.end_ids)
        prompt = tuple(local._model.chat.prompt_ids((Message("user", "What is 12 + 30?"),)))
        for seed in range(2):
            weights = perturbed(local, seed)
            folder = tmp_path / str(seed)
            local._model.save(folder, weights)
            local.refresh(weights.items())
            ours = await here.draw(prompt, GREEDY, seed=1, max_new_tokens=30)
            try:
                await served.refresh(folder, Probe(prompt, ours.top[0], tolerance=CLOSE))
            except UnsupportedError as error:
                pytest.skip(f"this vLLM takes no other weights on this machine: {error}")
            theirs = await served.draw(prompt, GREEDY, seed=1, max_new_tokens=30)
            assert theirs.log_probs[0] == pytest.approx(ours.log_probs[0], abs=CLOSE)
            assert theirs.tokens == ours.tokens
