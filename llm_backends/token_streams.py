"""Streams of tokens: a prefix of token ids in, the tokens that a model goes on with out.

What trains a model needs the very tokens that were drawn and how likely they were; text in between would lose both.
Knows nothing of trees or of training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_backends.errors import BadRequestError, ContextLengthError

SMALLEST_ENTROPY = 1e-6
"""Nats; what is below counts as this (HAPO)."""


@dataclass(frozen=True, slots=True)
class AdaptiveTemperature:
    """HAPO's temperature: T' = T (1 + tau h_hat), with h_hat in [-1, 1] from the entropy H of a token's raw logits over
    the whole vocabulary::

        h = (log max(H, 1e-6) - m) / s,   h_hat = h scale_pos where h > 0, else h scale_neg,   clamped

    The four numbers are those of the previous batch.
    """

    m: float
    """The pivot: a log entropy."""
    s: float
    """Spread around it; 0 turns the adaptation off."""
    scale_pos: float
    scale_neg: float
    tau: float = 0.05
    """The largest change, as a share of T."""

    def __post_init__(self) -> None:
        for name in ("m", "s", "scale_pos", "scale_neg", "tau"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise BadRequestError(f"{name} of the adaptive temperature is {value}; it must be finite")
            if name != "m" and value < 0:
                raise BadRequestError(f"{name} of the adaptive temperature is {value}; it must be 0 or more")
        if self.tau >= 1:
            raise BadRequestError(
                f"tau is {self.tau}; it must lie in [0, 1), so that no temperature is 0 (--temperature_tau)"
            )

    def numbers(self) -> tuple[float, float, float, float, float]:
        """m, s, scale_pos, scale_neg, tau."""
        return self.m, self.s, self.scale_pos, self.scale_neg, self.tau


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How the tokens of a stream are drawn."""

    temperature: float = 1.0
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens whose probabilities reach this sum; 1 keeps all."""
    top_k: int = 0
    """Draw from this many likeliest tokens; 0 keeps all."""
    repetition_penalty: float = 1.0
    """Logits of tokens that are in the prefix or the stream are divided by this where they are positive, else
    multiplied (Keskar et al., 2019); 1 turns it off. Comes before the temperature."""
    n_top: int = 0
    """How many of the likeliest tokens are told in each place, with their log probabilities."""
    adaptive: AdaptiveTemperature | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise BadRequestError(
                f"temperature is {self.temperature}; it must be 0 or more, and finite (--temperature)"
            )
        if not 0.0 < self.top_p <= 1.0:
            raise BadRequestError(
                f"top_p is {self.top_p}; it must lie in (0, 1], where 1 turns it off (--top_p)"
            )
        if self.top_k < 0:
            raise BadRequestError(f"top_k is {self.top_k}; it must be 0 (off) or more (--top_k)")
        if not 0.0 < self.repetition_penalty < math.inf:
            raise BadRequestError(
                f"repetition_penalty is {self.repetition_penalty}; it must be more than 0, and finite, where 1 turns "
                "it off (--repetition_penalty)"
            )
        if self.n_top < 0:
            raise BadRequestError(f"n_top is {self.n_top}; it must be 0 or more")


@dataclass(frozen=True, slots=True)
class TokenStream:
    """What a model went on with."""

    tokens: tuple[int, ...]
    """The one that ends it included."""
    log_probs: tuple[float, ...]
    """Of each token, at temperature 1 and over the whole vocabulary: of the raw logits, whatever it was drawn from."""
    top: tuple[tuple[tuple[int, float], ...], ...]
    """In each place the `n_top` likeliest tokens as (id, log probability), likeliest first."""
    ended: bool
    """The model ended it; False where the limit did."""


class TokenSampler(Protocol):
    """Where streams come from."""

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a stream."""

    @property
    def context_length(self) -> int | None:
        """Tokens of prefix and stream together that the model can hold; None when unknown."""

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
        """Go on from `prefix` until the model ends the stream, or for `max_new_tokens`.

        :param seed: of this stream, 0 to 2^63 - 1: the same seed, prefix and settings draw the same tokens.
        :param name: what is computed is kept under this name, for later streams.
        :param after: the name of a stream with which this one shares the most of its prefix. Names are hints; they
            never change what is drawn.
        :raises ContextLengthError: prefix and stream do not fit into the model's context.
        :raises BackendError: the tree in `llm_backends.errors`.
        """


def check_fits(n_prefix: int, max_new_tokens: int, context_length: int | None) -> None:
    """What every sampler checks before it draws.

    :raises BadRequestError: there is nothing to go on from, or nothing is to be drawn.
    :raises ContextLengthError: prefix and stream do not fit into the model's context.
    """
    if n_prefix < 1:
        raise BadRequestError("the prefix of a stream is empty; it needs one token or more")
    if max_new_tokens < 1:
        raise BadRequestError(f"max_new_tokens is {max_new_tokens}; it must be 1 or more (--max_new_tokens)")
    if context_length is not None and n_prefix + max_new_tokens > context_length:
        raise ContextLengthError(
            f"a prefix of {n_prefix} tokens and a stream of up to {max_new_tokens} do not fit into the context of "
            f"{context_length}; lower --max_new_tokens"
        )
