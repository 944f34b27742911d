from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from llm_backends import (
    BackendError,
    BadRequestError,
    Completion,
    ConnectionFailedError,
    EmptyReplyError,
    FinishReason,
    Limits,
    Message,
    OutOfTokensError,
    RateLimitError,
    Request,
    RequestTimeoutError,
    Sampling,
    ScriptedBackend,
    ServerError,
    Spent,
    UnparsedChoiceError,
    UnparsedSchemaError,
    UnsupportedError,
    Usage,
)

QUESTION = (Message("user", "two words"),)


class Answer(BaseModel):
    value: int


class Naps:
    """Waits for nobody, and notes how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class PlainBackend(ScriptedBackend):
    supports_choices = False
    supports_schema = False
    supports_logprobs = False


@pytest.mark.parametrize(
    "choices", [(), ("a", "a"), ("a", "")], ids=["none", "twice the same", "an empty one"]
)
async def test_choices_that_are_none_are_refused_before_the_model_is_asked(choices: tuple[str, ...]) -> None:
    backend = ScriptedBackend(lambda _: "a")
    with pytest.raises(BadRequestError, match="choices"):
        await backend.complete(Request(QUESTION, choices=choices))
    assert backend.calls == 0


@pytest.mark.parametrize(
    "request_",
    [
        Request(QUESTION, choices=("a",)),
        Request(QUESTION, schema=Answer),
        Request(QUESTION, logprobs=1),
    ],
    ids=["choices", "schema", "logprobs"],
)
async def test_a_capability_that_is_missing_is_an_error_that_names_the_backend(request_: Request) -> None:
    backend = PlainBackend(lambda _: "a")
    with pytest.raises(UnsupportedError, match="'scripted'"):
        await backend.complete(request_)
    assert backend.calls == 0


async def test_choices_and_a_schema_exclude_each_other() -> None:
    with pytest.raises(BadRequestError, match="not for both"):
        await ScriptedBackend(["a"]).complete(Request(QUESTION, choices=("a",), schema=Answer))


async def test_transient_errors_are_tried_again_and_counted() -> None:
    naps = Naps()
    backend = ScriptedBackend(
        ["fine"], fail_at={0: ServerError("busy"), 1: ConnectionFailedError("reset")}, sleep=naps
    )
    completion = await backend.complete(Request(QUESTION, role="planner"))
    assert (completion.text, completion.attempts, backend.calls) == ("fine", 3, 3)
    assert backend.meter.by_role == {
        "planner": Spent(1, Usage(2, 0, 1), repeats={"ServerError": 1, "ConnectionFailedError": 1})
    }
    assert completion.spent == backend.meter.total
    assert 1.0 <= naps.seconds[0] <= 2.0 <= naps.seconds[1] <= 3.0


async def test_the_servers_wish_is_honoured() -> None:
    naps = Naps()
    backend = ScriptedBackend(
        ["fine"], fail_at={0: RateLimitError("slow down", retry_after=30.0)}, sleep=naps
    )
    await backend.complete(Request(QUESTION))
    assert 30.0 <= naps.seconds[0] <= 31.0


async def test_no_retries_means_none() -> None:
    naps = Naps()
    backend = ScriptedBackend(["fine"], fail_at={0: ServerError("busy")}, max_retries=0, sleep=naps)
    with pytest.raises(ServerError, match="busy"):
        await backend.complete(Request(QUESTION))
    assert (backend.calls, naps.seconds) == (1, [])


async def test_the_last_error_is_raised_when_retries_run_out() -> None:
    backend = ScriptedBackend(
        ["fine"], fail_at={call: ServerError(f"try {call}") for call in range(9)}, max_retries=2, sleep=Naps()
    )
    with pytest.raises(ServerError, match="try 2") as caught:
        await backend.complete(Request(QUESTION))
    assert backend.calls == 3
    assert backend.meter.total == caught.value.spent == Spent(repeats={"ServerError": 2})


@pytest.mark.parametrize("error", [BadRequestError("no"), RuntimeError("a bug")])
async def test_nothing_else_is_tried_again(error: Exception) -> None:
    backend = ScriptedBackend(["fine"], fail_at={0: error}, sleep=Naps())
    with pytest.raises(type(error), match=str(error)):
        await backend.complete(Request(QUESTION))
    assert backend.calls == 1


async def test_a_reply_that_is_no_choice_is_asked_for_again_with_another_seed() -> None:
    backend = ScriptedBackend(["Yes", "yes.", "yes"])
    completion = await backend.complete(Request(QUESTION, Sampling(seed=7), choices=("yes", "no")))
    assert (completion.text, completion.attempts, completion.finish_reason) == ("yes", 3, FinishReason.CHOICE)
    assert completion.usage == Usage(6, 0, 3)
    assert [request.sampling.seed for request in backend.requests] == [7, 8, 9]


async def test_a_model_that_never_chooses_is_an_error_that_shows_its_reply() -> None:
    backend = ScriptedBackend(lambda _: "well, " + "that depends " * 100)
    with pytest.raises(UnparsedChoiceError, match=r"'yes', 'no'.*'well, that depends") as caught:
        await backend.complete(Request(QUESTION, choices=("yes", "no")))
    assert backend.calls == 3
    assert len(str(caught.value)) < 500
    assert backend.meter.total.replies == 3
    assert caught.value.spent == Spent(3, Usage(6, 0, 3 * 201), repeats={"UnparsedChoiceError": 2})


async def test_a_reply_is_parsed_by_its_schema() -> None:
    backend = ScriptedBackend(["{", '{"value": 3}'])
    completion = await backend.complete(Request(QUESTION, schema=Answer))
    assert completion.parsed == Answer(value=3)
    assert completion.attempts == 2
    with pytest.raises(UnparsedSchemaError, match="Answer"):
        await ScriptedBackend(lambda _: "3").complete(Request(QUESTION, schema=Answer))


async def test_at_most_so_many_calls_are_in_flight() -> None:
    most = in_flight = 0

    class Counting(ScriptedBackend):
        async def _complete(self, request: Request) -> Completion:
            nonlocal most, in_flight
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0.001)
            in_flight -= 1
            return await super()._complete(request)

    backend = Counting(lambda _: "fine", max_concurrency=3)
    await asyncio.gather(*(backend.complete(Request(QUESTION)) for _ in range(20)))
    assert (most, backend.calls) == (3, 20)


def test_one_backend_serves_several_event_loops_in_turn() -> None:
    backend = ScriptedBackend(lambda _: "fine", delay_s=0.001, max_concurrency=1)

    async def ask_thrice() -> None:
        await asyncio.gather(*(backend.complete(Request(QUESTION)) for _ in range(3)))

    asyncio.run(ask_thrice())
    asyncio.run(ask_thrice())
    assert backend.calls == 6


async def test_latency_is_that_of_the_last_try() -> None:
    async with ScriptedBackend(["fine"], delay_s=0.01) as backend:
        completion = await backend.complete(Request(QUESTION))
    assert 0.01 <= completion.latency_s < 5.0


@pytest.mark.parametrize("option", ["max_concurrency", "max_retries", "max_choice_attempts"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(BadRequestError, match=f"{option} is -1"):
        ScriptedBackend(["x"], **{option: -1})  # type: ignore[arg-type]


async def test_usage_is_kept_apart_by_role() -> None:
    backend = ScriptedBackend(lambda _: "one two three")
    await backend.complete(Request(QUESTION, role="planner"))
    await backend.complete(Request(QUESTION, role="judge"))
    before = backend.meter.by_role
    await backend.complete(Request(QUESTION, role="judge"))
    assert before["judge"] == Spent(1, Usage(2, 0, 3))
    assert backend.meter.by_role["judge"] == Spent(2, Usage(4, 0, 6))
    assert backend.meter.total.replies == 3


async def test_rate_limits_are_waited_for_by_time_and_not_by_count() -> None:
    naps = Naps()
    backend = ScriptedBackend(
        ["fine"],
        fail_at={call: RateLimitError("slow down", retry_after=9.0) for call in range(40)},
        max_retries=1,
        sleep=naps,
    )
    assert (await backend.complete(Request(QUESTION))).text == "fine"
    endless = ScriptedBackend(
        [],
        fail_at={call: RateLimitError("slow down", retry_after=9.0) for call in range(400)},
        max_retries=1,
        sleep=Naps(),
    )
    with pytest.raises(RateLimitError):
        await endless.complete(Request(QUESTION))
    assert 60 <= endless.calls <= 68  # ten minutes of nine seconds and a jitter


async def test_a_wait_of_a_day_is_an_error_at_once() -> None:
    naps = Naps()
    backend = ScriptedBackend(
        ["fine"], fail_at={0: RateLimitError("tomorrow", retry_after=86_400.0)}, sleep=naps
    )
    with pytest.raises(RateLimitError, match="tomorrow"):
        await backend.complete(Request(QUESTION))
    assert naps.seconds == []


async def test_a_choice_that_was_never_reached_is_said_and_not_asked_for_again() -> None:
    thinking = Completion("", FinishReason.LENGTH, Usage(5, 0, 512, 512), reasoning="hmm " * 512)
    backend = ScriptedBackend([thinking])
    with pytest.raises(OutOfTokensError, match=r"512 of them on reasoning.*--max_choice_tokens"):
        await backend.complete(Request(QUESTION, choices=("yes", "no")))
    assert backend.calls == 1
    assert (await ScriptedBackend([thinking]).complete(Request(QUESTION))).text == ""


async def test_backends_may_share_their_bounds() -> None:
    most = in_flight = 0

    class Counting(ScriptedBackend):
        async def _complete(self, request: Request) -> Completion:
            nonlocal most, in_flight
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0.001)
            in_flight -= 1
            return await super()._complete(request)

    limits = Limits(3)
    both = [Counting(lambda _: "fine", limits=limits) for _ in range(2)]
    await asyncio.gather(*(backend.complete(Request(QUESTION)) for backend in both for _ in range(10)))
    assert most == 3


async def test_an_empty_reply_is_asked_for_again_and_then_an_error() -> None:
    backend = ScriptedBackend(["", " \n", "fine"])
    assert (await backend.complete(Request(QUESTION))).text == "fine"
    assert backend.meter.total.repeats == {"EmptyReplyError": 2}
    with pytest.raises(EmptyReplyError, match="empty"):
        await ScriptedBackend(lambda _: "").complete(Request(QUESTION))


async def test_a_reply_may_be_empty_before_a_stop_string() -> None:
    completion = await ScriptedBackend([""]).complete(Request(QUESTION, Sampling(stop=("end",))))
    assert completion.text == ""


def _cut(tokens: int, prompt_tokens: int = 2) -> Completion:
    return Completion("half a", FinishReason.LENGTH, Usage(prompt_tokens, 0, tokens))


async def test_a_reply_cut_off_below_its_limit_is_asked_for_again_and_taken_in_the_end() -> None:
    request = Request(QUESTION, Sampling(max_tokens=50))
    backend = ScriptedBackend([_cut(3), "whole"])
    assert (await backend.complete(request)).text == "whole"
    assert backend.meter.total.repeats == {"cut off": 1}
    stubborn = ScriptedBackend(lambda _: _cut(3))
    completion = await stubborn.complete(request)
    assert (completion.finish_reason, completion.attempts, stubborn.calls) == (FinishReason.LENGTH, 3, 3)


async def test_a_reply_that_fills_its_limit_or_the_context_is_not_asked_for_again() -> None:
    class Small(ScriptedBackend):
        context_length = 12  # type: ignore[assignment]

    request = Request(QUESTION, Sampling(max_tokens=50))
    for backend in (ScriptedBackend([_cut(50)]), Small([_cut(10)])):
        assert (await backend.complete(request)).text == "half a"
        assert backend.calls == 1


async def test_a_try_that_takes_too_long_is_tried_again() -> None:
    backend = ScriptedBackend(lambda _: "late", delay_s=5.0, timeout_s=0.01, max_retries=1, sleep=Naps())
    with pytest.raises(RequestTimeoutError, match=r"within 0\.01 seconds"):
        await backend.complete(Request(QUESTION))
    assert backend.calls == 2


async def test_a_key_shows_in_no_error_and_no_reply() -> None:
    key = "sk-planted-0123456789"
    inner = ValueError(f"header Bearer {key}")
    refused = BadRequestError(f"the key {key} is not known")
    refused.__cause__ = inner
    backend = ScriptedBackend([f"your key is {key}"], fail_at={0: refused}, secrets=(key,))
    with pytest.raises(BadRequestError, match=r"the key \[redacted key\] is not known") as caught:
        await backend.complete(Request(QUESTION))
    assert key not in str(caught.value.__cause__)
    assert (await backend.complete(Request(QUESTION))).text == "your key is [redacted key]"
    backend.note(f"{key} was left out")
    assert backend.notes == ["[redacted key] was left out"]


async def test_the_script_fails_where_told_and_ends_where_it_ends() -> None:
    def only_planners(request: Request) -> BackendError | None:
        return BadRequestError("not for planners") if request.role == "planner" else None

    backend = ScriptedBackend(
        ["a", Completion("b", FinishReason.LENGTH)], fail_at={0: only_planners, 1: only_planners}
    )
    assert (await backend.complete(Request(QUESTION))).text == "a"
    with pytest.raises(BadRequestError, match="not for planners"):
        await backend.complete(Request(QUESTION, role="planner"))
    assert (await backend.complete(Request(QUESTION))).finish_reason is FinishReason.LENGTH
    with pytest.raises(BadRequestError, match="the script has 2 replies"):
        await backend.complete(Request(QUESTION))
    assert [request.role for request in backend.requests] == ["reasoner", "planner", "reasoner", "reasoner"]
