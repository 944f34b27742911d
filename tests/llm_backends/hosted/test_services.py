"""What is particular to one service."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llm_backends import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    FinishReason,
    Message,
    ModelNotFoundError,
    Request,
    Sampling,
    TokenLogprob,
    UnsupportedError,
)
from llm_backends.hosted.anthropic import AnthropicBackend, read_message
from llm_backends.hosted.json_schemas import closed_schema
from llm_backends.hosted.openai import OpenAIBackend
from llm_backends.hosted.parameters import refused_parameter
from llm_backends.hosted.sdk_errors import Refusal
from llm_backends.hosted.together import TogetherBackend
from llm_backends.hosted.vllm import VLLMBackend, room_left
from llm_backends.scripted_server import Answer, Call, Reply, ScriptedServer, Status, choice_text

_ASK = Request((Message("user", "Go or Stay?"),), Sampling(max_tokens=8))
_CHOOSE = Request(_ASK.messages, _ASK.sampling, choices=("Go", "Stay"))


def token(text: str, **probabilities: float) -> TokenLogprob:
    top = tuple((name, math.log(p)) for name, p in probabilities.items())
    return TokenLogprob(text, math.log(probabilities.get(text, 1.0)), top or ((text, 0.0),))


# vLLM


async def test_vllm_constrains_choices_and_tells_their_probabilities() -> None:
    reply = Reply("Go", logprobs=[token("Go", Go=0.3, Stay=0.1, x=0.6), token("<|im_end|>")])
    with ScriptedServer(lambda call: reply, dialect="vllm") as server:
        async with VLLMBackend("scripted", base_url=server.base_url) as backend:
            completion = await backend.complete(_CHOOSE)
    assert server.calls[0].body["structured_outputs"] == {"choice": ["Go", "Stay"]}
    assert completion.choice_probabilities == pytest.approx({"Go": 0.75, "Stay": 0.25})
    assert completion.token_logprobs is None


async def test_vllm_models() -> None:
    with ScriptedServer(dialect="vllm", models=["base", "lora"], max_model_len=100) as server:
        async with VLLMBackend("lora", base_url=server.base_url) as backend:
            assert backend.context_length is None
            await backend.complete(_ASK)
            assert backend.context_length == 100
        async with VLLMBackend("other", base_url=server.base_url) as backend:
            with pytest.raises(ModelNotFoundError, match="'base', 'lora'"):
                await backend.complete(_ASK)
    assert len(server.calls) == 1


async def test_vllm_cuts_a_reply_at_the_end_of_the_context() -> None:
    with ScriptedServer(lambda call: "word " * 60, dialect="vllm", max_model_len=50) as server:
        async with VLLMBackend("scripted", base_url=server.base_url) as backend:
            completion = await backend.complete(Request(_ASK.messages, Sampling(max_tokens=4000)))
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.usage.prompt_tokens + completion.usage.completion_tokens == 50
    assert server.calls[0].body["max_tokens"] == 50
    assert len(server.calls) == 1


async def test_a_vllm_that_does_not_cut_is_asked_for_what_is_left() -> None:
    def reply(call: Call) -> Answer:
        if call.body["max_tokens"] > 40:
            return Status(
                400,
                "'max_tokens' or 'max_completion_tokens' is too large: 60. This model's maximum context length is 100 "
                "tokens and your request has 60 input tokens (60 > 100 - 60).",
            )
        return Reply("cut", finish_reason="length", prompt_tokens=60, completion_tokens=40)

    with ScriptedServer(reply, dialect="vllm", max_model_len=100) as server:
        async with VLLMBackend("scripted", base_url=server.base_url) as backend:
            completion = await backend.complete(Request(_ASK.messages, Sampling(max_tokens=60)))
    assert completion.finish_reason is FinishReason.LENGTH
    assert [call.body["max_tokens"] for call in server.calls] == [60, 40]
    assert completion.token_limit == 40
    assert completion.spent.replies == 1


def test_vllm_is_known_by_the_files_of_a_model_directory(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()

    def identity(port: int) -> dict[str, object]:
        return dict(VLLMBackend(str(folder), base_url=f"http://127.0.0.1:{port}/v1").cache_identity())

    assert identity(8000) != identity(8001), "nothing is known of the weights"
    (folder / "model.safetensors").write_bytes(b"one")
    first = identity(8000)
    assert identity(8001) == first
    assert "8000" not in repr(first)
    (folder / "model.safetensors").write_bytes(b"two")
    assert identity(8000) != first
    elsewhere = VLLMBackend("org/model", base_url="http://127.0.0.1:8000/v1").cache_identity()
    assert elsewhere["base_url"] == "http://127.0.0.1:8000/v1"


async def test_vllm_may_be_asked_in_words() -> None:
    with ScriptedServer(lambda call: "I choose Stay.", dialect="vllm") as server:
        backend = VLLMBackend("scripted", base_url=server.base_url, structured_output="words")
        async with backend:
            assert (await backend.complete(_CHOOSE)).text == "Stay"
    assert "structured_outputs" not in server.calls[0].body
    for mode in ("auto", "json_schema"):
        assert VLLMBackend("m", structured_output=mode).structured_output == "json_schema"
    wrong: Any = "json"
    with pytest.raises(BadRequestError, match="structured_output is 'json'"):
        VLLMBackend("m", structured_output=wrong)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("max_tokens=500 cannot be greater than max_model_len=256. Please request fewer output tokens.", 256),
        (
            "This model's maximum context length is 256 tokens. However, you requested 300 output tokens and your "
            "prompt contains at least 10 input tokens, for a total of at least 310 tokens.",
            246,
        ),
        (
            "This model's maximum context length is 256 tokens. However, you requested 310 tokens (10 in the "
            "messages, 300 in the completion).",
            246,
        ),
        (
            "This model's maximum context length is 256 tokens. However, your prompt contains 300 input tokens, "
            "which exceeds this limit even without any output tokens.",
            -44,
        ),
        ("temperature must be non-negative, got -1.0", None),
    ],
)
def test_what_vllm_leaves_room_for(message: str, expected: int | None) -> None:
    assert room_left(Refusal(400, message)) == expected


async def test_a_prompt_that_fills_the_context() -> None:
    with ScriptedServer(dialect="vllm", max_model_len=3) as server:
        async with VLLMBackend("scripted", base_url=server.base_url) as backend:
            with pytest.raises(ContextLengthError):
                await backend.complete(_ASK)


async def test_top_k() -> None:
    asked = Request(_ASK.messages, Sampling(top_k=5))
    for kind in (VLLMBackend, TogetherBackend):
        with ScriptedServer(dialect="vllm") as server:
            async with kind("scripted", base_url=server.base_url) as backend:
                await backend.complete(asked)
            assert server.calls[0].body["top_k"] == 5
    with ScriptedServer() as server:
        for kind in (OpenAIBackend, AnthropicBackend):
            async with kind("scripted", base_url=server.base_url) as backend:
                with pytest.raises(UnsupportedError, match="top_k"):
                    await backend.complete(asked)


# OpenAI


def test_openai_itself_takes_another_name_for_max_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    assert "max_completion_tokens" in OpenAIBackend("m")._body(_ASK)
    assert "max_completion_tokens" in OpenAIBackend("m", base_url="https://eu.api.openai.com/v1")._body(_ASK)
    assert "max_tokens" in OpenAIBackend("m", base_url="https://notopenai.com/v1")._body(_ASK)


async def test_the_names_of_max_tokens_are_swapped() -> None:
    def reply(call: Call) -> Answer:
        if "max_tokens" in call.body:
            return Status(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                "instead.",
                "unsupported_parameter",
                "max_tokens",
            )
        return "text"

    with ScriptedServer(reply) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            for _ in range(2):
                await backend.complete(_ASK)
            assert not backend.notes
    assert [call.body.get("max_completion_tokens") for call in server.calls] == [None, 8, 8]


async def test_probabilities_in_json() -> None:
    reply = Reply(
        '{"choice":"Go"}',
        logprobs=[token('{"choice":"'), token("Go", Go=0.8, Stay=0.2), token('"}')],
    )
    with ScriptedServer(lambda call: reply) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            completion = await backend.complete(_CHOOSE)
    assert completion.choice_probabilities == pytest.approx({"Go": 0.8, "Stay": 0.2})


async def test_a_model_that_refuses_logprobs_chooses_without() -> None:
    def reply(call: Call) -> Answer:
        if "logprobs" in call.body:
            return Status(400, "logprobs are not supported with reasoning models.", param="logprobs")
        return choice_text(call, "Stay")

    with ScriptedServer(reply) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            completion = await backend.complete(_CHOOSE)
            assert (completion.text, completion.choice_probabilities) == ("Stay", None)
            assert len(backend.notes) == 1
            with pytest.raises(UnsupportedError, match="logprobs"):
                await backend.complete(Request(_ASK.messages, logprobs=2))
    assert len(server.calls) == 2


@pytest.mark.parametrize("status", [400, 403])
async def test_logprobs_that_a_model_forbids(status: int) -> None:
    def reply(call: Call) -> Answer:
        if "logprobs" in call.body:  # what OpenAI says of o4-mini and gpt-5
            return Status(status, "You are not allowed to request logprobs from this model")
        return choice_text(call, "Stay")

    with ScriptedServer(reply) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            with pytest.raises(UnsupportedError, match="not allowed to request logprobs"):
                await backend.complete(Request(_ASK.messages, logprobs=2))
            completion = await backend.complete(_CHOOSE)
            assert (completion.text, completion.choice_probabilities) == ("Stay", None)
            assert any("takes no logprobs" in note for note in backend.notes)
            await backend.complete(_CHOOSE)
    assert ["logprobs" in call.body for call in server.calls] == [True, True, False, False]


async def test_a_model_that_is_forbidden_is_an_error() -> None:
    refusal = Status(403, "Project `p` does not have access to model `scripted`", "model_not_found")
    with ScriptedServer(lambda call: refusal) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            with pytest.raises(AuthenticationError, match="does not have access"):
                await backend.complete(_CHOOSE)
    assert len(server.calls) == 1


async def test_a_format_in_extra_body_is_not_left_out() -> None:
    calls = 0

    def reply(call: Call) -> Answer:
        nonlocal calls
        calls += 1
        return Status(400, "'response_format' is not supported with this model.") if calls < 10 else "Go"

    extra = {"response_format": {"type": "json_object"}}
    for asked in (_ASK, _CHOOSE):
        calls = 0
        with ScriptedServer(reply) as server:
            async with OpenAIBackend("scripted", base_url=server.base_url, extra_body=extra) as backend:
                with pytest.raises(BadRequestError, match="response_format"):
                    await backend.complete(asked)
        assert calls == 1


async def test_a_limit_in_extra_body_goes_without_the_usual_one() -> None:
    extra = {"max_completion_tokens": 3}
    kinds: tuple[Any, ...] = (OpenAIBackend, VLLMBackend)
    for kind in kinds:
        with ScriptedServer(dialect="vllm", max_model_len=100) as server:
            async with kind("scripted", base_url=server.base_url, extra_body=extra) as backend:
                completion = await backend.complete(_ASK)
        assert "max_tokens" not in server.calls[0].body
        assert completion.token_limit == 3


async def test_a_limit_of_the_server_s_own() -> None:
    def reply(call: Call) -> Answer:
        for name in ("max_tokens", "max_completion_tokens"):
            if name in call.body:
                return Status(400, f"Unsupported parameter: {name}")
        return Reply("half a", finish_reason="length", completion_tokens=2)

    with ScriptedServer(reply) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            completion = await backend.complete(_ASK)
    assert (completion.text, completion.token_limit, completion.spent.replies) == ("half a", 2, 1)


async def test_a_value_that_is_wrong_is_an_error() -> None:
    refusal = Status(
        400, "max_tokens is too large: 8. This model supports at most 4.", "invalid_value", "max_tokens"
    )
    with ScriptedServer(lambda call: refusal) as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            with pytest.raises(BadRequestError, match="too large"):
                await backend.complete(_ASK)
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("Unsupported parameter: 'seed'", None, "seed"),
        ("Unrecognized request argument supplied: top_p", None, "top_p"),
        ("temperature: Extra inputs are not permitted", None, "temperature"),
        ("`temperature` is deprecated for this model.", None, "temperature"),
        ("Unsupported value", "temperature", "temperature"),
        ("Unsupported parameter: 'logit_bias'", "logit_bias", None),
        ("Unsupported parameter: 'stop'", None, None),  # was not sent
        ("temperature must be at most 2", "temperature", None),
    ],
)
def test_refused_parameters(message: str, param: str | None, expected: str | None) -> None:
    sent = {"temperature", "top_p", "seed", "max_tokens", "logprobs", "top_logprobs"}
    assert refused_parameter(Refusal(400, message, param=param), sent) == expected
    assert refused_parameter(Refusal(500, message, param=param), sent) is None


async def test_extra_body_replaces_and_tells_caches_apart() -> None:
    extra = {"temperature": 1, "reasoning_effort": "low"}
    with ScriptedServer() as server:
        async with OpenAIBackend("scripted", base_url=server.base_url, extra_body=extra) as backend:
            await backend.complete(_ASK)
            assert backend.cache_identity()["extra_body"] == extra
    assert server.calls[0].body["temperature"] == 1
    assert server.calls[0].body["reasoning_effort"] == "low"


# Together


async def test_together_takes_an_address_with_and_without_its_version() -> None:
    with ScriptedServer(dialect="together") as server:
        for address in (server.address, server.base_url, server.base_url + "/"):
            async with TogetherBackend("scripted", base_url=address) as backend:
                await backend.complete(_ASK)
    assert {call.path for call in server.calls} == {"/v1/chat/completions"}


# Anthropic


async def test_anthropic_marks_a_conversation_for_the_cache() -> None:
    messages = (Message("system", "One."), Message("system", "Two."), *_ASK.messages)
    with ScriptedServer() as server:
        async with AnthropicBackend("scripted", base_url=server.base_url) as backend:
            await backend.complete(Request(messages))
            await backend.complete(
                Request((*messages, Message("assistant", "Go"), Message("user", "And now?")))
            )
    single, several = (call.body for call in server.calls)
    assert "cache_control" not in single, "a prompt of one turn is not read again"
    assert several["cache_control"] == {"type": "ephemeral"}
    assert single["system"] == "One.\n\nTwo."
    assert [turn["role"] for turn in single["messages"]] == ["user"]


def test_a_context_of_anthropic_that_is_full_is_the_limit() -> None:
    message = {
        "content": [{"type": "text", "text": "half"}],
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }
    assert read_message(message | {"stop_reason": "model_context_window_exceeded"}).token_limit == 5
    assert read_message(message | {"stop_reason": "max_tokens"}).token_limit is None


def test_anthropic_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(UnsupportedError, match=r"pip install hierarchical-reasoning\[anthropic\]"):
        AnthropicBackend("m", base_url="http://127.0.0.1:1")


# Schemas


class Part(BaseModel):
    name: str = "x"


class Whole(BaseModel):
    parts: list[Part]
    best: Part | None = None


class Free(BaseModel):
    scores: dict[str, float]


def test_a_strict_schema_is_closed() -> None:
    schema, strict = closed_schema(Whole)
    assert strict
    assert schema["required"] == ["parts", "best"]
    assert schema["additionalProperties"] is False
    part: dict[str, Any] = schema["$defs"]["Part"]
    assert part["required"] == ["name"]
    assert "default" not in part["properties"]["name"]


async def test_free_keys_cannot_be_closed() -> None:
    assert not closed_schema(Free)[1]
    with ScriptedServer(lambda call: '{"scores": {"a": 1}}') as server:
        asked = Request(_ASK.messages, schema=Free)
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            assert (await backend.complete(asked)).parsed == Free(scores={"a": 1})
        async with AnthropicBackend("scripted", base_url=server.base_url) as backend:
            assert (await backend.complete(asked)).parsed == Free(scores={"a": 1})
    assert server.calls[0].body["response_format"]["json_schema"]["strict"] is False
    assert "JSON schema" in server.calls[1].messages[-1][1]


def test_structured_output_modes() -> None:
    wrong: Any = "json"
    with pytest.raises(BadRequestError, match="json_schema, words"):
        OpenAIBackend("m", base_url="http://127.0.0.1:1", structured_output=wrong)
