"""Whatever a server sends for embeddings is read, or is a malformed reply."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_backends import MalformedReplyError
from llm_backends.hosted.embeddings import read_embeddings

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
number = st.floats(-2, 2) | st.integers(-2, 2)
item = st.fixed_dictionaries(
    {"index": st.integers(0, 3) | any_json, "embedding": st.lists(number | any_json, max_size=3) | any_json}
)
body = st.fixed_dictionaries(
    {"data": st.lists(item, max_size=3) | any_json},
    optional={"usage": st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9) | any_json}) | any_json},
)


@given(body | any_json, st.integers(1, 3))
def test_what_comes_is_read_or_malformed(data: Any, n: int) -> None:
    try:
        vectors, usage = read_embeddings(data, n)
    except MalformedReplyError:
        return
    assert len(vectors) == n
    assert len({len(vector) for vector in vectors}) == 1
    assert all(math.isfinite(value) for vector in vectors for value in vector)
    assert usage.prompt_tokens >= 0


@given(st.permutations(range(4)))
def test_vectors_are_in_the_order_of_the_texts(order: list[int]) -> None:
    items = [{"index": index, "embedding": [float(index), 1]} for index in order]
    vectors, usage = read_embeddings({"data": items, "usage": {"prompt_tokens": 7}}, 4)
    assert vectors == [[float(index), 1.0] for index in range(4)]
    assert usage.prompt_tokens == 7
