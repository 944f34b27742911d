"""Streams of tokens from a model in this process."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import BadRequestError, ContextLengthError
from llm_backends.local import LocalBackend, LocalTokenSampler
from llm_backends.local.sampling import penalized, temperature_factors
from llm_backends.token_streams import AdaptiveTemperature, StreamSettings, TokenStream

PROMPT = tuple(range(40, 60))
SETTINGS = StreamSettings(temperature=1.0, n_top=5)
ADAPTIVE = AdaptiveTemperature(m=0.5, s=0.7, scale_pos=0.4, scale_neg=0.3, tau=0.5)


async def test_a_stream_tells_its_tokens_and_how_likely_they_were(chat_model: Path) -> None:
    async with LocalBackend(chat_model, dtype="float32") as backend:
        sampler = LocalTokenSampler(backend)
        stream = await sampler.draw(PROMPT, SETTINGS, seed=3, max_new_tokens=30)
        model = backend._model.module
        with torch.inference_mode():
            ids = torch.tensor([[*PROMPT, *stream.tokens]])
            log_probs_TV = model(ids).logits[0, len(PROMPT) - 1 : -1].float().log_softmax(-1)
    assert len(stream.tokens) == len(stream.log_probs) == len(stream.top)
    assert stream.ended == (stream.tokens[-1] in sampler.end_ids)
    for log_probs_V, token, log_prob, top in zip(
        log_probs_TV, stream.tokens, stream.log_probs, stream.top, strict=True
    ):
        assert log_prob == pytest.approx(float(log_probs_V[token]), abs=1e-4)
        values, tokens = log_probs_V.topk(5)
        assert [each for each, _ in top] == tokens.tolist()
        assert [value for _, value in top] == pytest.approx(values.tolist(), abs=1e-4)


async def test_a_stream_does_not_depend_on_what_else_is_in_flight(chat_model: Path) -> None:
    settings = replace(SETTINGS, repetition_penalty=1.2, adaptive=ADAPTIVE, top_p=0.9)
    async with LocalBackend(chat_model, dtype="float32", max_batch_size=8) as backend:
        sampler = LocalTokenSampler(backend)

        async def draw(seed: int) -> TokenStream:
            return await sampler.draw(PROMPT, settings, seed=seed, max_new_tokens=25)

        alone = [await draw(seed) for seed in range(4)]
        others = [replace(SETTINGS, temperature=0.3), replace(settings, repetition_penalty=1.0)]
        crowd = [
            sampler.draw(PROMPT[:length], others[length % 2], seed=length, max_new_tokens=length)
            for length in range(1, 15)
        ]
        together = await asyncio.gather(*crowd, *(draw(seed) for seed in range(3, -1, -1)))
    assert list(together[:-5:-1]) == alone
    assert len({stream.tokens for stream in alone}) == 4


async def test_a_stream_goes_on_from_another_and_reuses_what_it_shares(endless_model: Path) -> None:
    async with LocalBackend(endless_model, dtype="float32") as backend:
        sampler = LocalTokenSampler(backend)
        first = await sampler.draw(PROMPT, SETTINGS, seed=1, max_new_tokens=40, name="first")
        prefix = (*PROMPT, *first.tokens[:20], 77)
        anew = await sampler.draw(prefix, SETTINGS, seed=2, max_new_tokens=20)
        fed: list[int] = []
        body = backend._model.body

        def counting(**inputs: Any) -> Any:
            fed.append(inputs["input_ids"].shape[1])
            return body(**inputs)

        object.__setattr__(backend._model, "body", counting)
        on = await sampler.draw(prefix, SETTINGS, seed=2, max_new_tokens=20, name="second", after="first")
    assert on.tokens == anew.tokens
    assert on.log_probs == pytest.approx(anew.log_probs, abs=1e-4)
    assert fed[0] == 16, "one token is new; passes are rounded up to 16"


async def test_other_weights_draw_otherwise(chat_model: Path) -> None:
    async with LocalBackend(chat_model, dtype="float32") as backend:
        sampler = LocalTokenSampler(backend)
        before = await sampler.draw(PROMPT, SETTINGS, seed=1, max_new_tokens=20, name="a")
        weights = {name: 1.5 * tensor for name, tensor in backend._model.module.state_dict().items()}
        backend.refresh(weights.items())
        after = await sampler.draw(PROMPT, SETTINGS, seed=1, max_new_tokens=20, name="b", after="a")
    assert after.top[0] != before.top[0]


async def test_what_does_not_fit_is_refused(chat_model: Path) -> None:
    async with LocalBackend(chat_model, dtype="float32") as backend:
        sampler = LocalTokenSampler(backend)
        assert sampler.context_length == 256
        with pytest.raises(
            ContextLengthError, match=r"20 tokens and a stream of up to 237 .* 256; .*--max_new_tokens"
        ):
            await sampler.draw(PROMPT, SETTINGS, seed=0, max_new_tokens=237)
        with pytest.raises(BadRequestError, match="max_new_tokens is 0"):
            await sampler.draw(PROMPT, SETTINGS, seed=0, max_new_tokens=0)
        with pytest.raises(BadRequestError, match="prefix of a stream is empty"):
            await sampler.draw((), SETTINGS, seed=0, max_new_tokens=5)


LOGITS = torch.tensor([[0.3, 2.0, -1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [9.0, -9.0, -9.0, -9.0]])


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    ids = torch.tensor([[1, 2, 2], [0, 0, 3], [0, 1, 1]])
    seen = np.zeros((3, 4), dtype=np.bool_)
    for row, tokens in enumerate(ids.tolist()):
        seen[row, tokens] = True
    for penalty in (1.0, 1.3, 0.7):
        theirs = transformers.RepetitionPenaltyLogitsProcessor(penalty)(ids, LOGITS.clone())
        assert torch.equal(penalized(LOGITS, seen, np.full(3, penalty)), theirs)
    mixed = penalized(LOGITS, seen, np.array([1.0, 2.0, 1.0]))
    assert torch.equal(mixed[[0, 2]], LOGITS[[0, 2]])


async def test_the_penalty_holds_for_prompt_and_text(endless_model: Path) -> None:
    async with LocalBackend(endless_model, dtype="float32") as backend:
        sampler = LocalTokenSampler(backend)
        greedy = StreamSettings(temperature=0.0, repetition_penalty=1e6)
        stream = await sampler.draw(PROMPT, greedy, seed=0, max_new_tokens=100)
        plain = await sampler.draw(
            PROMPT, replace(greedy, repetition_penalty=1.0), seed=0, max_new_tokens=100
        )
    assert len({*PROMPT, *stream.tokens}) == len(PROMPT) + 100, "nothing comes twice"
    assert len(set(plain.tokens)) < 100


def plain_factor(logits: list[float], adaptive: AdaptiveTemperature) -> float:
    """As HAPO's formula reads, with plain floats."""
    most = max(logits)
    weights = [math.exp(logit - most) for logit in logits]
    probabilities = [weight / sum(weights) for weight in weights]
    entropy = -sum(p * math.log(p) for p in probabilities if p > 0)
    if adaptive.s == 0:
        return 1.0
    h = (math.log(max(entropy, 1e-6)) - adaptive.m) / adaptive.s
    h_hat = h * (adaptive.scale_pos if h > 0 else adaptive.scale_neg)
    return 1 + adaptive.tau * min(1.0, max(-1.0, h_hat))


NUMBERS = st.builds(
    AdaptiveTemperature,
    m=st.floats(-5, 2),
    s=st.just(0.0) | st.floats(0.1, 3),
    scale_pos=st.floats(0, 2),
    scale_neg=st.floats(0, 2),
    tau=st.floats(0, 0.9),
)


@given(st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12), NUMBERS)
def test_the_temperature_adapts_as_the_formula_says(
    logits: list[float], adaptive: AdaptiveTemperature
) -> None:
    rows = torch.tensor([logits, logits])
    factors = temperature_factors(rows, [None, adaptive])
    assert factors[0] == 1.0
    assert factors[1] == pytest.approx(plain_factor(logits, adaptive), abs=2e-4)


def test_it_warms_where_the_model_is_unsure_and_cools_where_it_is_sure() -> None:
    sure, unsure = temperature_factors(LOGITS[[2, 1]], [replace(ADAPTIVE, m=0.0)] * 2)
    assert 1 - ADAPTIVE.tau <= sure < 1 < unsure <= 1 + ADAPTIVE.tau


async def test_an_adapted_temperature_changes_what_is_drawn(endless_model: Path) -> None:
    async with LocalBackend(endless_model, dtype="float32") as backend:
        sampler = LocalTokenSampler(backend)
        streams = {
            (
                await sampler.draw(PROMPT, replace(SETTINGS, adaptive=adaptive), seed=1, max_new_tokens=60)
            ).tokens
            for adaptive in (
                None,
                replace(ADAPTIVE, tau=0.0),
                replace(ADAPTIVE, tau=0.9, m=-5.0, scale_pos=9.0),
            )
        }
    assert len(streams) == 2, "with tau 0 nothing changes"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("temperature", -1.0, "0 or more"),
        ("temperature", math.nan, "0 or more"),
        ("top_p", 0.0, r"\(0, 1\]"),
        ("top_k", -1, "0 .* or more"),
        ("repetition_penalty", 0.0, "more than 0"),
        ("repetition_penalty", math.inf, "finite"),
        ("n_top", -1, "0 or more"),
    ],
)
def test_settings_that_cannot_be_say_what_is_allowed(name: str, value: float, allowed: str) -> None:
    with pytest.raises(BadRequestError, match=f"{name} is {value}; .*{allowed}"):
        StreamSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"), [("m", math.inf), ("s", -1.0), ("scale_pos", math.nan), ("tau", 1.0)]
)
def test_numbers_of_a_batch_are_checked(name: str, value: float) -> None:
    with pytest.raises(BadRequestError, match=f"{name}.* is {value}; it must"):
        replace(ADAPTIVE, **{name: value})
