from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import ContentFilterError, FinishReason, MalformedReplyError, Usage
from llm_backends.hosted.anthropic import read_message
from llm_backends.hosted.reading import read_chat_completion, split_reasoning

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_logprobs = _json | st.fixed_dictionaries(
    {},
    optional={
        "content": _json
        | st.lists(st.fixed_dictionaries({}, optional={"token": _json, "top_logprobs": _json})),
        "tokens": _json,
        "token_logprobs": _json,
        "top_logprobs": _json,
    },
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "choices": _json
        | st.lists(
            st.fixed_dictionaries(
                {}, optional={"message": _json, "finish_reason": _json, "logprobs": _logprobs}
            ),
            max_size=2,
        ),
        "usage": _json,
        "error": _json,
        "content": _json,
        "stop_reason": _json,
    },
)


def completion(message: Any = None, finish_reason: Any = "stop", **body: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "text"} if message is None else message
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], **body}


@given(_json | _fields)
def test_whatever_comes_is_read_or_is_malformed(data: Any) -> None:
    for read in (read_chat_completion, read_message):
        with contextlib.suppress(MalformedReplyError, ContentFilterError):
            read(data)


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("plain", "plain", None),
        ("<think>\nso\n</think>\n\nreply", "reply", "so"),
        ("so</think>reply", "reply", "so"),
        ("<think>still at it", "", "still at it"),
        ("<think></think>reply", "reply", ""),
        ("I <think> not", "I <think> not", None),
    ],
)
def test_reasoning_in_tags(content: str, text: str, reasoning: str | None) -> None:
    assert split_reasoning(content) == (text, reasoning)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_that_used_up_the_tokens_is_a_truncation(field: str) -> None:
    for message in ({"content": None, field: "hm"}, {field: "hm"}):
        reply = read_chat_completion(completion(message, "length"))
        assert (reply.text, reply.finish_reason, reply.reasoning) == ("", FinishReason.LENGTH, "hm")


@pytest.mark.parametrize(
    "data",
    [
        completion({"role": "assistant"}),
        completion({"content": 3}),
        completion(finish_reason=None),
        completion(finish_reason="tool_calls"),
        {"choices": []},
        {"choices": [{"finish_reason": "stop"}]},
        completion(usage={"prompt_tokens": "many"}),
        completion(usage={"prompt_tokens": -1}),
        {"error": {"message": "provider down"}},
        "text",
    ],
)
def test_malformed(data: Any) -> None:
    with pytest.raises(MalformedReplyError):
        read_chat_completion(data)


def test_details_of_usage_that_are_no_object_are_malformed() -> None:
    for details in ("prompt_tokens_details", "completion_tokens_details"):
        with pytest.raises(MalformedReplyError):
            read_chat_completion(completion(usage={details: 3}))


def test_usage() -> None:
    fields = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    expected = Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=5, reasoning_tokens=2)
    assert read_chat_completion(completion(usage=fields)).usage == expected
    beside = {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4, "prompt_tokens_details": None}
    assert read_chat_completion(completion(usage=beside)).usage == Usage(9, 4, 5)
    assert read_chat_completion(completion()).usage is None


def test_usage_of_a_message_counts_what_was_cached() -> None:
    message = {
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b"},
        ],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 3,
            "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 7,
            "output_tokens": 5,
            "output_tokens_details": {"thinking_tokens": 2},
        },
    }
    reply = read_message(message)
    assert (reply.text, reply.reasoning) == ("ab", "hm")
    assert reply.usage == Usage(
        prompt_tokens=30, cached_tokens=20, cache_write_tokens=7, completion_tokens=5, reasoning_tokens=2
    )


def test_logprobs_in_both_forms() -> None:
    data = completion()
    data["choices"][0]["logprobs"] = {
        "content": [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}]
    }
    first = read_chat_completion(data).logprobs
    data["choices"][0]["logprobs"] = {
        "tokens": ["a"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"a": -0.5}],
    }
    assert first == read_chat_completion(data).logprobs
    assert first is not None
    assert first[0].top == (("a", -0.5),)
