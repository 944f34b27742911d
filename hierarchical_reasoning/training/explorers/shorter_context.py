"""A model that is held to a shorter context than it has."""

from __future__ import annotations

from collections.abc import Sequence

from llm_backends.token_streams import StreamSettings, TokenSampler, TokenStream


class ShorterContext:
    """A `TokenSampler` whose prefix and stream together have `max_length` tokens at most."""

    def __init__(self, sampler: TokenSampler, max_length: int) -> None:
        self._sampler = sampler
        self._max_length = max_length

    @property
    def end_ids(self) -> frozenset[int]:
        return self._sampler.end_ids

    @property
    def context_length(self) -> int:
        longest = self._sampler.context_length
        return self._max_length if longest is None else min(longest, self._max_length)

    async def draw(
        self,
        prefix: Sequence[int],
        settings: StreamSettings,
        *,
        seed: int,
        max_new_tokens: int,
        name: str | None = None,
        after: str | None = None,
    ) -> TokenStream:
        return await self._sampler.draw(
            prefix, settings, seed=seed, max_new_tokens=max_new_tokens, name=name, after=after
        )
