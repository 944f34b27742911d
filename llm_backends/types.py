"""What goes into a backend and what comes out of it.

Plain frozen data; what a request may ask of a given backend is checked by `Backend.complete`, because it
depends on the backend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, get_args

from llm_backends.errors import BadRequestError

if TYPE_CHECKING:
    from pydantic import BaseModel

Role = Literal["system", "user", "assistant"]
_ROLES = get_args(Role)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise BadRequestError(f"message role is {self.role!r}; allowed are {', '.join(_ROLES)}")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float = 0.1
    """0 takes the most likely token (or choice) each time."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens whose probabilities reach this sum; 1 keeps all. Not used for
    choices."""
    top_k: int = 0
    """Draw from this many most likely tokens; 0 keeps all. Not used for choices."""
    max_tokens: int = 512
    """At most this many new tokens."""
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these strings."""
    seed: int = 0
    """Requests equal in all else and in this draw the same numbers."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise BadRequestError(f"temperature is {self.temperature}; it must be 0 or more, and finite")
        if not 0.0 < self.top_p <= 1.0:
            raise BadRequestError(f"top_p is {self.top_p}; it must lie in (0, 1], where 1 turns it off")
        if self.top_k < 0:
            raise BadRequestError(f"top_k is {self.top_k}; it must be 0 (off) or more")
        if self.max_tokens < 1:
            raise BadRequestError(f"max_tokens is {self.max_tokens}; it must be 1 or more")
        if isinstance(self.stop, str) or not all(self.stop):
            raise BadRequestError(f"stop is {self.stop!r}; it must be a tuple of strings, none of them empty")


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model."""

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    choices: tuple[str, ...] | None = None
    """The reply must be one of these strings, exactly."""
    schema: type[BaseModel] | None = None
    """The reply must be JSON of this pydantic model."""
    logprobs: int | None = None
    """Log probability of each token of the reply, with this many of the likeliest alternatives; None: not
    wanted."""
    sample_index: int = 0
    """Tells apart independent samples of one and the same question."""
    role: str = "reasoner"
    """Who asks (planner, reasoner, judge, examples): usage is accounted under it."""
    trace_id: str | None = None
    """A hint: requests with one id extend each other, so computed prefixes are worth keeping. Never changes a
    reply."""

    def __post_init__(self) -> None:
        if not self.messages:
            raise BadRequestError("a request needs at least one message; messages is empty")
        if self.logprobs is not None and self.logprobs < 0:
            raise BadRequestError(
                f"logprobs is {self.logprobs}; it must be None or the number of alternatives"
            )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a reply took."""

    prompt_tokens: int = 0
    """All tokens of the prompt, the cached ones included."""
    cached_tokens: int = 0
    """Tokens of the prompt that did not have to be computed again."""
    completion_tokens: int = 0
    """Tokens of the reply, the one that ends it included. For a choice: those of its label, and its end."""
    reasoning_tokens: int = 0
    """The part of `completion_tokens` that went into reasoning."""
    cache_write_tokens: int = 0
    """The part of `prompt_tokens` that was put into the provider's cache, where that has a price of its own."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """What one call took, or several calls together."""

    replies: int = 0
    """Replies received, unusable ones included."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of the replies received."""
    cached_replies: int = 0
    """Replies that had been received before, or that an equal request in flight received: not asked for again."""
    cached_usage: Usage = field(default_factory=Usage)
    """Tokens that these took when they were received."""
    repeats: Mapping[str, int] = field(default_factory=dict)
    """How often something was asked again, by reason: the name of an error of `llm_backends.errors`, or "cut off"."""

    def __add__(self, other: Spent) -> Spent:
        repeats = Counter(self.repeats)
        repeats.update(other.repeats)
        return Spent(
            self.replies + other.replies,
            self.usage + other.usage,
            self.cached_replies + other.cached_replies,
            self.cached_usage + other.cached_usage,
            dict(repeats),
        )


class FinishReason(str, Enum):
    """Why a reply ended."""

    STOP = "stop"
    """The model ended its turn, or wrote a stop string."""
    LENGTH = "length"
    """`max_tokens` or the end of the context was reached first: the reply is cut off."""
    CHOICE = "choice"
    """One of the choices was taken."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of a reply and how likely it was, at temperature 1."""

    token: str
    """Text of this token alone; a token that is part of a character shows as the replacement character."""
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in this place, likeliest first, as (text, log probability)."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply."""

    text: str
    finish_reason: FinishReason
    usage: Usage = field(default_factory=Usage)
    """Summed over every reply it took, when the first was not usable."""
    parsed: BaseModel | None = None
    """The reply as an instance of the request's schema."""
    reasoning: str | None = None
    """What a reasoning model thought before it replied, where the backend tells it apart; no part of `text`."""
    choice_probabilities: Mapping[str, float] | None = None
    """Probability of each choice at temperature 1. They sum to 1, or to less where the backend can tell those of
    some choices only and the others are left out. None where it can tell none."""
    token_logprobs: tuple[TokenLogprob, ...] | None = None
    """Of every token written: the one that ends the reply too, and any that follow a stop string's start."""
    token_limit: int | None = None
    """New tokens that were allowed, where that is not `sampling.max_tokens`."""
    latency_s: float = 0.0
    """Seconds from asking to this reply: the last try only, without waiting for a free slot or between
    tries."""
    attempts: int = 1
    """Tries that it took, failed ones and unusable replies included."""
    from_cache: bool = False
    """It had been received before, or an equal request in flight received it: it was not asked for again."""
    spent: Spent = field(default_factory=lambda: Spent())
    """What it took, over all tries; set by `Backend.complete`."""
