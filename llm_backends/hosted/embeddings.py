"""The protocol of embeddings, which OpenAI, Together and vLLM have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llm_backends.errors import MalformedReplyError
from llm_backends.hosted.reading import count_in, mapping_in, shown
from llm_backends.types import Usage

EMBEDDINGS_AT_ONCE = 256
"""Texts in one call; servers bound them."""


def read_embeddings(data: object, n: int) -> tuple[list[list[float]], Usage]:
    """The vectors of `n` texts, in the order in which these were sent, and what the call took.

    :raises MalformedReplyError: the body is not what the protocol says, leaves out a text, or has vectors of different
        lengths.
    """
    body = mapping_in(data, "the body")
    items = body.get("data")
    if not isinstance(items, list) or len(items) != n:
        raise MalformedReplyError(f"embeddings of {n} texts were asked for; the reply is {shown(body)}")
    numbered = dict(_numbered(mapping_in(item, "an embedding")) for item in items)
    if set(numbered) != set(range(n)):
        raise MalformedReplyError(f"the embeddings of {n} texts are numbered {shown(sorted(numbered))}")
    vectors = [numbered[index] for index in range(n)]
    if len({len(vector) for vector in vectors}) > 1:
        raise MalformedReplyError(f"the embeddings have {shown(sorted(set(map(len, vectors))))} numbers")
    usage = body.get("usage")
    prompt_tokens = 0 if usage is None else count_in(mapping_in(usage, "the usage"), "prompt_tokens")
    return vectors, Usage(prompt_tokens=prompt_tokens)


def _numbered(item: Mapping[str, Any]) -> tuple[int, list[float]]:
    """Which text an embedding is of, and the vector."""
    index, values = item.get("index"), item.get("embedding")
    if isinstance(index, bool) or not isinstance(index, int):
        raise MalformedReplyError(f"the index of an embedding is {shown(index)}; it must be an integer")
    if not isinstance(values, list) or not values or not all(map(_is_finite, values)):
        raise MalformedReplyError(f"an embedding is {shown(values)}; it must be a list of finite numbers")
    return index, [float(value) for value in values]


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # JSON has no largest number
        return False
