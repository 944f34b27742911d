"""The seam: `Request` in, `Completion` out, whatever writes the text.

A backend is one class with one coroutine, `_complete`. Everything that every backend needs alike is here and
wraps it: checks of the request against what the backend can do, the cache of replies, limits, time-outs, retries
of transient errors, asking again when a reply is not usable, accounting, and keeping keys out of what is said.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, ClassVar, TypedDict, TypeVar

import pydantic
import tenacity

from llm_backends.accounting import UsageMeter
from llm_backends.cache import ReplyCache, request_key
from llm_backends.closing import AsyncClosing
from llm_backends.errors import (
    BackendError,
    BadRequestError,
    EmptyReplyError,
    OutOfTokensError,
    RateLimitError,
    RequestTimeoutError,
    TransientError,
    UnparsedChoiceError,
    UnparsedReplyError,
    UnparsedSchemaError,
    UnsupportedError,
)
from llm_backends.in_flight import InFlight, SharedError
from llm_backends.limits import Limits
from llm_backends.types import Completion, FinishReason, Message, Request, Spent, Usage

T = TypeVar("T")

CUT_OFF = "cut off"
"""In `Spent.repeats`: a reply ended before its limit on tokens, without the model having ended it."""
_REDACTED = "[redacted key]"
_SHORTEST_KEY = 8
"""A shorter one, such as "none" for a server that wants no key, is no secret, and occurs in ordinary words."""
_LONGEST_REPLY_SHOWN = 200
_LONGEST_WAIT_S = 600.0
"""Of a server's wish, and of all waits on one call's rate limit errors together."""
_exponential_jitter = tenacity.wait_exponential_jitter(initial=1.0, max=60.0, jitter=1.0)


class BackendOptions(TypedDict, total=False):
    """The options that every backend takes, for constructors that pass them on."""

    max_concurrency: int
    requests_per_minute: float | None
    limits: Limits | None
    max_retries: int
    max_choice_attempts: int
    timeout_s: float | None
    cache: ReplyCache | None
    secrets: Sequence[str]
    sleep: Callable[[float], Awaitable[None]]


class Backend(AsyncClosing, ABC):
    """Where text comes from.

    A subclass sets `name` and its capability flags, and writes `_complete`. It raises from the tree in
    `llm_backends.errors` and leaves retrying to this class.
    """

    name: ClassVar[str]
    supports_choices: ClassVar[bool] = False
    supports_choice_probabilities: ClassVar[bool] = False
    supports_schema: ClassVar[bool] = False
    supports_logprobs: ClassVar[bool] = False
    supports_seed: ClassVar[bool] = False
    cheap_to_make: ClassVar[bool] = False
    """Making one takes no time and no memory, so that wrong settings can be found by making one early."""
    empty_is_a_fault: ClassVar[bool] = True
    """Servers now and then answer with nothing; from a model in this process, an empty reply is what it said."""

    def __init__(
        self,
        model_name: str,
        *,
        max_concurrency: int = 64,
        requests_per_minute: float | None = None,
        limits: Limits | None = None,
        max_retries: int = 5,
        max_choice_attempts: int = 3,
        timeout_s: float | None = None,
        cache: ReplyCache | None = None,
        secrets: Sequence[str] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        :param max_concurrency: calls of `_complete` in flight at once; the others wait their turn. Fewer after
            a rate limit error, until replies come again.
        :param requests_per_minute: calls started per minute at most, evenly spaced; None for no bound. Fewer
            after a rate limit error.
        :param limits: bounds shared with other backends, instead of the two above.
        :param max_retries: further tries after a transient error; 0 means that the first one is raised. After rate
            limit errors there may be more, until ten minutes have been waited.
        :param max_choice_attempts: how often a model is asked before a reply that is none of the choices, does
            not match the schema, or is empty, is an error. One that was cut off is taken as it is in the end.
        :param timeout_s: seconds for one try; None for no bound.
        :param cache: replies received before, and where new ones are kept; the caller closes it.
        :param secrets: taken out of errors and replies.
        :param sleep: waits between tries.
        """
        for option, value, least in (
            ("max_concurrency", max_concurrency, 1),
            ("max_retries", max_retries, 0),
            ("max_choice_attempts", max_choice_attempts, 1),
        ):
            if value < least:
                raise BadRequestError(f"{option} is {value}; it must be {least} or more")
        for option, seconds in (("requests_per_minute", requests_per_minute), ("timeout_s", timeout_s)):
            if seconds is not None and not 0 < seconds < float("inf"):
                raise BadRequestError(f"{option} is {seconds}; it must be more than 0, and finite")
        self.model_name = model_name
        self.max_concurrency = max_concurrency
        self.max_retries = max_retries
        self.max_choice_attempts = max_choice_attempts
        self.requests_per_minute = requests_per_minute
        self.timeout_s = timeout_s
        self.cache = cache
        self.meter = UsageMeter()
        self.notes: list[str] = []
        """What was done otherwise than asked, each thing once; for the user to see, and for the record."""
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_KEY)
        self._sleep = sleep
        self._limits = limits or Limits(max_concurrency, requests_per_minute)
        self._calls: InFlight[Completion] = InFlight()

    @abstractmethod
    async def _complete(self, request: Request) -> Completion:
        """Answer once. `request` has been checked; `latency_s` and `attempts` are set by the caller."""

    @property
    def context_length(self) -> int | None:
        """Tokens of prompt and reply together that the model can hold; None when unknown."""
        return None

    def count_tokens(self, messages: Sequence[Message], *, completion: bool = True) -> int | None:
        """Tokens that these messages take as a prompt; None when unknown.

        :param completion: count the tokens that open the reply as well, as a request would.
        """
        return None

    def cache_identity(self) -> Mapping[str, object]:
        """What, besides the request and the model's name, can change a reply: a server's address, the weights.
        Values that JSON can hold."""
        return {}

    def note(self, text: str) -> None:
        """Say once that something is done otherwise than asked."""
        if text not in self.notes:
            self.notes.append(self._redacted(text))

    async def complete(self, request: Request) -> Completion:
        """Answer `request`.

        With `choices` the text of the result is one of them; with `schema`, `parsed` is an instance of it. A
        reply that is not, or is empty, or was cut off before its limit, is asked for again. Equal requests in flight
        together are answered by one call, and fail with it; the one that began it accounts for it. Above temperature 0
        that is so only with a cache, which would answer the later ones from the first too, but for a reply that ended
        at its limit, which it does not keep.

        :raises BackendError: the tree in `llm_backends.errors`, with `spent` set; transient errors only after
            `max_retries` more tries.
        """
        self._check(request)
        if request.sampling.temperature > 0 and self.cache is None:
            return await self._answered(request, None)
        key = request_key(self.name, self.model_name, self.cache_identity(), request)
        known = self._known(key, request)
        if known is not None:
            self.meter.add(request.role, known.spent)
            return known
        return await self._shared(request, key)

    async def _shared(self, request: Request, key: str) -> Completion:
        """The answer to a request that is equal to any other of its key."""
        try:
            completion, ours = await self._calls.joined(key, lambda: self._answered(request, key))
        except SharedError as error:
            failure = error.__cause__
            if not isinstance(failure, BackendError):
                raise
            ours_too = copy(failure)
            ours_too.role, ours_too.spent = request.role, Spent()
            raise ours_too from failure
        if ours:
            return completion
        spent = Spent(cached_replies=1, cached_usage=completion.usage)
        self.meter.add(request.role, spent)
        return replace(completion, from_cache=True, spent=spent)

    async def _answered(self, request: Request, key: str | None) -> Completion:
        """Ask, account for it, and keep the reply under `key`."""
        if not self.supports_seed and request.sampling.temperature > 0:
            self.note(f"{self.name} takes no seed, so the same request may get another reply")
        repeats: Counter[str] = Counter()
        received: list[Usage] = []
        try:
            completion = await self._ask_until_usable(request, received, repeats)
        except BackendError as error:
            error.role = request.role
            error.spent = Spent(len(received), sum(received, Usage()), repeats=dict(repeats))
            self._redact_error(error)
            self.meter.add(request.role, error.spent)
            raise
        spent = Spent(len(received), completion.usage, repeats=dict(repeats))
        self.meter.add(request.role, spent)
        if key is not None and self.cache is not None and completion.finish_reason is not FinishReason.LENGTH:
            self.cache.put(key, completion, self.notes)
        return replace(completion, spent=spent)

    def _known(self, key: str, request: Request) -> Completion | None:
        """A reply received before, with what was noted then; None where there is none that can still be used."""
        kept = None if self.cache is None else self.cache.get(key)
        if kept is None:
            return None
        try:
            usable = self._parse(request, kept.completion)
        except UnparsedReplyError:
            return None  # what makes a reply usable has changed since
        for note in kept.notes:
            self.note(note)
        return replace(usable, spent=Spent(cached_replies=1, cached_usage=usable.usage))

    async def check_model(self) -> None:
        """Find out what is better known before the first request, such as whether the server is there and has the
        model.

        :raises BackendError: it is not.
        """
        return

    async def aclose(self) -> None:
        """Release what the backend holds. Calls in flight fail; calling it twice is fine."""
        return

    def _check(self, request: Request) -> None:
        for asked, supported, what in (
            (request.choices is not None, self.supports_choices, "choices"),
            (request.schema is not None, self.supports_schema, "a schema"),
            (request.logprobs is not None, self.supports_logprobs, "logprobs"),
        ):
            if asked and not supported:
                raise UnsupportedError(
                    f"the request asks for {what}, which the backend {self.name!r} (model "
                    f"{self.model_name!r}) does not support; take another backend with --llm_framework"
                )
        if request.choices is not None:
            if request.schema is not None:
                raise BadRequestError("a request may ask for choices or for a schema, not for both")
            if not request.choices:
                raise BadRequestError("choices is empty; give at least one, or None for free text")
            if "" in request.choices:
                raise BadRequestError(f"choices has an empty string in it: {request.choices!r}")
            if len(set(request.choices)) < len(request.choices):
                raise BadRequestError(f"choices must be distinct; they are {request.choices!r}")

    async def _ask_until_usable(
        self, request: Request, received: list[Usage], repeats: Counter[str]
    ) -> Completion:
        """The first usable reply. `received` gets the usage of every reply, `repeats` why there were several."""
        asking = request
        for attempts_left in range(self.max_choice_attempts - 1, -1, -1):
            completion = await self._ask(asking, repeats)
            received.append(completion.usage)
            try:
                usable = self._parse(request, completion)
            except UnparsedReplyError as error:
                if not attempts_left:
                    raise
                repeats[type(error).__name__] += 1
            else:
                if not attempts_left or not self._cut_off_early(request, usable):
                    tries = len(received) + sum(n for name, n in repeats.items() if name in _TRANSIENT)
                    return replace(usable, usage=sum(received, Usage()), attempts=tries)
                repeats[CUT_OFF] += 1
            asking = self._ask_again(request, completion.text, self.max_choice_attempts - attempts_left)
        raise AssertionError("the last attempt returns or raises")

    def _ask_again(self, request: Request, reply: str, asked_before: int) -> Request:
        """The request after a reply that was not usable: another seed, so that a seeded backend can answer
        otherwise. The reply of the last request is `reply`; `request` is the first one."""
        return replace(request, sampling=replace(request.sampling, seed=request.sampling.seed + asked_before))

    async def _ask(self, request: Request, repeats: Counter[str]) -> Completion:
        async def attempt() -> Completion:
            return await self._try_once(request)

        return await self._retried(attempt, repeats)

    async def _retried(self, attempt: Callable[[], Coroutine[Any, Any, T]], repeats: Counter[str]) -> T:
        def count(state: tenacity.RetryCallState) -> None:
            assert state.outcome is not None
            repeats[type(state.outcome.exception()).__name__] += 1

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=self._gives_up,
            wait=_seconds_before_next_try,
            before_sleep=count,
            sleep=self._sleep,
            reraise=True,
        )
        result: T = await retrying(attempt)
        return result

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        """Whether there is no further try. Rate limits are bounded by time: windows of a minute are usual."""
        assert state.outcome is not None
        error = state.outcome.exception()
        if isinstance(error, TransientError) and (error.retry_after or 0.0) > _LONGEST_WAIT_S:
            return True
        if state.attempt_number <= self.max_retries:
            return False
        limited = isinstance(error, RateLimitError) and self.max_retries > 0
        return not limited or state.idle_for >= _LONGEST_WAIT_S

    async def _try_once(self, request: Request) -> Completion:
        completion, latency = await self._limited(lambda: self._complete(request))
        if self._secrets:
            completion = replace(
                completion,
                text=self._redacted(completion.text),
                reasoning=completion.reasoning and self._redacted(completion.reasoning),
            )
        return replace(completion, latency_s=latency)

    async def _limited(self, call: Callable[[], Awaitable[T]]) -> tuple[T, float]:
        """The result of a call that takes a slot and may take no longer than allowed, and its seconds."""
        limiter = self._limits.here()
        async with limiter.slot() as slot_taken:
            started = time.perf_counter()
            try:
                result = await self._within_time(call)
            except RateLimitError:
                limiter.throttled(slot_taken)
                raise
        limiter.replied()
        return result, time.perf_counter() - started

    async def _within_time(self, call: Callable[[], Awaitable[T]]) -> T:
        if self.timeout_s is None:
            return await call()
        try:
            return await asyncio.wait_for(call(), self.timeout_s)
        except asyncio.TimeoutError as error:
            raise RequestTimeoutError(
                f"{self.name} gave no reply within {self.timeout_s:g} seconds (--request_timeout)"
            ) from error

    def _cut_off_early(self, request: Request, completion: Completion) -> bool:
        """Whether the reply ended for want of room although there was some: then it was the server that failed."""
        if completion.finish_reason is not FinishReason.LENGTH:
            return False
        usage = completion.usage
        allowed = request.sampling.max_tokens if completion.token_limit is None else completion.token_limit
        if not 0 < usage.completion_tokens < allowed:
            return False
        context = self.context_length
        return context is None or usage.prompt_tokens + usage.completion_tokens < context

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _REDACTED)
        return text

    def _redact_error(self, error: BaseException | None) -> None:
        """Take secrets out of an error's message, and out of those that led to it."""
        seen: set[int] = set()
        while error is not None and self._secrets and id(error) not in seen:
            seen.add(id(error))
            error.args = tuple(self._redacted(arg) if isinstance(arg, str) else arg for arg in error.args)
            error = error.__cause__ or error.__context__

    def _parse(self, request: Request, completion: Completion) -> Completion:
        bound = request.choices is not None or request.schema is not None
        if bound and completion.finish_reason is FinishReason.LENGTH and not completion.text.strip():
            raise OutOfTokensError(
                f"the model {self.model_name!r} spent all its {completion.usage.completion_tokens} tokens "
                f"({completion.usage.reasoning_tokens} of them on reasoning) before it said anything; allow more "
                "(--max_choice_tokens; with --joint --max_thought_tokens)"
            )
        if request.choices is not None and completion.text not in request.choices:
            allowed = ", ".join(map(repr, request.choices))
            raise UnparsedChoiceError(
                f"the model {self.model_name!r} was asked {self.max_choice_attempts} times for one of "
                f"{len(request.choices)} choices, {_shortened(allowed)}; its last "
                f"reply was {_shortened(repr(completion.text))}"
            )
        if request.schema is not None and completion.parsed is None:
            try:
                return replace(completion, parsed=request.schema.model_validate_json(completion.text))
            except pydantic.ValidationError as error:
                raise UnparsedSchemaError(
                    f"the model {self.model_name!r} was asked {self.max_choice_attempts} times for JSON "
                    f"of the schema {request.schema.__name__}; its last reply was "
                    f"{_shortened(repr(completion.text))}: {_shortened(str(error))}"
                ) from error
        free_text = (
            self.empty_is_a_fault
            and request.choices is None
            and request.schema is None
            and not request.sampling.stop
        )
        if free_text and completion.finish_reason is FinishReason.STOP and not completion.text.strip():
            raise EmptyReplyError(
                f"the model {self.model_name!r} was asked {self.max_choice_attempts} times, and its last reply was "
                f"empty ({completion.usage.completion_tokens} tokens)"
            )
        return completion


_TRANSIENT = frozenset(error.__name__ for error in TransientError.__subclasses__())


def _seconds_before_next_try(state: tenacity.RetryCallState) -> float:
    """What the server asked for, plus jitter so that not everyone returns at once; else exponential with
    jitter."""
    assert state.outcome is not None
    error = state.outcome.exception()
    if isinstance(error, TransientError) and error.retry_after is not None:
        return max(0.0, error.retry_after) + random.uniform(0.0, 1.0)
    return _exponential_jitter(state)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_REPLY_SHOWN:
        return text
    return f"{text[:_LONGEST_REPLY_SHOWN]}... ({len(text)} characters)"
