"""Embeddings of the scripted server: counts of hashed words, so that texts alike have vectors alike."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_backends.scripted_server.formats import RefusedError
from llm_backends.scripted_server.replies import tokens_of

WIDTH = 16
_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})


@dataclass(frozen=True)
class Embedded:
    """An answer with the vectors of all texts."""

    body: Mapping[str, Any]


def check_embeddings(body: Mapping[str, Any]) -> None:
    """:raises RefusedError: the body has a field that is not known, or texts that real servers refuse."""
    for name in sorted(set(body) - _FIELDS):
        raise RefusedError(f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")
    texts = body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RefusedError("'input' must be a list of strings, at least one", "input")
    if not all(text.strip() for text in texts):
        raise RefusedError("'input' must not contain a blank string", "input")
    if body.get("encoding_format", "float") != "float":
        raise RefusedError("the scripted server knows the encoding format 'float' alone", "encoding_format")


def embeddings_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to a request that is right."""
    texts: list[str] = body["input"]
    n_tokens = sum(len(tokens_of(text)) for text in texts)
    return {
        "object": "list",
        "model": body["model"],
        "data": [
            {"object": "embedding", "index": index, "embedding": vector_of(text)}
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens},
    }


def vector_of(text: str) -> list[float]:
    """Of length 1."""
    counts = [0] * WIDTH
    for token in tokens_of(text):
        counts[zlib.crc32(token.strip().encode()) % WIDTH] += 1
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts]
