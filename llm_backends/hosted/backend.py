"""What the hosted backends share: a client for each event loop, the way through an SDK, what a model does not take.

Calls go through the SDK's `post`, its lower level: `create` builds an object of every field, which costs a
multiple of all the rest of a call. The SDK's own retries are off, as the base class retries.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args
from urllib.request import getproxies

from llm_backends.base import Backend, BackendOptions
from llm_backends.errors import (
    BackendClosedError,
    BadRequestError,
    MalformedReplyError,
    UnsupportedError,
)
from llm_backends.hosted.addresses import is_loopback
from llm_backends.hosted.connections import many_connections
from llm_backends.hosted.in_words import none_of_the_options
from llm_backends.hosted.matching import match_choice, unfenced
from llm_backends.hosted.parameters import (
    MAX_TOKENS_NAMES,
    max_tokens_name,
    refused_parameter,
    refuses_formats,
)
from llm_backends.hosted.reading import ServerReply, shown
from llm_backends.hosted.sdk_errors import Refusal, backend_error, refusal_in, root_error
from llm_backends.types import Completion, FinishReason, Message, Request, Usage

if TYPE_CHECKING:
    from typing_extensions import Unpack

StructuredOutput = Literal["auto", "json_schema", "words"]
_MOST_CONNECTIONS = 1000
_CONNECT_S = 10.0
_TOKENS_AROUND_CHOICE = 32
"""For the JSON or the markdown around a choice."""
_BYTES_PER_TOKEN = 3
_TOKENS_AROUND_MESSAGE = 8


class HostedBackend(Backend):
    """A server behind an SDK. A subclass says how a request is put, and how the answer is read."""

    supports_choices = True
    supports_schema = True
    cheap_to_make = True
    estimates_tokens: ClassVar[bool] = True
    """`count_tokens` gives an estimate, on the safe side: the tokenizer is the server's."""
    _models_path: ClassVar[str] = "/models"

    def __init__(
        self,
        model_name: str,
        *,
        base_url: str,
        api_key: str,
        structured_output: StructuredOutput,
        extra_body: Mapping[str, object] | None,
        **options: Unpack[BackendOptions],
    ) -> None:
        if structured_output not in get_args(StructuredOutput):
            raise BadRequestError(
                f"structured_output is {structured_output!r}; allowed are {', '.join(get_args(StructuredOutput))}"
            )
        options["secrets"] = (*options.get("secrets", ()), api_key)
        super().__init__(model_name, **options)
        self.base_url = base_url
        self.structured_output = structured_output
        self.extra_body = dict(extra_body or {})
        self._api_key = api_key
        self._in_words = structured_output == "words"
        self._left_out: set[str] = set()
        self._client: tuple[asyncio.AbstractEventLoop, Any] | None = None
        self._in_flight: set[asyncio.Future[object]] = set()
        self._closed = False

    @abstractmethod
    def _sdk(self) -> ModuleType:
        """The SDK."""

    @abstractmethod
    def _new_client(self) -> Any:
        """A client of the SDK; it belongs to the event loop that first uses it."""

    @abstractmethod
    def _body(self, request: Request) -> dict[str, Any]:
        """The request as the server wants it, without what it turned out not to take."""

    @abstractmethod
    async def _answer(self, body: dict[str, Any]) -> ServerReply:
        """Send it, and read the answer."""

    def cache_identity(self) -> Mapping[str, object]:
        return {
            "base_url": self.base_url,
            "structured_output": self.structured_output,
            "extra_body": self.extra_body,
        }

    def count_tokens(self, messages: Sequence[Message], *, completion: bool = True) -> int:
        """An estimate on the safe side: a token for every three bytes of UTF-8, where four or more are usual in
        English prose, and eight for what a chat template puts around a message."""
        sizes = [len(message.content.encode(errors="surrogatepass")) for message in messages]
        return sum(ceil(size / _BYTES_PER_TOKEN) + _TOKENS_AROUND_MESSAGE for size in sizes)

    async def check_model(self) -> None:
        self._client_here()  # imports the SDK, which takes the better part of a second

    async def aclose(self) -> None:
        self._closed = True
        for call in tuple(self._in_flight):
            call.cancel()
        if self._client is not None:
            loop, client = self._client
            self._client = None
            # The connections of a loop that has ended went with it.
            if loop is asyncio.get_running_loop():
                await client.close()

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, retried: bool = True) -> object:
        """The decoded answer to a call that is no chat completion, limited in time and number as those are.

        :param path: from the client's base URL, or a whole address.
        :param retried: try again after a transient error.
        :raises BackendError: the server cannot be reached, or refuses.
        """

        async def once() -> object:
            try:
                return await self._call("post", path, body)
            except RefusedError as error:
                raise error.meaning from error.__cause__

        async def limited() -> object:
            return (await self._limited(once))[0]

        return await self._retried(limited, Counter()) if retried else await limited()

    async def list_models(self) -> tuple[str, ...]:
        """The names of the models that the server says it has, in its order.

        :raises BackendError: it cannot be reached, refuses the key, or lists none.
        """
        return tuple(str(card["id"]) for card in await self._model_cards())

    async def _model_cards(self) -> list[Mapping[str, Any]]:
        try:
            answer = await self._call("get", self._models_path)
        except RefusedError as error:
            raise error.meaning from error.__cause__
        cards = answer.get("data") if isinstance(answer, Mapping) else answer
        if not isinstance(cards, list) or not all(
            isinstance(card, Mapping) and "id" in card for card in cards
        ):
            raise MalformedReplyError(
                f"{self.base_url} sent a list of models without any: {shown(self._redacted(repr(answer)))}"
            )
        return cards

    async def _complete(self, request: Request) -> Completion:
        self._check_leavings(request)
        body = self._body(request)
        while True:
            try:
                reply = await self._answer(body)
            except RefusedError as error:
                if not self._adapt(request, body, error.refusal):
                    raise error.meaning from error.__cause__
                body = self._body(request)
            else:
                return self._read(request, body, reply)

    def _read(self, request: Request, body: Mapping[str, Any], reply: ServerReply) -> Completion:
        if reply.usage is None:
            self.note(f"{self.base_url} reports no token usage; tokens are counted as 0")
        text, finish_reason = reply.text, reply.finish_reason
        choice = None if request.choices is None else match_choice(text, request.choices)
        if choice is not None:
            text, finish_reason = choice, FinishReason.CHOICE
        elif request.schema is not None:
            text = unfenced(text)
        limit = self._limit(body, reply)
        return Completion(
            text=text,
            finish_reason=finish_reason,
            usage=reply.usage or Usage(),
            reasoning=reply.reasoning,
            token_limit=None if limit == request.sampling.max_tokens else limit,
        )

    def _limit(self, body: Mapping[str, Any], reply: ServerReply) -> int | None:
        """New tokens that were allowed; None when that is not known, as no limit was sent and none was reached."""
        if reply.token_limit is not None:
            return reply.token_limit
        name = max_tokens_name(body)
        if name is not None:
            limit: int = body[name]
            return limit
        if reply.finish_reason is FinishReason.LENGTH and reply.usage is not None:
            return reply.usage.completion_tokens
        return None

    def _ask_again(self, request: Request, reply: str, asked_before: int) -> Request:
        again = super()._ask_again(request, reply, asked_before)
        if request.choices is None or not self._in_words or not reply.strip():
            return again
        return replace(again, messages=none_of_the_options(request.messages, reply, request.choices))

    def _check_leavings(self, request: Request) -> None:
        """:raises UnsupportedError: the request is about something that the model does not take."""
        if request.logprobs is not None and "logprobs" in self._left_out:
            raise UnsupportedError(
                f"{self.name} gives no logprobs for the model {self.model_name!r}, but they are asked for"
            )

    def _adapt(self, request: Request, body: Mapping[str, Any], refusal: Refusal) -> bool:
        """Leave out what the server refused, for the rest of this backend's life; False when the request would stay
        the same, as with what the user gives as `extra_body`.

        Calls in flight together may be refused the same thing, so what counts is whether this body had it.

        :raises UnsupportedError: it is what the request is about.
        """
        name = refused_parameter(refusal, body)
        if name in self.extra_body:
            return False
        if name is not None:
            if name in ("logprobs", "top_logprobs") and request.logprobs is not None:
                raise UnsupportedError(
                    f"{self.name} gives no such logprobs for the model {self.model_name!r} as are asked for: "
                    f"{refusal.message}"
                )
            self._leave_out(name, refusal)
        elif self._may_ask_in_words(body) and refuses_formats(refusal) and not self._in_words:
            self._in_words = True
            self.note(
                f"the model {self.model_name!r} takes no structured output ({refusal.message}); choices and JSON are "
                "asked for in words"
            )
        return self._body(request) != body

    def _leave_out(self, name: str, refusal: Refusal) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            self.note(f"the model {self.model_name!r} takes no {name}; it is left out ({refusal.message})")

    def _may_ask_in_words(self, body: Mapping[str, Any]) -> bool:
        ours = self._has_format(body) and not self._has_format(self.extra_body)
        return ours and self.structured_output == "auto"

    def _has_format(self, body: Mapping[str, Any]) -> bool:
        """Whether the body constrains the form of the reply, so that asking in words is a way out."""
        return "response_format" in body

    def _without_leavings(self, body: dict[str, Any]) -> dict[str, Any]:
        left_out = self._left_out
        if max_tokens_name(self.extra_body) is not None:
            left_out = left_out.union(MAX_TOKENS_NAMES)  # they would contradict each other
        return {name: value for name, value in body.items() if name not in left_out} | self.extra_body

    async def _call(
        self, method: Literal["get", "post"], path: str, body: Mapping[str, Any] | None = None
    ) -> object:
        """The decoded answer to one call.

        :raises BackendError: a `RefusedError` when the server answered with a status of failure.
        """
        if self._closed:
            raise self._closed_error()
        client = self._client_here()
        sdk = self._sdk()
        if method == "get":
            call = asyncio.ensure_future(client.get(path, cast_to=object))
        else:
            call = asyncio.ensure_future(client.post(path, cast_to=object, body=body))
        self._in_flight.add(call)
        try:
            return await call
        except asyncio.CancelledError:
            if self._closed and call.cancelled():
                raise self._closed_error() from None
            raise
        except (root_error(sdk), ValueError, RecursionError) as error:
            refusal = refusal_in(error)
            meaning = backend_error(
                error, sdk, backend=self.name, model_name=self.model_name, redacted=self._redacted
            )
            self._redact_error(error)
            if refusal is None:
                raise meaning from error
            raise RefusedError(replace(refusal, message=self._redacted(refusal.message)), meaning) from error
        finally:
            self._in_flight.discard(call)

    def _client_here(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            self._client = (loop, self._new_client())
        return self._client[1]

    def _client_options(self, http: ModuleType, sdk: ModuleType) -> dict[str, Any]:
        """The options that every SDK's client takes; `http` is the library under it, httpx or its successor."""
        timeout = http.Timeout(self.timeout_s, connect=min(_CONNECT_S, self.timeout_s or _CONNECT_S))
        # A proxy set in the environment cannot reach this machine's own addresses; elsewhere it must be used, which
        # a client with a transport of ours would not do.
        local = is_loopback(self.base_url)
        if local or not getproxies():
            connections = {"transport": many_connections(http)}
        else:
            most = max(_MOST_CONNECTIONS, self.max_concurrency)
            connections = {"limits": http.Limits(max_connections=most, max_keepalive_connections=most)}
        return {
            "api_key": self._api_key,
            "base_url": self.base_url,
            "max_retries": 0,
            "timeout": timeout,
            "http_client": sdk.DefaultAsyncHttpxClient(timeout=timeout, trust_env=not local, **connections),
        }

    def _closed_error(self) -> BackendClosedError:
        return BackendClosedError(f"the backend {self.name!r} (model {self.model_name!r}) is closed")


class RefusedError(Exception):
    """A server answered with a status of failure; what may be done about it is decided where the body was made."""

    def __init__(self, refusal: Refusal, meaning: Exception) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.meaning = meaning


def room_for(request: Request) -> int:
    """`max_tokens` to send: for a choice, enough for any of them whatever the request says."""
    if request.choices is None:
        return request.sampling.max_tokens
    return max(request.sampling.max_tokens, max(map(len, request.choices)) + _TOKENS_AROUND_CHOICE)
