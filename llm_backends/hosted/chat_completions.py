"""The protocol of chat completions, which OpenAI, Together and vLLM have in common."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from llm_backends.cache import Embeddings, embeddings_key
from llm_backends.errors import BackendError, MalformedReplyError, UnsupportedError
from llm_backends.hosted import in_words
from llm_backends.hosted.backend import HostedBackend, room_for
from llm_backends.hosted.embeddings import EMBEDDINGS_AT_ONCE, read_embeddings
from llm_backends.hosted.json_schemas import choice_schema, closed_schema
from llm_backends.hosted.parameters import MAX_TOKENS_NAMES
from llm_backends.hosted.probabilities import choice_probabilities
from llm_backends.hosted.reading import ServerReply, read_chat_completion, shown
from llm_backends.hosted.sdk_errors import Refusal
from llm_backends.hosted.seeds import seed_of
from llm_backends.in_flight import InFlight, SharedError
from llm_backends.types import Completion, FinishReason, Request, Spent

_CHOICE_ALTERNATIVES = 20
"""Alternatives to each token that are asked for to tell the probabilities of choices: the most that is allowed."""


class ChatCompletionsBackend(HostedBackend):
    """A server of chat completions."""

    supports_logprobs = True
    supports_seed = True
    takes_top_k: ClassVar[bool] = False
    constrains_choices: ClassVar[bool] = False
    """The server has a way of its own to allow nothing but the choices, without JSON around them."""

    _embeddings_path: ClassVar[str] = "/embeddings"
    _max_tokens_name: str = "max_tokens"

    @cached_property
    def _embedding(self) -> InFlight[tuple[Embeddings, Spent]]:
        """Calls for vectors that are under way, by the key of the cache."""
        return InFlight()

    @abstractmethod
    def _path(self) -> str:
        """Where chat completions are, from the client's base URL."""

    async def embed(self, texts: Sequence[str], *, role: str) -> tuple[list[Sequence[float]], Spent]:
        """The server's vectors of texts, in their order, by this backend's model, which must be one for embeddings; and
        what they took.

        Limited, retried, accounted for, kept in the cache of replies, and asked for once where equal ones are in
        flight, as completions are; a reply has the vectors of up to EMBEDDINGS_AT_ONCE texts.

        :param texts: none of them blank, which servers refuse.
        :param role: whom the meter names.
        :raises BackendError: the server cannot be reached, or refuses, or its vectors are not all of one length.
        """
        starts = range(0, len(texts), EMBEDDINGS_AT_ONCE)
        batches = await asyncio.gather(
            *(self._embed_batch(texts[at : at + EMBEDDINGS_AT_ONCE], role) for at in starts),
            return_exceptions=True,
        )
        found = [batch for batch in batches if not isinstance(batch, BaseException)]
        spent = sum((each for _, each in found), Spent())
        for batch in batches:
            if isinstance(batch, BackendError):
                batch.spent = spent
            if isinstance(batch, BaseException):
                raise batch
        vectors = [vector for batch, _ in found for vector in batch]
        lengths = sorted({len(vector) for vector in vectors})
        if len(lengths) > 1:
            raise MalformedReplyError(
                f"the embeddings of {len(texts)} texts by {self.model_name!r} have {shown(lengths)} numbers each; "
                "vectors must be of one length"
            )
        return vectors, spent

    async def _embed_batch(self, texts: Sequence[str], role: str) -> tuple[Sequence[Sequence[float]], Spent]:
        key = embeddings_key(self.name, self.model_name, self.cache_identity(), texts)
        kept = None if self.cache is None else self.cache.get_embeddings(key)
        if kept is not None:
            spent = Spent(cached_replies=1, cached_usage=kept.usage)
            self.meter.add(role, spent)
            return kept.vectors, spent
        try:
            (found, spent), ours = await self._embedding.joined(key, lambda: self._embedded(texts, role, key))
        except SharedError as error:
            failure = error.__cause__
            raise (copy(failure) if isinstance(failure, BackendError) else error) from failure
        if not ours:
            spent = Spent(cached_replies=1, cached_usage=found.usage)
            self.meter.add(role, spent)
        return found.vectors, spent

    async def _embedded(self, texts: Sequence[str], role: str, key: str) -> tuple[Embeddings, Spent]:
        """Ask, account for it, and keep the vectors under `key`."""
        body = {"model": self.model_name, "input": list(texts), "encoding_format": "float"}

        async def once() -> Embeddings:
            reply = await self.post(self._embeddings_path, body, retried=False)
            return Embeddings(*read_embeddings(reply, len(texts)))

        repeats: Counter[str] = Counter()
        found = await self._retried(once, repeats)
        spent = Spent(1, found.usage, repeats=dict(repeats))
        self.meter.add(role, spent)
        if self.cache is not None:
            self.cache.put_embeddings(key, found)
        return found, spent

    async def _answer(self, body: dict[str, Any]) -> ServerReply:
        return read_chat_completion(await self._call("post", self._path(), body))

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        if sampling.top_k and not self.takes_top_k and request.choices is None:
            raise UnsupportedError(
                f"top_k is {sampling.top_k}, which the backend {self.name!r} does not take; set it to 0"
            )
        body: dict[str, Any] = {
            "model": self.model_name,
            "messages": [],
            self._max_tokens_name: room_for(request),
            "temperature": sampling.temperature,
            "seed": seed_of(request),
        }
        if request.choices is None:
            if sampling.top_p != 1.0:
                body["top_p"] = sampling.top_p
            if sampling.top_k:
                body["top_k"] = sampling.top_k
            if sampling.stop:
                body["stop"] = list(sampling.stop)
        alternatives = self._alternatives(request)
        if alternatives is not None:
            body |= self._logprobs_fields(alternatives)
        messages = request.messages
        if request.choices is not None:
            if self._in_words:
                messages = in_words.with_choices(messages, request.choices)
            else:
                body |= self._choices_format(request)
        elif request.schema is not None:
            if self._in_words:
                messages = in_words.with_schema(messages, request.schema.model_json_schema())
            else:
                body |= self._schema_format(request)
        body["messages"] = [{"role": message.role, "content": message.content} for message in messages]
        return self._without_leavings(body)

    def _alternatives(self, request: Request) -> int | None:
        """How many alternatives to each token to ask for; None for no log probabilities at all."""
        if request.choices is not None and self.supports_choice_probabilities:
            return max(_CHOICE_ALTERNATIVES, request.logprobs or 0)
        return request.logprobs

    def _logprobs_fields(self, alternatives: int) -> dict[str, Any]:
        return {"logprobs": True} | ({"top_logprobs": alternatives} if alternatives else {})

    def _choices_format(self, request: Request) -> dict[str, Any]:
        assert request.choices is not None
        return _response_format("choice", choice_schema(request.choices), strict=True)

    def _schema_format(self, request: Request) -> dict[str, Any]:
        assert request.schema is not None
        schema, strict = closed_schema(request.schema)
        return _response_format(request.schema.__name__, schema, strict=strict)

    def _read(self, request: Request, body: Mapping[str, Any], reply: ServerReply) -> Completion:
        completion = super()._read(request, body, reply)
        if request.logprobs is not None:
            if reply.logprobs is None:
                raise MalformedReplyError(f"{self.name} sent no logprobs, though they were asked for")
            shown = tuple(replace(token, top=token.top[: request.logprobs]) for token in reply.logprobs)
            completion = replace(completion, token_logprobs=shown)
        if (
            request.choices is not None
            and completion.finish_reason is FinishReason.CHOICE
            and reply.logprobs is not None
            and self.supports_choice_probabilities
        ):
            probabilities = choice_probabilities(
                reply.logprobs,
                reply.text,
                request.choices,
                completion.text,
                as_json="response_format" in body,
                constrained=self.constrains_choices and not self._in_words,
            )
            completion = replace(completion, choice_probabilities=probabilities)
        return completion

    def _leave_out(self, name: str, refusal: Refusal) -> None:
        other = {*MAX_TOKENS_NAMES} - {name}
        if name in MAX_TOKENS_NAMES and not (other & self._left_out):
            # Not noted: the other name says the same.
            self._left_out.add(name)
            self._max_tokens_name = other.pop()
            return
        if name == "top_logprobs":
            name = "logprobs"
        super()._leave_out(name, refusal)

    def _without_leavings(self, body: dict[str, Any]) -> dict[str, Any]:
        if "logprobs" in self._left_out:
            body.pop("top_logprobs", None)
        return super()._without_leavings(body)


def _response_format(name: str, schema: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": name[:64], "strict": strict, "schema": schema},
        }
    }
