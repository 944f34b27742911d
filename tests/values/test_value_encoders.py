"""Encoders: hashed words, the states of a real small model, and embeddings over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.values import Place
from hierarchical_reasoning.values.encoders import HashedWords, HiddenStates, ServedEmbeddings
from llm_backends import (
    ContextLengthError,
    Limits,
    MalformedReplyError,
    Message,
    ReplyCache,
    ServerError,
    create_backend,
)
from llm_backends.hosted.openai import OpenAIBackend
from llm_backends.hosted.together import TogetherBackend
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.local.loading import LoadedModel, load_model
from llm_backends.scripted_server import ScriptedServer
from llm_backends.scripted_server.embeddings import vector_of
from llm_backends.scripted_server.replies import Raw, Status, tokens_of


def place(*thoughts: str, text: str = "What is 3 * 4 + 5?") -> Place:
    return Place(Problem("a", text, None, None, {}), thoughts)


PLACES = [place(), place("3 * 4 = 12."), place("3 * 4 = 12.", "12 + 5 = 17."), place("Add 5 first.")]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(str(MODEL), dtype="float32", device="cpu")


async def no_wait(seconds: float) -> None:
    pass


async def test_hashed_words_know_problem_beginning_and_last_thought_apart() -> None:
    encoder = HashedWords()
    vectors = await encoder.encode(PLACES)
    assert vectors.dtype == np.float32
    assert len({row.tobytes() for row in vectors}) == len(PLACES)
    assert np.array_equal(vectors[1:2], await encoder.encode(PLACES[1:2]))
    swapped = await encoder.encode([place("12 + 5 = 17.", "3 * 4 = 12.")])
    assert not np.array_equal(swapped[0], vectors[2])


async def test_states_are_those_of_a_plain_forward_pass(model: LoadedModel) -> None:
    vectors = await HiddenStates(model).encode(PLACES)
    tokens = model.chat.prompt_ids([Message("user", PLACES[2].problem.text)])
    tokens += model.chat.text_ids("3 * 4 = 12.\n")
    last = model.chat.text_ids("12 + 5 = 17.\n")
    with torch.inference_mode():
        states = model.module.model(input_ids=torch.tensor([tokens + last])).last_hidden_state[0]
    expected = torch.cat([states[len(tokens) :].mean(dim=0), states[-1]]).numpy()
    np.testing.assert_allclose(vectors[2], expected, rtol=1e-4, atol=1e-4)


async def test_a_place_has_the_same_states_in_any_company(model: LoadedModel) -> None:
    together = await HiddenStates(model).encode(PLACES)
    for row, alone in zip(together, PLACES, strict=True):
        assert np.array_equal(row, (await HiddenStates(model).encode([alone]))[0])
    several = await HiddenStates(model, rows_at_once=3).encode(PLACES)
    np.testing.assert_allclose(several, together, rtol=1e-3, atol=1e-3)


async def test_a_trace_that_is_too_long_is_refused(model: LoadedModel) -> None:
    assert model.context_length is not None
    with pytest.raises(ContextLengthError, match=f"holds {model.context_length}"):
        await HiddenStates(model).encode([place("1 + 1 = 2. " * model.context_length)])


async def test_the_local_backend_lends_its_model() -> None:
    async with create_backend("local", model_name=str(MODEL), device="cpu", dtype="float32") as backend:
        vectors = await HiddenStates(backend.model).encode(PLACES[:1])  # type: ignore[attr-defined]
    assert vectors.shape == (1, 2 * 192)


@pytest.mark.parametrize("framework", [OpenAIBackend, TogetherBackend, VLLMBackend])
async def test_embeddings_come_over_http_once_a_text(
    framework: type[OpenAIBackend] | type[TogetherBackend] | type[VLLMBackend],
) -> None:
    with ScriptedServer() as server:
        async with framework("scripted", base_url=server.base_url) as backend:
            vectors = await ServedEmbeddings(backend).encode([*PLACES, PLACES[1], place(" ")])
    (call,) = server.calls
    assert len(call.body["input"]) == len(set(call.body["input"]))
    for row, one in zip(vectors, [*PLACES, PLACES[1]], strict=False):
        np.testing.assert_allclose(row[:16], vector_of("\n".join(one.texts)), atol=1e-6)
        np.testing.assert_allclose(row[16:], vector_of(one.texts[-1]), atol=1e-6)
    assert not vectors[-1, 16:].any()  # a blank text is not sent
    spent = backend.meter.by_role["value head"]
    assert spent.replies == 1
    assert spent.usage.prompt_tokens == sum(len(tokens_of(text)) for text in call.body["input"])


async def test_many_texts_go_in_several_calls_and_come_back_in_order() -> None:
    texts = [f"text {number}" for number in range(600)]
    with ScriptedServer() as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            vectors, spent = await backend.embed(texts, role="a test")
    assert len(server.calls) == spent.replies == 3
    np.testing.assert_allclose(vectors, [vector_of(text) for text in texts], atol=1e-6)


async def test_a_call_that_fails_is_made_again() -> None:
    with ScriptedServer(faults={0: Status(503), 1: Raw(b'{"data": []}')}) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url, sleep=no_wait) as backend:
            vectors, _ = await backend.embed(["a text"], role="a test")
    assert len(server.calls) == 3
    np.testing.assert_allclose(vectors, [vector_of("a text")], atol=1e-6)
    assert backend.meter.by_role["a test"].repeats == {"ServerError": 1, "MalformedReplyError": 1}


def items(*vectors: Sequence[object], start: int = 0) -> bytes:
    listed = [{"index": start + index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"data": listed}).encode()


@pytest.mark.parametrize(
    "body",
    [
        items([1.0]),
        items([1.0], [1.0, 2.0]),
        items([1.0], [2.0], start=1),
        items([1.0], ["x"]),
        items([1.0], []),
        items([1.0], [10**400]),
    ],
    ids=["one missing", "two lengths", "numbered wrongly", "no number", "empty", "too large"],
)
async def test_embeddings_that_are_not_as_the_protocol_says_are_refused(body: bytes) -> None:
    with ScriptedServer(faults={0: Raw(body)}) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url, max_retries=0) as backend:
            with pytest.raises(MalformedReplyError):
                await backend.embed(["one text", "another"], role="a test")


async def test_a_server_that_fails_is_an_error_not_a_value() -> None:
    with ScriptedServer(faults={0: Status(500)}) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url, max_retries=0) as backend:
            with pytest.raises(ServerError):
                await ServedEmbeddings(backend).encode(PLACES)


def test_encoders_are_light_to_import() -> None:
    import subprocess
    import sys

    code = (
        "import sys, hierarchical_reasoning.values, hierarchical_reasoning.values.encoders; "
        "print([name for name in ('torch', 'sklearn', 'numpy', 'transformers') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


async def test_two_calls_whose_vectors_differ_in_length_are_told() -> None:
    texts = [f"text {number}" for number in range(300)]
    with ScriptedServer(faults={1: Raw(items(*([[1.0, 2.0]] * 44)))}) as server:
        one_by_one = Limits(1)
        async with OpenAIBackend(
            "scripted", base_url=server.base_url, max_retries=0, limits=one_by_one
        ) as backend:
            with pytest.raises(
                MalformedReplyError, match=r"of 300 texts by 'scripted' have \[2, 16\] numbers"
            ):
                await backend.embed(texts, role="a test")


async def test_an_encoder_tells_of_vectors_that_are_not_as_long_as_before() -> None:
    with ScriptedServer(faults={1: Raw(items([1.0, 2.0], [3.0, 4.0]))}) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url, max_retries=0) as backend:
            encoder = ServedEmbeddings(backend)
            await encoder.encode(PLACES[1:2])
            with pytest.raises(
                MalformedReplyError,
                match=r"'scripted' have 2 numbers, and had 16 before; .*--embedding_model_name",
            ):
                await encoder.by(encoder._from_backend).encode(PLACES[3:4])


async def test_embeddings_are_kept_in_the_cache_of_replies_to_the_last_digit(tmp_path: Path) -> None:
    found = []
    with ScriptedServer() as server:
        for _ in range(2):
            cache = ReplyCache(tmp_path / "replies.sqlite")
            async with OpenAIBackend("scripted", base_url=server.base_url, cache=cache) as backend:
                found.append(await backend.embed(["one text", "another one"], role="a test"))
                assert backend.meter.by_role["a test"] == found[-1][1]
            cache.close()
        assert len(server.calls) == 1
    (first, paid), (second, kept) = found
    assert [list(vector) for vector in first] == [list(vector) for vector in second]
    assert (paid.replies, kept.replies, kept.cached_replies) == (1, 0, 1)
    assert kept.cached_usage == paid.usage
