"""What every backend does alike, whatever is behind it: four services over HTTP on this machine, the scripted fake, and
a tiny model in this process. A test is skipped only where a backend has no such thing."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llm_backends import (
    AuthenticationError,
    Backend,
    BackendClosedError,
    BackendError,
    BadRequestError,
    ConnectionFailedError,
    ContentFilterError,
    ContextLengthError,
    EmptyReplyError,
    FinishReason,
    MalformedReplyError,
    Message,
    ModelNotFoundError,
    RateLimitError,
    Request,
    RequestTimeoutError,
    Sampling,
    ScriptedBackend,
    ServerError,
    UnparsedChoiceError,
    UnsupportedError,
)
from llm_backends.hosted.anthropic import AnthropicBackend
from llm_backends.hosted.openai import OpenAIBackend
from llm_backends.hosted.together import TogetherBackend
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.local import LocalBackend
from llm_backends.scripted_server import (
    Answer,
    Call,
    Dialect,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Stall,
    Status,
    Truncated,
    choice_text,
    first_option,
)

_KEY = "sk-contract-0123456789"
_MODEL = "scripted"
_HOSTED: Mapping[Dialect, Any] = {
    "openai": OpenAIBackend,
    "vllm": VLLMBackend,
    "together": TogetherBackend,
    "anthropic": AnthropicBackend,
}
_MESSAGES = (Message("system", "Think."), Message("user", "Choose: Check or Compute. Which of them?"))
_ASK = Request(_MESSAGES, Sampling(max_tokens=8))
_CHOOSE = replace(_ASK, choices=("Check", "Compute"))


class Step(BaseModel):
    title: str
    number: int = 3


@dataclass
class Waits:
    """In place of sleeping between tries."""

    seconds: list[float]

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Rig:
    """A hosted backend and the server behind it."""

    dialect: Dialect
    server: ScriptedServer
    waits: Waits

    def backend(self, model_name: str = _MODEL, **options: Any) -> Backend:
        made: Backend = _HOSTED[self.dialect](
            model_name, base_url=self.server.base_url, **{"sleep": self.waits, **options}
        )
        return made

    def answers(self, *answers: Answer) -> None:
        """Answer with these in turn, the last of them again and again."""
        pending = list(answers)

        def reply(call: Call) -> Answer:
            return pending.pop(0) if len(pending) > 1 else pending[0]

        self.server.reply = reply


@pytest.fixture(params=_HOSTED)
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    for dialect in _HOSTED:
        monkeypatch.setenv(f"{dialect.upper()}_API_KEY", _KEY)
    with ScriptedServer(dialect=request.param, key=_KEY, max_model_len=400) as server:
        yield Rig(request.param, server, Waits([]))


@pytest.fixture(params=[*_HOSTED, "scripted", "local"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Backend]]:
    """Makes any of the backends."""
    if request.param == "scripted":
        yield lambda **options: ScriptedBackend(_scripted_reply, **options)
    elif request.param == "local":
        folder: Path = request.getfixturevalue("chat_model")
        yield lambda **options: LocalBackend(folder, device="cpu", dtype="float32", **options)
    else:
        monkeypatch.setenv(f"{request.param.upper()}_API_KEY", _KEY)
        with ScriptedServer(dialect=request.param, key=_KEY) as server:
            yield lambda **options: _HOSTED[request.param](_MODEL, base_url=server.base_url, **options)


async def first_call(server: ScriptedServer) -> None:
    """Until the server has got a call."""
    for _ in range(1000):
        if server.calls:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no call came")


def _scripted_reply(request: Request) -> str:
    if request.choices is not None:
        return request.choices[0]
    if request.schema is not None:
        return json.dumps({"title": "scripted", "number": 1})
    return "scripted reply"


# What all of them do


async def test_free_text(make: Callable[..., Backend]) -> None:
    async with make() as backend:
        completion = await backend.complete(_ASK)
        assert completion.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
        assert completion.usage.prompt_tokens > 0
        assert completion.usage.completion_tokens > 0
        assert completion.latency_s > 0
        assert backend.meter.total.usage == completion.usage


async def test_choice(make: Callable[..., Backend]) -> None:
    async with make() as backend:
        completion = await backend.complete(_CHOOSE)
        assert completion.text in ("Check", "Compute")
        assert completion.finish_reason is FinishReason.CHOICE
        if completion.choice_probabilities is not None:
            assert backend.supports_choice_probabilities
            assert 0 < sum(completion.choice_probabilities.values()) <= 1 + 1e-6


async def test_schema(make: Callable[..., Backend]) -> None:
    async with make() as backend:
        asked = replace(_ASK, schema=Step)
        if not backend.supports_schema:
            with pytest.raises(UnsupportedError, match="schema"):
                await backend.complete(asked)
            return
        completion = await backend.complete(asked)
        assert isinstance(completion.parsed, Step)


async def test_logprobs(make: Callable[..., Backend]) -> None:
    async with make() as backend:
        asked = replace(_ASK, logprobs=1)
        if not backend.supports_logprobs:
            with pytest.raises(UnsupportedError, match="logprobs"):
                await backend.complete(asked)
            return
        if isinstance(backend, ScriptedBackend):
            return  # replies what it was told to
        completion = await backend.complete(asked)
        assert completion.token_logprobs
        assert all(token.logprob <= 0 and len(token.top) <= 1 for token in completion.token_logprobs)


async def test_a_closed_backend_answers_nothing(make: Callable[..., Backend]) -> None:
    backend = make()
    if isinstance(backend, ScriptedBackend):
        pytest.skip("holds nothing, so closing it does nothing")
    await backend.complete(_ASK)
    await backend.aclose()
    await backend.aclose()
    with pytest.raises(BackendClosedError):
        await backend.complete(_ASK)


def test_one_backend_serves_several_loops(make: Callable[..., Backend]) -> None:
    backend = make()

    async def ask() -> str:
        return (await backend.complete(_CHOOSE)).text

    async def ask_and_close() -> str:
        text = await ask()
        await backend.aclose()
        return text

    with warnings.catch_warnings():
        # Connections of a loop that has ended cannot be closed any more; they go with the client.
        warnings.simplefilter("ignore", ResourceWarning)
        assert asyncio.run(ask()) == asyncio.run(ask()) == asyncio.run(ask_and_close())
        gc.collect()


async def test_a_call_may_be_cancelled(make: Callable[..., Backend]) -> None:
    async with make(max_concurrency=1) as backend:
        call = asyncio.ensure_future(backend.complete(_ASK))
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert (await asyncio.wait_for(backend.complete(_CHOOSE), 20)).text in ("Check", "Compute")


# What those behind HTTP do


async def test_what_is_sent(rig: Rig) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, stop=("END",), seed=3)
    async with rig.backend() as backend:
        await backend.complete(Request(_MESSAGES, sampling))
    call = rig.server.calls[0]
    assert call.messages == [("system", "Think."), ("user", _MESSAGES[1].content)]
    assert call.body["temperature"] == 0.5
    assert call.body["top_p"] == 0.9
    assert call.body["max_tokens"] == 7
    assert call.body["stop_sequences" if rig.dialect == "anthropic" else "stop"] == ["END"]
    assert call.body.get("seed") == (None if rig.dialect == "anthropic" else 3)
    assert call.key_right


async def test_what_is_at_its_default_is_not_sent(rig: Rig) -> None:
    async with rig.backend() as backend:
        await backend.complete(_ASK)
    body = rig.server.calls[0].body
    assert not {"stop", "stop_sequences", "logprobs"} & set(body)
    if rig.dialect == "vllm":  # it would take what comes with the model
        assert (body["top_p"], body["top_k"], body["min_p"], body["repetition_penalty"]) == (1.0, 0, 0.0, 1.0)
    else:
        assert not {"top_p", "top_k"} & set(body)


async def test_samples_have_seeds_of_their_own(rig: Rig) -> None:
    async with rig.backend() as backend:
        if not backend.supports_seed:
            pytest.skip("takes no seed")
        for seed, sample in ((0, 0), (0, 1), (0, 2), (1, 1), (0, 1)):
            await backend.complete(replace(_ASK, sampling=Sampling(seed=seed), sample_index=sample))
    seeds = [call.body["seed"] for call in rig.server.calls]
    assert len(set(seeds)) == 4
    assert seeds[1] == seeds[4]


async def test_stop_strings_end_a_reply(rig: Rig) -> None:
    rig.answers("one two END three")
    async with rig.backend() as backend:
        completion = await backend.complete(replace(_ASK, sampling=Sampling(stop=("END",))))
    assert completion.text == "one two "
    assert completion.finish_reason is FinishReason.STOP


async def test_a_long_reply_is_cut(rig: Rig) -> None:
    rig.answers("one two three four five")
    async with rig.backend() as backend:
        completion = await backend.complete(replace(_ASK, sampling=Sampling(max_tokens=3)))
    assert completion.text == "one two three"
    assert completion.finish_reason is FinishReason.LENGTH
    assert len(rig.server.calls) == 1


async def test_a_reply_cut_by_the_server_is_asked_for_again(rig: Rig) -> None:
    rig.answers(Reply("half", finish_reason="length"), "whole reply")
    async with rig.backend() as backend:
        completion = await backend.complete(_ASK)
    assert completion.text == "whole reply"
    assert completion.spent.replies == 2


async def test_usage(rig: Rig) -> None:
    rig.answers(Reply("a b", prompt_tokens=30, cached_tokens=20, completion_tokens=5))
    async with rig.backend() as backend:
        usage = (await backend.complete(_ASK)).usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (30, 20, 5)


async def test_missing_usage_is_noted_once(rig: Rig) -> None:
    rig.answers(Reply("a b", reports_usage=False))
    async with rig.backend() as backend:
        for _ in range(2):
            assert (await backend.complete(_ASK)).usage.prompt_tokens == 0
        assert len([note for note in backend.notes if "no token usage" in note]) == 1


async def test_reasoning_is_told_apart(rig: Rig) -> None:
    rig.answers(Reply("the reply", reasoning="let me see"))
    async with rig.backend() as backend:
        completion = await backend.complete(_ASK)
    assert (completion.text, completion.reasoning) == ("the reply", "let me see")


async def test_an_empty_reply_is_asked_for_again(rig: Rig) -> None:
    rig.answers("", Reply(None, reasoning="hm"), "text")
    async with rig.backend() as backend:
        assert (await backend.complete(_ASK)).text == "text"
        rig.answers("")
        with pytest.raises(EmptyReplyError):
            await backend.complete(_ASK)
    assert len(rig.server.calls) == 6


async def test_a_reply_that_is_no_choice_is_asked_for_again(rig: Rig) -> None:
    answers = iter(["neither of them", "Compute"])
    rig.server.reply = lambda call: choice_text(call, next(answers))
    async with rig.backend() as backend:
        assert (await backend.complete(_CHOOSE)).text == "Compute"
        rig.answers("Check or Compute")
        with pytest.raises(UnparsedChoiceError, match="Check or Compute"):
            await backend.complete(_CHOOSE)
    assert len(rig.server.calls) == 5


async def test_choices_in_words(rig: Rig) -> None:
    rig.answers("Neither.", "I would pick **compute**.")
    async with rig.backend(structured_output="words") as backend:
        assert (await backend.complete(_CHOOSE)).text == "Compute"
    first, second = rig.server.calls
    assert first.choices is None
    assert first.messages[-1] == ("user", _MESSAGES[1].content), "the choices are in the prompt already"
    assert second.messages[-2] == ("assistant", "Neither.")
    assert '"Check", "Compute"' in second.messages[-1][1]


async def test_choices_that_the_prompt_does_not_name_are_listed(rig: Rig) -> None:
    rig.answers("go")
    async with rig.backend(structured_output="words") as backend:
        assert (await backend.complete(replace(_CHOOSE, choices=("Go", "Stay")))).text == "Go"
    assert rig.server.calls[0].messages[-1][1].endswith("\n- Go\n- Stay")


async def test_a_model_without_structured_output_is_asked_in_words(rig: Rig) -> None:
    if rig.dialect == "vllm":
        pytest.skip("constrains choices itself")

    def reply(call: Call) -> Answer:
        if call.schema is not None:
            field = "output_config.format" if rig.dialect == "anthropic" else "response_format"
            return Status(400, f"'{field}' of type 'json_schema' is not supported with this model.")
        return (
            '```json\n{"title": "t", "number": 2}\n```' if "JSON schema" in call.messages[-1][1] else "Check."
        )

    rig.server.reply = reply
    async with rig.backend() as backend:
        answers = await asyncio.gather(*(backend.complete(_CHOOSE) for _ in range(5)))
        assert {answer.text for answer in answers} == {"Check"}
        assert (await backend.complete(replace(_ASK, schema=Step))).parsed == Step(title="t", number=2)
        assert len([note for note in backend.notes if "in words" in note]) == 1
    assert sum(call.schema is not None for call in rig.server.calls) <= 5


async def test_json_schema_mode_does_not_fall_back(rig: Rig) -> None:
    if rig.dialect == "vllm":
        pytest.skip("constrains choices itself")
    field = "output_config.format" if rig.dialect == "anthropic" else "response_format"
    rig.answers(Status(400, f"{field} is not supported"))
    async with rig.backend(structured_output="json_schema") as backend:
        with pytest.raises(BackendError, match="not supported"):
            await backend.complete(_CHOOSE)
    assert len(rig.server.calls) == 1


async def test_a_parameter_that_is_not_taken_is_left_out(rig: Rig) -> None:
    def reply(call: Call) -> Answer:
        if "temperature" in call.body:
            return Status(400, "Unsupported value: 'temperature' does not support 0.1 with this model.")
        return "text"

    rig.server.reply = reply
    async with rig.backend() as backend:
        await asyncio.gather(*(backend.complete(_ASK) for _ in range(3)))
        await backend.complete(_ASK)
        assert len([note for note in backend.notes if "temperature" in note]) == 1
    assert "temperature" not in rig.server.calls[-1].body
    assert len(rig.server.calls) <= 7


async def test_what_the_user_gives_in_extra_body_is_not_left_out(rig: Rig) -> None:
    refusal = Status(400, "Unsupported value: 'temperature' does not support 1 with this model.")
    rig.answers(*[refusal] * 10, "text")
    async with rig.backend(extra_body={"temperature": 1}) as backend:
        with pytest.raises(BadRequestError, match="'temperature' does not support 1"):
            await backend.complete(_ASK)
        assert not [note for note in backend.notes if "left out" in note]
    assert len(rig.server.calls) == 1


async def test_a_refusal_that_nothing_can_be_done_about_ends_the_call(rig: Rig) -> None:
    """Whatever it complains of, again and again."""
    for name in ("temperature", "max_tokens", "max_completion_tokens", "response_format", "output_config"):
        rig.server.calls.clear()
        rig.answers(*[Status(400, f"{name}: Extra inputs are not permitted")] * 10, "text")
        async with rig.backend() as backend:
            with pytest.raises(BadRequestError, match=name):
                await backend.complete(_ASK)
        assert len(rig.server.calls) <= 3


@pytest.mark.parametrize("said", ["inf", "nan", "-3", "1e400"])
async def test_what_is_no_time_is_not_waited_for(rig: Rig, said: str) -> None:
    rig.server.faults = {0: Status(429, "slow down", headers={"retry-after": said})}
    async with rig.backend() as backend:
        await backend.complete(_ASK)
    assert 1 <= rig.waits.seconds[0] <= 2, "as where the server does not say"


async def test_a_rate_limit_is_waited_out(rig: Rig) -> None:
    rig.server.faults = {0: Status(429, "slow down", "rate_limit_exceeded", headers={"retry-after": "7"})}
    async with rig.backend() as backend:
        completion = await backend.complete(_ASK)
    assert completion.attempts == 2
    assert len(rig.waits.seconds) == 1
    assert 7 <= rig.waits.seconds[0] <= 8


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Status(429, "slow down"), RateLimitError),
        (Status(503, "busy"), ServerError),
        (Reset(), ConnectionFailedError),
        (Truncated(), ConnectionFailedError),
        (Raw(b'{"id": "x", "choi'), MalformedReplyError),
        (Raw(b"<html>busy</html>", "text/html"), MalformedReplyError),
        (Raw(b'{"id": "x"}'), MalformedReplyError),
        (Raw(b"[]"), MalformedReplyError),
        (Raw(b""), MalformedReplyError),
    ],
)
async def test_what_passes_is_tried_again(rig: Rig, fault: Any, expected: type[BackendError]) -> None:
    rig.server.faults = {0: fault, 2: fault}
    async with rig.backend() as backend:
        completion = await backend.complete(_ASK)
        assert completion.text == "scripted reply"
        assert completion.spent.repeats == {expected.__name__: 1}
    async with rig.backend(max_retries=0) as backend:
        with pytest.raises(expected):
            await backend.complete(_ASK)
    assert len(rig.server.calls) == 3


async def test_a_reply_that_takes_too_long(rig: Rig) -> None:
    rig.server.faults = {0: Stall(5.0)}
    async with rig.backend(max_retries=0, timeout_s=0.2) as backend:
        started = time.perf_counter()
        with pytest.raises(RequestTimeoutError, match="request_timeout"):
            await backend.complete(_ASK)
        assert time.perf_counter() - started < 3


async def test_a_wrong_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-wrong-987654321")
    async with rig.backend(api_key_env="OTHER_KEY") as backend:
        with pytest.raises(AuthenticationError) as caught:
            await backend.complete(_ASK)
        assert "sk-wrong" not in "".join(_chain(caught.value))
        assert not rig.waits.seconds


async def test_an_unknown_model(rig: Rig) -> None:
    async with rig.backend("unheard-of") as backend:
        with pytest.raises(ModelNotFoundError, match="unheard-of"):
            await backend.complete(_ASK)
    assert not rig.waits.seconds


async def test_a_prompt_that_is_too_long(rig: Rig) -> None:
    async with rig.backend() as backend:
        with pytest.raises(ContextLengthError):
            await backend.complete(Request((Message("user", "word " * 500),)))
    assert len(rig.server.calls) == 1


async def test_a_refusal(rig: Rig) -> None:
    for answer in (Reply("no", refusal="I will not"), Reply("", finish_reason="content_filter")):
        rig.answers(answer)
        async with rig.backend() as backend:
            with pytest.raises(ContentFilterError):
                await backend.complete(_ASK)
    assert len(rig.server.calls) == 2


async def test_no_finish_reason_is_malformed(rig: Rig) -> None:
    rig.answers(Reply("text", finish_reason=None))
    async with rig.backend(max_retries=0) as backend:
        with pytest.raises(MalformedReplyError, match="reason is None"):
            await backend.complete(_ASK)


async def test_a_server_that_is_not_there(rig: Rig) -> None:
    async with rig.backend(max_retries=1) as backend:
        rig.server.stop()
        with pytest.raises(ConnectionFailedError, match="base_url"):
            await backend.complete(_ASK)
    assert len(rig.waits.seconds) == 1


async def test_closing_ends_calls_in_flight(rig: Rig) -> None:
    rig.server.faults = {0: Stall(20.0)}
    backend = rig.backend()
    call = asyncio.ensure_future(backend.complete(_ASK))
    await first_call(rig.server)
    await backend.aclose()
    with pytest.raises(BackendClosedError):
        await asyncio.wait_for(call, 5)


async def test_a_cancelled_call_lets_go_of_the_server(rig: Rig) -> None:
    rig.server.faults = {0: Stall(20.0)}
    async with rig.backend(max_concurrency=1) as backend:
        call = asyncio.ensure_future(backend.complete(_ASK))
        await first_call(rig.server)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await backend.complete(_ASK)).text == "scripted reply"
    assert rig.server.calls[0].fault == "disconnected"


async def test_calls_in_flight_are_bounded(rig: Rig) -> None:
    rig.server.reply = lambda call: Stall(0.03)
    async with rig.backend(max_concurrency=3) as backend:
        await asyncio.gather(*(backend.complete(_ASK) for _ in range(12)))
    assert rig.server.max_in_flight == 3


async def test_more_calls_than_a_usual_pool_has_connections(rig: Rig) -> None:
    rig.server.reply = lambda call: Stall(0.5)
    async with rig.backend(max_concurrency=150) as backend:
        await asyncio.gather(*(backend.complete(_ASK) for _ in range(150)))
    assert rig.server.max_in_flight > 100


@pytest.mark.parametrize(
    "fault", [Status(400, f"bad key {_KEY}"), Status(500, _KEY), Raw(_KEY.encode()), Reset()]
)
async def test_the_key_is_in_no_message(rig: Rig, fault: Any) -> None:
    rig.server.faults = {0: fault}
    async with rig.backend(max_retries=0) as backend:
        with pytest.raises(BackendError) as caught:
            await backend.complete(_ASK)
        assert _KEY not in "".join(_chain(caught.value))
        rig.server.reply = lambda call: Reply(f"the key is {_KEY}")
        assert _KEY not in (await backend.complete(_ASK)).text
        assert _KEY not in repr(backend.cache_identity())


@pytest.mark.parametrize("before", [0, 290], ids=["in full", "where it is shortened"])
async def test_the_key_is_in_no_message_outside_of_requests(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    fault = Status(401, f"{'.' * before}Bearer {_KEY}")
    with ScriptedServer(dialect=rig.dialect, models_fault=fault) as server:
        async with _HOSTED[rig.dialect](_MODEL, base_url=server.base_url) as backend:
            with pytest.raises(AuthenticationError) as caught:
                await backend.list_models()
            assert _KEY[:3] not in "".join(_chain(caught.value))
            if rig.dialect == "vllm":
                with pytest.raises(AuthenticationError) as caught:
                    await backend.check_model()
                assert _KEY[:3] not in "".join(_chain(caught.value))


async def test_tokens_are_counted_on_the_safe_side(rig: Rig) -> None:
    async with rig.backend() as backend:
        assert backend.count_tokens(()) == 0
        assert backend.count_tokens((Message("user", ""),)) == 8
        assert backend.count_tokens((Message("user", "four"), Message("assistant", "three"))) == 8 + 2 + 8 + 2
        counted = backend.count_tokens(_MESSAGES)
        assert counted is not None
        assert counted > (await backend.complete(_ASK)).usage.prompt_tokens
        assert backend.count_tokens((Message("user", "\u4e09\u4e2a\u5b57\ud800"),)) == 8 + 4


async def test_the_limit_on_tokens_is_told_where_it_is_another(rig: Rig) -> None:
    async with rig.backend() as backend:
        assert (await backend.complete(_ASK)).token_limit is None
        choosing = await backend.complete(_CHOOSE)
        assert choosing.token_limit == len("Compute") + 32
    async with rig.backend(extra_body={"max_tokens": 3}) as backend:
        rig.answers("one two three four five")
        cut = await backend.complete(_ASK)
    assert (cut.text, cut.token_limit, cut.spent.replies) == ("one two three", 3, 1)


def _chain(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!s}{error!r}"
        error = error.__cause__ or error.__context__


def test_without_a_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{rig.dialect.upper()}_API_KEY")
    away = "https://models.example/v1"
    if rig.dialect == "vllm":
        VLLMBackend(_MODEL, base_url=away)
        return
    rig.backend()  # a server on this machine needs none
    with pytest.raises(AuthenticationError, match=f"{rig.dialect.upper()}_API_KEY"):
        _HOSTED[rig.dialect](_MODEL, base_url=away)


@pytest.mark.parametrize(
    "address",
    ["ftp://host", "host:8000", "http://user:secret@host/v1", "http://host/v1?key=secret", "http://", ""],
)
def test_addresses_that_are_none(rig: Rig, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not address:
        monkeypatch.setenv(f"{rig.dialect.upper()}_BASE_URL", "nonsense")
    with pytest.raises(ValueError, match="--base_url") as caught:
        _HOSTED[rig.dialect](_MODEL, base_url=address)
    assert "secret" not in str(caught.value)


async def test_every_reply_of_the_server_has_a_request_that_it_takes(rig: Rig) -> None:
    rig.server.reply = first_option
    async with rig.backend() as backend:
        for asked in (_ASK, _CHOOSE, replace(_ASK, schema=Step)):
            await backend.complete(asked)
    assert [call.fault for call in rig.server.calls] == [None] * 3
