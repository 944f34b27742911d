"""A sampler that plays back distributions made to order, and texts for its tokens."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llm_backends.token_streams import StreamSettings, TokenStream, check_fits

END = 0
WORDS = {END: "", 1: ".", 2: "\n", 3: "?\n", **{token: chr(93 + token) for token in range(4, 30)}}
"""Tokens 1 to 3 end in a delimiter; those from 4 on are letters."""
Distribution = dict[int, float]
"""Probability by token."""
EVEN: Distribution = dict.fromkeys(range(4, 9), 0.2)
"""ln 5 nats."""


class Words:
    """Texts of tokens."""

    def text(self, token_ids: Sequence[int]) -> str:
        return "".join(map(self.token_text, token_ids))

    def token_text(self, token_id: int) -> str:
        return WORDS[token_id]


@dataclass
class PlayedBack:
    """Draws from what `model` says comes after a sequence of tokens."""

    model: Callable[[tuple[int, ...]], Distribution]
    context_length: int | None = None
    end_ids: frozenset[int] = frozenset({END})
    delay: Callable[[], float] = lambda: 0.0
    """Seconds that a draw takes."""
    calls: list[tuple[tuple[int, ...], int, int]] = field(default_factory=list)
    """Prefix, seed and limit of each draw, in the order in which they began."""
    in_flight: int = 0
    most_in_flight: int = 0

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
        check_fits(len(prefix), max_new_tokens, self.context_length)
        self.calls.append((tuple(prefix), seed, max_new_tokens))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(self.delay())
        self.in_flight -= 1
        return self._drawn(tuple(prefix), settings, random.Random(seed), max_new_tokens)

    def _drawn(
        self, prefix: tuple[int, ...], settings: StreamSettings, rng: random.Random, limit: int
    ) -> TokenStream:
        tokens: list[int] = []
        log_probs: list[float] = []
        top: list[tuple[tuple[int, float], ...]] = []
        while len(tokens) < limit and (not tokens or tokens[-1] not in self.end_ids):
            distribution = self.model(prefix + tuple(tokens))
            (token,) = rng.choices(list(distribution), list(distribution.values()))
            ranked = sorted(distribution.items(), key=lambda pair: -pair[1])
            tokens.append(token)
            log_probs.append(math.log(distribution[token]))
            top.append(tuple((each, math.log(p)) for each, p in ranked[: settings.n_top]))
        return TokenStream(tuple(tokens), tuple(log_probs), tuple(top), tokens[-1] in self.end_ids)


def script(*places: int | Distribution) -> Callable[[tuple[int, ...]], Distribution]:
    """A model that writes these after a prompt of one token, whatever it drew: a token for sure, or a distribution.
    Then it ends."""

    def model(before: tuple[int, ...]) -> Distribution:
        at = len(before) - 1
        place = places[at] if at < len(places) else END
        return {place: 1.0} if isinstance(place, int) else place

    return model
