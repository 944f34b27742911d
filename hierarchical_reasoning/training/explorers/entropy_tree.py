"""TreeRPO's trees: rollouts that branch where the model is unsure of how to go on.

The root splits at once. Below it, a stream is drawn to its end and then searched for the places in which it is to be
split (`split_rules`). At each, the tokens drawn already are one child, since drawing on from their first would give the
same distribution; the other child begins with an alternative to that first token, and is a stream of its own. What is
left behind the last of these places may be cut back and continued anew, for coverage; the part taken off is dropped,
because where the cut lies depends on it, so that it is not a fair draw from what stays.

Deviations from the published code, which begins a stream anew for either child, and trains both on all their tokens: a
stream that goes on as a child keeps to the `max_new_tokens` that it had from where it branched off, while its sibling
has all of them again; and the first token of the sibling is a given one, since no policy drew it, so that nothing is
learned from it by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.training.explorers.base import MAX_STREAMS, Grown, TokenTexts, answer_room
from hierarchical_reasoning.training.explorers.forks import ForkFinder
from hierarchical_reasoning.training.explorers.limbs import Branch, Limb, add_limbs, growth
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.settings import EntropyTreeSettings
from hierarchical_reasoning.trees import ReasoningTree
from llm_backends import Limits
from llm_backends.token_streams import StreamSettings, TokenSampler, TokenStream


class EntropyTreeExplorer:
    """Grows trees by TreeRPO's rules."""

    def __init__(
        self,
        sampler: TokenSampler,
        texts: TokenTexts,
        sampling: StreamSettings,
        settings: EntropyTreeSettings,
        *,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        """
        :param sampling: its `n_top` is set to what the rules need.
        :param max_streams: calls to the model at once, of all trees together.
        """
        self._sampler = sampler
        self._texts = texts
        self._sampling = replace(sampling, n_top=settings.entropy_topk)
        self._settings = settings
        self._finder = ForkFinder(settings, texts, sampling.temperature)
        self._limits = Limits(max_streams)

    async def grow(self, origin: Origin, prompt: Sequence[int]) -> Grown:
        """As `Explorer.grow`."""
        room = answer_room(prompt, self._settings.answer_tokens, self._sampler.context_length, least=2)
        one = _Tree(origin, tuple(prompt), room)
        first = await self._limb(one, Branch("", "drawn", (), (), depth=1, parent=None))
        tree = ReasoningTree(origin.problem_id, prompt, self._texts.text(prompt), update=origin.update)
        add_limbs(tree, first, self._texts)
        return Grown(tree, growth(first))

    async def _limb(self, tree: _Tree, branch: Branch) -> Limb:
        """A stream, and then at once all that branch off it."""
        stream = await self._draw(tree, branch)
        forks = self._finder.forks(tree.origin, branch, stream, tree.room)
        work = [self._limb(tree, other) for fork in forks for other in fork.others]
        limbs = iter(await all_or_none(work))
        return Limb(branch, stream, forks, tuple(tuple(next(limbs) for _ in fork.others) for fork in forks))

    async def _draw(self, tree: _Tree, branch: Branch) -> TokenStream:
        if branch.forced and branch.forced[-1] in self._sampler.end_ids:
            return TokenStream((), (), (), ended=True)
        room = min(self._settings.max_new_tokens, tree.room - len(branch.before))
        async with self._limits.here().slot():
            return await self._sampler.draw(
                tree.prompt + branch.before + branch.forced,
                self._sampling,
                seed=tree.origin.stream_seed(branch.place),
                max_new_tokens=room - len(branch.forced),
                name=tree.origin.name(branch.place),
                after=None if branch.parent is None else tree.origin.name(branch.parent),
            )


@dataclass(frozen=True)
class _Tree:
    """What all streams of a tree have in common."""

    origin: Origin
    prompt: tuple[int, ...]
    room: int
    """Tokens that an answer may have."""
