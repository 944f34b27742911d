"""Streams of tokens from a vLLM server: what is asked, how the answer is read, how weights are refreshed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from completions_server import CompletionsServer, choice, running
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import ContextLengthError, MalformedReplyError, ServerError, UnsupportedError
from llm_backends.hosted.token_sampler import Probe, VLLMTokenSampler, read_stream
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.token_streams import AdaptiveTemperature, StreamSettings
from llm_backends.vllm_server import plugins

PROMPT = (7, 8)
PROBE = Probe(PROMPT, ((5, -0.7), (99, -0.8)))
ADAPTIVE = StreamSettings(adaptive=AdaptiveTemperature(0.5, 0.7, 0.4, 0.3, tau=0.05))


async def no_wait(seconds: float) -> None:
    return


def sampler_on(server: CompletionsServer, **options: Any) -> VLLMTokenSampler:
    backend = VLLMBackend("m", base_url=server.base_url, sleep=no_wait, **options)
    return VLLMTokenSampler(backend, frozenset({1, 2}), context_length=50)


async def test_tokens_are_asked_for_by_their_ids_and_told_so() -> None:
    with running(CompletionsServer()) as server:
        settings = StreamSettings(temperature=0.6, top_p=0.85, top_k=25, repetition_penalty=1.1, n_top=1)
        stream = await sampler_on(server).draw(PROMPT, settings, seed=2**63 - 1, max_new_tokens=9)
    assert stream.tokens == (5, 6, 1)
    assert stream.log_probs == (-0.7,) * 3
    assert stream.top == (((5, -0.7),), ((6, -0.7),), ((1, -0.7),))
    assert stream.ended
    ((path, body),) = server.calls
    assert path == "/v1/completions"
    assert body == {
        "model": "m",
        "prompt": [7, 8],
        "max_tokens": 9,
        "temperature": 0.6,
        "top_p": 0.85,
        "top_k": 25,
        "min_p": 0.0,
        "repetition_penalty": 1.1,
        "seed": 2**63 - 1,
        "stop_token_ids": [1, 2],
        "logprobs": 1,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "add_special_tokens": False,
    }


async def test_what_is_cut_off_has_not_ended() -> None:
    with running(CompletionsServer({"choices": [choice([5], "length")]})) as server:
        stream = await sampler_on(server).draw(PROMPT, StreamSettings(), seed=0, max_new_tokens=1)
        assert not stream.ended
        with pytest.raises(ContextLengthError):
            await sampler_on(server).draw(PROMPT, StreamSettings(), seed=0, max_new_tokens=49)


async def test_a_server_that_fails_for_a_while_is_asked_again() -> None:
    with running(CompletionsServer(failures=3)) as server:
        stream = await sampler_on(server).draw(PROMPT, StreamSettings(), seed=0, max_new_tokens=9)
        assert stream.ended
        assert len(server.calls) == 4
        server.failures = 2
        with pytest.raises(ServerError, match="overloaded"):
            await sampler_on(server, max_retries=1).draw(PROMPT, StreamSettings(), seed=0, max_new_tokens=9)


async def test_the_five_numbers_go_along_once_the_server_is_known_to_use_them() -> None:
    with running(CompletionsServer()) as server:
        sampler = sampler_on(server)
        for _ in range(2):
            await sampler.draw(PROMPT, ADAPTIVE, seed=0, max_new_tokens=9)
        sent = [body.get("vllm_xargs") for _, body in server.calls]
    numbers = {"hr_adaptive_temperature": [0.5, 0.7, 0.4, 0.3, 0.05]}
    assert sent == [{"hr_adaptive_temperature": "?"}, numbers, numbers]


async def test_a_server_that_would_ignore_them_is_an_error() -> None:
    with running(CompletionsServer(adapts=False)) as server:
        with pytest.raises(
            UnsupportedError, match="--logits-processors hr_adaptive_temperature:AdaptiveTemperature"
        ):
            await sampler_on(server).draw(PROMPT, ADAPTIVE, seed=0, max_new_tokens=9)
        assert (await sampler_on(server).draw(PROMPT, StreamSettings(), seed=0, max_new_tokens=9)).ended


async def test_weights_are_refreshed_while_nothing_runs_and_then_checked(tmp_path: Path) -> None:
    with running(CompletionsServer()) as server:
        await sampler_on(server).refresh(tmp_path, PROBE)
    assert [path for path, _ in server.calls] == [
        "/pause?mode=wait",
        "/collective_rpc",
        "/reset_prefix_cache",
        "/resume",
        "/v1/completions",
    ]
    assert server.calls[1][1] == {"method": "reload_weights", "kwargs": {"weights_path": str(tmp_path)}}


async def test_weights_that_the_server_did_not_take_are_noticed(tmp_path: Path) -> None:
    with running(CompletionsServer()) as server:
        sampler = sampler_on(server)
        with pytest.raises(UnsupportedError, match=r"differs by 0\.3.*start it anew"):
            await sampler.refresh(tmp_path, Probe(PROMPT, ((5, -0.4),)))
        with pytest.raises(UnsupportedError, match="differs by inf"):
            await sampler.refresh(tmp_path, Probe(PROMPT, ((12, -0.4),)))
        await sampler.refresh(tmp_path, Probe(PROMPT, ((5, -0.4),), tolerance=0.31))


async def test_a_server_that_cannot_be_refreshed_says_how_it_could(tmp_path: Path) -> None:
    with running(CompletionsServer(develops=False)) as server:
        with pytest.raises(UnsupportedError, match="VLLM_SERVER_DEV_MODE=1"):
            await sampler_on(server).refresh(tmp_path, PROBE)
        server.develops, server.forgets = True, False
        with pytest.raises(MalformedReplyError, match="did not forget"):
            await sampler_on(server).refresh(tmp_path, PROBE)
        assert server.calls[-1][0] == "/resume"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    JSON,
    st.sampled_from(
        ["", "choices", "finish_reason", "token_ids", "logprobs", "token_logprobs", "top_logprobs"]
    ),
)
def test_whatever_else_comes_is_malformed_or_right(value: Any, place: str) -> None:
    reply: Any = {"choices": [choice([5, 6])]}
    for part in (reply, reply["choices"][0], reply["choices"][0]["logprobs"]):
        if place in part:
            part[place] = value
    try:
        stream = read_stream(reply if place else value, n_top=2)
    except MalformedReplyError:
        return
    assert len(stream.tokens) == len(stream.log_probs) == len(stream.top)
    assert all(len(top) == 2 for top in stream.top)
    assert json.dumps(stream.log_probs, allow_nan=False)


@pytest.mark.parametrize(
    "top", [{"a": -1.0, "token_id:2": -2.0}, {"token_id:2": -2.0}, {"token_id:1": None, "token_id:2": -1}]
)
def test_alternatives_must_be_told_by_id_and_in_number(top: dict[str, Any]) -> None:
    told = choice([5])
    told["logprobs"]["top_logprobs"] = [top]
    with pytest.raises(MalformedReplyError):
        read_stream({"choices": [told]}, n_top=2)


def test_the_plugin_stands_alone() -> None:
    module, _, name = plugins.ADAPTIVE_TEMPERATURE.partition(":")
    source = (plugins.FOLDER / f"{module}.py").read_text()
    assert f"class {name}(" in source
    assert f'FIELD = "{plugins.ADAPTIVE_TEMPERATURE_FIELD}"' in source
    assert "llm_backends" not in source, "vLLM's environment need not have this package"
