"""Vectors from a server of embeddings, for models whose states are out of reach.

The vector of a place is the embedding of the whole text, problem and thoughts, and behind it that of the last text
alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from llm_backends import MalformedReplyError

if TYPE_CHECKING:
    from hierarchical_reasoning.values.base import Place
    from hierarchical_reasoning.values.encoders.base import Vectors
    from llm_backends.hosted.chat_completions import ChatCompletionsBackend

ROLE = "value head"
"""Whom the backend's meter names."""
Embed: TypeAlias = "Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]"
"""Vectors of texts, in their order."""


class ServedEmbeddings:
    """The embeddings of an OpenAI-compatible server. Those of one `encode` are asked for together, each text once."""

    def __init__(self, backend: ChatCompletionsBackend) -> None:
        """
        Args:
            backend: one whose model is for embeddings. It limits, counts and caches calls.
        """
        self.backend = backend
        self._embed: Embed = self._from_backend
        self._widths: set[int] = set()
        """Of all embeddings so far: one, or none yet."""

    @property
    def name(self) -> str:
        return f"embeddings of {self.backend.model_name}"

    def by(self, embed: Embed) -> ServedEmbeddings:
        """The same, with `embed` in place of the backend's, such as one that pays for what it asks."""
        other = ServedEmbeddings(self.backend)
        other._embed, other._widths = embed, self._widths
        return other

    async def encode(self, places: Sequence[Place]) -> Vectors:
        """A last thought that is blank is a row of zeros.

        Raises:
            BackendError: the server does not answer, or gives vectors of other lengths than before.
        """
        import numpy as np

        wholes = ["\n".join(place.texts) for place in places]
        lasts = [place.texts[-1] for place in places]
        texts = list(dict.fromkeys(text for text in (*wholes, *lasts) if text.strip()))
        vectors = np.array(await self._embed(texts), dtype=np.float32)
        self._check_width(vectors.shape[1])
        row_of = {text: row for row, text in enumerate(texts)}
        blank = np.zeros((1, vectors.shape[1]), dtype=np.float32)
        rows = np.concatenate([vectors, blank])
        found: Vectors = np.concatenate(
            [rows[[row_of.get(text, -1) for text in wanted]] for wanted in (wholes, lasts)], axis=1
        )
        return found

    def _check_width(self, width: int) -> None:
        if self._widths - {width}:
            raise MalformedReplyError(
                f"the embeddings of {self.backend.model_name!r} have {width} numbers, and had {min(self._widths)} "
                "before; a value head needs vectors of one length (--embedding_model_name)"
            )
        self._widths.add(width)

    async def _from_backend(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors, _ = await self.backend.embed(texts, role=ROLE)
        return vectors
