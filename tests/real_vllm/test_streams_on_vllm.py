"""Streams of tokens, adaptive temperatures and trees on a real vLLM server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import torch

from hierarchical_reasoning.assets import MODEL, TRAIN_PROBLEMS
from hierarchical_reasoning.problems import read_problems
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.training.explorers import PRESETS, EntropyTreeExplorer, Origin
from llm_backends import BadRequestError
from llm_backends.hosted.token_sampler import VLLMTokenSampler
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.local.chat import ChatFormat
from llm_backends.local.sampling import temperature_factors
from llm_backends.token_streams import AdaptiveTemperature, StreamSettings
from llm_backends.vllm_server import plugins
from tests.real_vllm.conftest import Server

GREEDY = StreamSettings(temperature=0.0, n_top=20)
ALWAYS_UNSURE = AdaptiveTemperature(m=-1000.0, s=1.0, scale_pos=1.0, scale_neg=1.0, tau=0.5)


@dataclass(frozen=True)
class Both:
    """The same weights here and behind the server, both in float32."""

    served: VLLMTokenSampler
    here: LocalTokenSampler
    chat: ChatFormat
    prompt: tuple[int, ...]


@pytest.fixture
async def both(server: Server) -> AsyncIterator[Both]:
    problem = read_problems(TRAIN_PROBLEMS, n_rows=1).problems[0]
    async with (
        LocalBackend(str(MODEL), dtype="float32") as local,
        VLLMBackend(server.model, base_url=server.base_url) as served,
    ):
        chat = local._model.chat
        prompt = tuple(chat.prompt_ids(Prompts(answer_form="a number").vanilla(problem)))
        yield Both(
            VLLMTokenSampler(served, chat.eos_ids, context_length=4096),
            LocalTokenSampler(local),
            chat,
            prompt,
        )


@pytest.mark.parametrize("penalty", [1.0, 1.3])
async def test_it_draws_and_tells_what_this_process_does(both: Both, penalty: float) -> None:
    settings = replace(GREEDY, repetition_penalty=penalty)
    ours, theirs = [
        await sampler.draw(both.prompt, settings, seed=1, max_new_tokens=60)
        for sampler in (both.here, both.served)
    ]
    assert theirs.tokens == ours.tokens
    assert theirs.log_probs == pytest.approx(ours.log_probs, abs=1e-3)
    for our_top, their_top in zip(ours.top, theirs.top, strict=True):
        assert [p for _, p in their_top] == pytest.approx([p for _, p in our_top], abs=2e-3)


async def test_a_seed_draws_the_same_and_the_end_is_told(both: Both) -> None:
    first, again, other = [
        await both.served.draw(both.prompt, StreamSettings(n_top=2), seed=seed, max_new_tokens=400)
        for seed in (1, 1, 2)
    ]
    assert first.tokens == again.tokens != other.tokens
    assert first.ended
    assert first.tokens[-1] in both.chat.eos_ids
    assert len(first.tokens) == len(first.log_probs)
    cut = await both.served.draw(both.prompt, StreamSettings(), seed=1, max_new_tokens=5)
    assert cut.tokens == first.tokens[:5]
    assert not cut.ended


@pytest.mark.parametrize(("m", "factor"), [(-1000.0, 1.5), (1000.0, 0.5)])
async def test_where_the_adaptation_is_at_its_bound_it_is_another_temperature(
    both: Both, m: float, factor: float
) -> None:
    adapted = StreamSettings(temperature=0.8, repetition_penalty=1.1, adaptive=replace(ALWAYS_UNSURE, m=m))
    plain = StreamSettings(temperature=0.8 * factor, repetition_penalty=1.1)
    streams = await asyncio.gather(
        *(
            both.served.draw(both.prompt, settings, seed=seed, max_new_tokens=40)
            for settings in (adapted, plain, replace(plain, temperature=0.8))
            for seed in range(6)
        )
    )
    by_settings = [[stream.tokens for stream in streams[start : start + 6]] for start in (0, 6, 12)]
    assert sum(a == p for a, p in zip(*by_settings[:2], strict=True)) >= 5, "rounding may change one"
    assert by_settings[0] != by_settings[2]


async def test_numbers_that_cannot_be_are_refused(both: Both) -> None:
    with pytest.raises(BadRequestError, match="hr_adaptive_temperature"):
        await both.served._backend.post(
            "/completions",
            {"model": both.served._backend.model_name, "prompt": [5]}
            | {"vllm_xargs": {"hr_adaptive_temperature": [1, 1, 1, -1, 0.1]}},
        )


def test_the_processor_computes_what_this_process_does() -> None:
    logits = [[0.3, 2.0, -1.0, 1.0], [0.0] * 4, [9.0, -9.0, -9.0, -9.0], [1.0, 1.1, 0.0, -3.0]]
    numbers = [
        (0.0, 0.7, 0.4, 0.3, 0.5),
        (0.1, 2.0, 0.4, 0.3, 0.2),
        (-1.0, 0.5, 0.1, 0.1, 0.9),
        (0.3, 0.0, 1.0, 1.0, 0.5),
    ]
    code = f"""
import json, torch
from types import SimpleNamespace as Request
from hr_adaptive_temperature import AdaptiveTemperature, FIELD
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
logits, numbers = torch.tensor({logits}), {numbers}
processor = AdaptiveTemperature(None, torch.device("cpu"), False)
def request(row):
    extra = None if row is None else {{FIELD: list(numbers[row])}}
    return Request(extra_args=extra, presence_penalty=0, frequency_penalty=0)
def update(size, removed=(), added=(), moved=()):
    processor.update_state(BatchUpdate(size, removed, [(at, request(row), [], []) for at, row in added], moved))
    return processor.apply(logits[: size].clone()).tolist()
print(json.dumps([
    update(4, added=[(0, 0), (1, 1), (2, 2), (3, 3)]),
    update(3, removed=[3], moved=[(0, 1, MoveDirectionality.SWAP)]),
    update(3, added=[(1, None)]),
]))
"""
    environment = os.environ | {"PYTHONPATH": str(plugins.FOLDER), "VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [os.environ["HR_VLLM_PYTHON"], "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    adaptive = [AdaptiveTemperature(*each) for each in numbers]
    for changed, rows in zip(
        json.loads(done.stdout.splitlines()[-1]),
        (adaptive, [adaptive[1], adaptive[0], adaptive[2]], [adaptive[1], None, adaptive[2]]),
        strict=True,
    ):
        raw = torch.tensor(logits[: len(rows)])
        expected = raw.double() / torch.from_numpy(temperature_factors(raw, rows)).unsqueeze(1)
        torch.testing.assert_close(torch.tensor(changed).double(), expected, rtol=1e-4, atol=1e-5)


async def test_a_small_tree_grows(both: Both) -> None:
    preset = PRESETS["bundled"]
    explorer = EntropyTreeExplorer(both.served, both.chat, preset.sampling, preset.tree)
    found = await explorer.grow(Origin(0, 1, "p"), both.prompt)
    tree = found.tree
    assert len(tree.leaves()) >= 4
    assert found.growth.entropy_splits >= 1
    for node in tree.nodes.values():
        children = [tree.node(child) for child in tree.children(node.id)]
        if children:
            assert len({child.tokens[0] for child in children}) == len(children)
    leaf = tree.leaves()[0]
    assert "boxed" in both.chat.text(tree.path_tokens(leaf)[len(both.prompt) :])
