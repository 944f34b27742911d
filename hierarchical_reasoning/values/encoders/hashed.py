"""Vectors without any model: hashed words and characters, so that values can be learned with every backend.

Weinberger, K. et al. (2009), "Feature hashing for large scale multitask learning". Weaker than the states of a model,
which has read the problem: these know which words stand where, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierarchical_reasoning.values.base import Place
    from hierarchical_reasoning.values.encoders.base import Vectors

_WORD_OR_SIGN = r"\w+|[^\w\s]"
_WIDTH = 128
"""Of each block."""


class HashedWords:
    """Blocks side by side: words and pairs of words of the problem, of the thoughts before the last one, and of the
    last one; its characters in threes and fours; and the number of thoughts."""

    name = "hashed words"

    async def encode(self, places: Sequence[Place]) -> Vectors:
        import numpy as np

        words, characters = self._vectorizers
        last = [place.thoughts[-1] if place.thoughts else "" for place in places]
        blocks = [
            words.transform([place.problem.text for place in places]).toarray(),
            words.transform(["\n".join(place.thoughts[:-1]) for place in places]).toarray(),
            words.transform(last).toarray(),
            characters.transform(last).toarray(),
            [[len(place.thoughts)] for place in places],
        ]
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    @cached_property
    def _vectorizers(self) -> tuple[Any, Any]:
        from sklearn.feature_extraction.text import HashingVectorizer

        return (
            HashingVectorizer(n_features=_WIDTH, ngram_range=(1, 2), token_pattern=_WORD_OR_SIGN),
            HashingVectorizer(n_features=_WIDTH, analyzer="char_wb", ngram_range=(3, 4)),
        )
