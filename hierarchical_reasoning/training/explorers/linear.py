"""Independent rollouts: streams that share their prompt alone, as GRPO has them."""

from __future__ import annotations

from collections.abc import Sequence

from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.training.explorers.base import MAX_STREAMS, Grown, Growth, TokenTexts, answer_room
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.settings import LinearSettings
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import Limits
from llm_backends.token_streams import StreamSettings, TokenSampler, TokenStream


class LinearExplorer:
    """Grows trees of one level."""

    def __init__(
        self,
        sampler: TokenSampler,
        texts: TokenTexts,
        sampling: StreamSettings,
        settings: LinearSettings,
        *,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        """
        :param max_streams: calls to the model at once, of all trees together.
        """
        self._sampler = sampler
        self._texts = texts
        self._sampling = sampling
        self._settings = settings
        self._limits = Limits(max_streams)

    async def grow(self, origin: Origin, prompt: Sequence[int]) -> Grown:
        """As `Explorer.grow`."""
        room = answer_room(prompt, self._settings.max_new_tokens, self._sampler.context_length, least=1)

        async def rollout(number: int) -> TokenStream:
            async with self._limits.here().slot():
                return await self._sampler.draw(
                    prompt, self._sampling, seed=origin.stream_seed(f"r{number}"), max_new_tokens=room
                )

        streams = await all_or_none([rollout(number) for number in range(self._settings.n_rollouts)])
        tree = ReasoningTree(origin.problem_id, prompt, self._texts.text(prompt), update=origin.update)
        for stream in streams:
            tree.add(
                tree.root,
                stream.tokens,
                self._texts.text(stream.tokens),
                log_probs=stream.log_probs,
                ended=stream.ended,
            )
        return Grown(tree, Growth(len(streams), sum(len(stream.tokens) for stream in streams)))
