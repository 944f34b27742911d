"""Vectors from OpenAI, or any server that speaks its embeddings protocol.

Address and key come from OPENAI_BASE_URL and OPENAI_API_KEY, as the SDK reads them; it also retries.
"""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from taxonomy.errors import BuildError

_BATCH = 256


def server_address() -> str:
    """Where the embeddings come from."""
    return os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"


def served_vectors(texts: Sequence[str], *, model: str) -> NDArray[np.float64]:
    """Unit-length rows, one per text. Blank texts, which servers refuse, are not sent: rows of zeros.

    Raises:
        BuildError: no key, a server that cannot be reached or answers with an error, a reply that leaves
            out a text, or nothing but blank texts.
    """
    import openai

    written = [index for index, text in enumerate(texts) if text.strip()]
    if not written:
        raise BuildError("all texts to embed are blank")
    received: list[list[float]] = []
    try:
        with openai.OpenAI() as client:
            for start in range(0, len(written), _BATCH):
                batch = [texts[index] for index in written[start : start + _BATCH]]
                reply = client.embeddings.create(model=model, input=batch, encoding_format="float")
                ordered = sorted(reply.data, key=lambda item: item.index)
                if [item.index for item in ordered] != list(range(len(batch))):
                    raise BuildError(
                        f"the server sent {len(ordered)} embeddings for {len(batch)} texts, or numbered them wrongly "
                        f"(model {model!r})"
                    )
                received.extend(item.embedding for item in ordered)
    except openai.OpenAIError as error:
        raise BuildError(
            f"no embeddings from {model!r}: {error}; address and key are OPENAI_BASE_URL and OPENAI_API_KEY, "
            "another embedder can be chosen (--embedder)"
        ) from error
    if len({len(vector) for vector in received}) != 1:
        raise BuildError(f"the server sent embeddings of different lengths (model {model!r})")
    values = np.array(received, dtype=np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    vectors = np.zeros((len(texts), values.shape[1]))
    vectors[written] = values / np.where(lengths > 0, lengths, 1)
    return vectors
