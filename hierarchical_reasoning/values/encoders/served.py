"""Vectors from a server of embeddings, for models whose states are out of reach.

The vector of a place is the embedding of the whole text, problem and thoughts, and behind it that of the last text
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hierarchical_reasoning.values.base import Place
    from hierarchical_reasoning.values.encoders.base import Vectors
    from llm_backends.hosted.chat_completions import ChatCompletionsBackend

ROLE = "value head"
"""Whom the backend's meter names."""


class ServedEmbeddings:
    """The embeddings of an OpenAI-compatible server."""

    def __init__(self, backend: ChatCompletionsBackend) -> None:
        """
        Args:
            backend: one whose model is for embeddings. It limits and counts calls.
        """
        self._backend = backend

    @property
    def name(self) -> str:
        return f"embeddings of {self._backend.model_name}"

    async def encode(self, places: Sequence[Place]) -> Vectors:
        """Raises BackendError where the server does not answer. A last thought that is blank is a row of zeros."""
        import numpy as np

        wholes = ["\n".join(place.texts) for place in places]
        lasts = [place.texts[-1] for place in places]
        texts = list(dict.fromkeys(text for text in (*wholes, *lasts) if text.strip()))
        vectors = np.array(await self._backend.embed(texts, role=ROLE), dtype=np.float32)
        row_of = {text: row for row, text in enumerate(texts)}
        blank = np.zeros((1, vectors.shape[1]), dtype=np.float32)
        rows = np.concatenate([vectors, blank])
        found: Vectors = np.concatenate(
            [rows[[row_of.get(text, -1) for text in wanted]] for wanted in (wholes, lasts)], axis=1
        )
        return found
