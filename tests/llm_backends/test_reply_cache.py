from __future__ import annotations

import multiprocessing
import sqlite3
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llm_backends import (
    CacheError,
    Completion,
    FinishReason,
    Message,
    ReplyCache,
    Request,
    Sampling,
    ScriptedBackend,
    ServerError,
    TokenLogprob,
    Usage,
)
from llm_backends.cache import Kept, request_key


class Answer(BaseModel):
    value: int


class Other(BaseModel):
    value: str


REQUEST = Request((Message("user", "how many?"),), Sampling(seed=1))
CHANGED: dict[str, tuple[Request, ...]] = {
    "messages": (
        replace(REQUEST, messages=(Message("user", "how much?"),)),
        replace(REQUEST, messages=(Message("system", "how many?"),)),
        replace(REQUEST, messages=(*REQUEST.messages, *REQUEST.messages)),
    ),
    "sampling": tuple(
        replace(REQUEST, sampling=replace(REQUEST.sampling, **{name: value}))
        for name, value in {
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 5,
            "max_tokens": 7,
            "stop": ("x",),
            "seed": 2,
        }.items()
    ),
    "choices": (replace(REQUEST, choices=("a", "b")), replace(REQUEST, choices=("b", "a"))),
    "schema": (replace(REQUEST, schema=Answer), replace(REQUEST, schema=Other)),
    "logprobs": (replace(REQUEST, logprobs=0), replace(REQUEST, logprobs=3)),
    "sample_index": (replace(REQUEST, sample_index=1),),
}
IRRELEVANT = {"role", "trace_id"}


def test_every_field_of_a_request_is_either_in_the_key_or_known_not_to_matter() -> None:
    assert {field.name for field in fields(Request)} == set(CHANGED) | IRRELEVANT
    varied = {"temperature", "top_p", "top_k", "max_tokens", "stop", "seed"}
    assert {field.name for field in fields(Sampling)} == varied


def test_whatever_can_change_a_reply_changes_the_key() -> None:
    requests = [REQUEST, *(request for requests in CHANGED.values() for request in requests)]
    keys = [request_key("scripted", "m", {}, request) for request in requests]
    keys += [
        request_key("openai", "m", {}, REQUEST),
        request_key("scripted", "n", {}, REQUEST),
        request_key("scripted", "m", {"base_url": "http://a"}, REQUEST),
    ]
    assert len(set(keys)) == len(keys)
    same = replace(REQUEST, role="judge", trace_id="t")
    assert request_key("scripted", "m", {}, same) == keys[0]


@given(
    st.builds(
        Completion,
        text=st.text(),
        finish_reason=st.sampled_from(FinishReason),
        usage=st.builds(Usage, *(st.integers(0, 10**6) for _ in range(5))),
        reasoning=st.none() | st.text(),
        choice_probabilities=st.none() | st.dictionaries(st.text(), st.floats(0, 1)),
        token_logprobs=st.none()
        | st.tuples(
            st.builds(
                TokenLogprob, st.text(), st.floats(-9, 0), st.tuples(st.tuples(st.text(), st.floats(-9, 0)))
            )
        ),
        latency_s=st.floats(0, 100),
        attempts=st.integers(1, 9),
    )
)
def test_a_completion_comes_back_as_it_was(completion: Completion) -> None:
    cache = ReplyCache(":memory:")
    cache.put("k", completion, ["no seed"])
    assert cache.get("k") == Kept(replace(completion, from_cache=True), ("no seed",))
    assert cache.get("other") is None
    cache.close()


async def test_a_reply_is_asked_for_once(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "replies.sqlite")
    backend = ScriptedBackend(["3", '{"value": 3}'], cache=cache)
    first = await backend.complete(REQUEST)
    again = await backend.complete(replace(REQUEST, role="planner"))
    assert (again.text, again.from_cache, first.from_cache, backend.calls) == ("3", True, False, 1)
    assert again.usage == first.usage
    assert (again.spent.replies, again.spent.cached_replies, again.spent.usage) == (0, 1, Usage())
    schema = replace(REQUEST, schema=Answer)
    assert (
        (await backend.complete(schema)).parsed == (await backend.complete(schema)).parsed == Answer(value=3)
    )
    assert backend.calls == 2
    cache.close()
    reopened = ReplyCache(tmp_path / "replies.sqlite")
    assert (await ScriptedBackend([], cache=reopened).complete(REQUEST)).text == "3"
    reopened.close()


async def test_errors_and_truncations_are_not_kept(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "replies.sqlite")
    cut = Completion("half", FinishReason.LENGTH, Usage(1, 0, REQUEST.sampling.max_tokens))
    backend = ScriptedBackend([cut, "whole"], fail_at={0: ServerError("busy")}, max_retries=0, cache=cache)
    with pytest.raises(ServerError):
        await backend.complete(REQUEST)
    assert (await backend.complete(REQUEST)).text == "half"
    assert len(cache) == 0
    assert (await backend.complete(REQUEST)).text == "whole"
    assert len(cache) == 1
    cache.close()


def test_a_file_that_is_no_cache_is_said(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    path.write_text("not a database at all, and longer than a header of one hundred bytes " * 4)
    with pytest.raises(CacheError, match=r"replies.sqlite cannot be used: .*--no_cache"):
        ReplyCache(path)
    with pytest.raises(CacheError):
        ReplyCache(tmp_path / "no such folder" / "replies.sqlite")


def test_a_damaged_entry_is_said(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    cache = ReplyCache(path)
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO replies VALUES ('k', '{', 0)")
    database.close()
    with pytest.raises(CacheError):
        cache.get("k")
    cache.close()


def _write_many(path: str, process: int, barrier: Any) -> None:
    cache = ReplyCache(path)
    barrier.wait()
    for index in range(200):
        cache.put(f"shared {index}", Completion(f"of {process}", FinishReason.STOP))
        cache.put(f"own {process} {index}", Completion("mine", FinishReason.STOP))
    cache.close()


async def test_what_was_noted_for_a_reply_is_noted_again_with_it() -> None:
    cache = ReplyCache(":memory:")
    first = ScriptedBackend(["3"], cache=cache)
    first.note("the model takes no temperature")
    await first.complete(REQUEST)
    second = ScriptedBackend([], cache=cache)
    await second.complete(REQUEST)
    assert second.notes == ["the model takes no temperature"]
    cache.close()


async def test_a_reply_that_is_not_usable_any_more_is_asked_for_again() -> None:
    cache = ReplyCache(":memory:")
    request = replace(REQUEST, schema=Answer)
    key = request_key("scripted", "scripted", {}, request)
    cache.put(key, Completion("three", FinishReason.STOP))
    backend = ScriptedBackend(['{"value": 3}'], cache=cache)
    assert (await backend.complete(request)).parsed == Answer(value=3)
    assert (await backend.complete(request)).from_cache
    cache.close()


def _open(path: str, barrier: Any) -> None:
    barrier.wait()
    ReplyCache(path).close()


def test_many_processes_may_make_the_cache_at_the_same_moment(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    for round_number in range(3):
        barrier = spawn.Barrier(6)
        path = str(tmp_path / f"{round_number}.sqlite")
        workers = [spawn.Process(target=_open, args=(path, barrier)) for _ in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 6


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "replies.sqlite")
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    workers = [spawn.Process(target=_write_many, args=(path, number, barrier)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    cache = ReplyCache(path)
    assert len(cache) == 200 + 3 * 200
    cache.close()
