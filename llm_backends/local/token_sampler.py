"""Streams of tokens from a model in this process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llm_backends.local.backend import LocalBackend
from llm_backends.local.jobs import Job
from llm_backends.token_streams import StreamSettings, TokenStream, check_fits
from llm_backends.types import FinishReason, Sampling


class LocalTokenSampler:
    """A `TokenSampler` on the engine of a local backend.

    A stream is a function of prefix, settings, seed and weights, but for the rounding of sums, which may differ where a
    kept prefix has been dropped meanwhile for want of memory. After `LocalBackend.refresh` the new weights draw.
    """

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend

    @property
    def end_ids(self) -> frozenset[int]:
        return self._backend.end_ids

    @property
    def context_length(self) -> int | None:
        return self._backend.context_length

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
        """As `TokenSampler.draw`."""
        check_fits(len(prefix), max_new_tokens, self.context_length)
        job = Job(
            prompt=np.array(prefix, dtype=np.int64),
            sampling=Sampling(
                temperature=settings.temperature,
                top_p=settings.top_p,
                top_k=settings.top_k,
                max_tokens=max_new_tokens,
            ),
            max_new_tokens=max_new_tokens,
            stream_seed=seed,
            n_logprobs=settings.n_top,
            trace_id=name,
            after=after,
            repetition_penalty=settings.repetition_penalty,
            adaptive=settings.adaptive,
        )
        outcome = await self._backend.run(job)
        assert outcome.logprobs is not None
        return TokenStream(
            tokens=outcome.token_ids,
            log_probs=tuple(each.logprob for each in outcome.logprobs),
            top=tuple(each.top for each in outcome.logprobs),
            ended=outcome.finish_reason is FinishReason.STOP,
        )
