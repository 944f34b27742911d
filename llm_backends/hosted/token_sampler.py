"""Streams of tokens from a vLLM server: its completions endpoint, asked with token ids, tells token ids.

Its prefix cache makes a shared prefix cheap. Other servers of this endpoint take no token ids, so there is no sampler
for them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_backends.errors import BadRequestError, MalformedReplyError, ModelNotFoundError, UnsupportedError
from llm_backends.hosted.reading import mapping_in, shown
from llm_backends.hosted.vllm import VLLMBackend
from llm_backends.token_streams import StreamSettings, TokenStream, check_fits
from llm_backends.vllm_server.plugins import ADAPTIVE_TEMPERATURE, ADAPTIVE_TEMPERATURE_FIELD

_PATH = "/completions"
_TOKEN = "token_id:"
_ENDS = {"stop": True, "length": False}


@dataclass(frozen=True, slots=True)
class Probe:
    """By what it is known that a server has certain weights."""

    prefix: tuple[int, ...]
    top: tuple[tuple[int, float], ...]
    """The likeliest tokens behind it as (id, log probability), by these weights: at least one, at most 20."""
    tolerance: float = 0.2
    """Nats: more than half precision makes, so weights that differ by less go unnoticed."""


class VLLMTokenSampler:
    """A `TokenSampler` on a vLLM server.

    The server draws with the stream's seed, but what is in flight besides may change the rounding of sums and so, now
    and then, a token. It tells the log probabilities of raw logits, unless it was started with another
    `--logprobs-mode`, and at most 20 alternatives, unless with another `--max-logprobs`.
    """

    def __init__(
        self, backend: VLLMBackend, end_ids: frozenset[int], *, context_length: int | None = None
    ) -> None:
        """
        :param end_ids: the tokens that end a stream: those of the model as it is trained.
        :param context_length: of the server; None: not known, and the server refuses what is too long.
        """
        self._backend = backend
        self._end_ids = end_ids
        self._context_length = context_length
        self._adapts = False
        """Whether the server is known to adapt temperatures."""

    @property
    def end_ids(self) -> frozenset[int]:
        return self._end_ids

    @property
    def context_length(self) -> int | None:
        return self._context_length

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
        """As `TokenSampler.draw`; the server finds shared prefixes itself, without names.

        :raises UnsupportedError: the temperature is to be adapted, and the server was not started for it.
        """
        check_fits(len(prefix), max_new_tokens, self.context_length)
        if settings.adaptive is not None and not self._adapts:
            await self.check_adapts()
        body = self._body(prefix, settings, seed, max_new_tokens)
        return read_stream(await self._backend.post(_PATH, body), settings.n_top)

    async def refresh(self, folder: Path, probe: Probe) -> None:
        """Have the server take the weights in a model folder, which it must be able to read, and forget all prefixes.

        Waits for what is in flight. Needs a server that was started with VLLM_SERVER_DEV_MODE=1 in its environment,
        which must then be reachable by nobody else. Afterwards the server is held against `probe`, because it says
        that it took weights where it did not (seen of 0.32 on a CPU, which keeps a packed copy of some).

        :raises UnsupportedError: it was not started so, or it does not draw from the new weights; start it anew.
        :raises BackendError: it does not take them; it may then hold parts of both, and is to be started anew.
        """
        root = self._backend.base_url.removesuffix("/v1")
        path = await asyncio.to_thread(folder.resolve)
        reload = {"method": "reload_weights", "kwargs": {"weights_path": str(path)}}
        try:
            await self._backend.post(f"{root}/pause?mode=wait", retried=False)
        except (ModelNotFoundError, BadRequestError) as error:
            raise UnsupportedError(
                f"the vLLM server at {root} does not take other weights while it runs; start it with "
                "VLLM_SERVER_DEV_MODE=1 in its environment"
            ) from error
        try:
            await self._backend.post(f"{root}/collective_rpc", reload, retried=False)
            answer = await self._backend.post(f"{root}/reset_prefix_cache", retried=False)
            if not isinstance(answer, Mapping) or answer.get("success") is not True:
                raise MalformedReplyError(
                    f"the vLLM server at {root} took other weights and did not forget the prefixes computed with the "
                    f"old ones: {shown(answer)}"
                )
        finally:
            await self._backend.post(f"{root}/resume", retried=False)
        await self.check_weights(probe)

    async def check_weights(self, probe: Probe) -> None:
        """
        :raises UnsupportedError: the server does not draw from the weights that the probe is of.
        """
        greedy = StreamSettings(temperature=0.0, n_top=len(probe.top))
        stream = await self.draw(probe.prefix, greedy, seed=0, max_new_tokens=1)
        told = dict(stream.top[0])
        token, log_prob = max(probe.top, key=lambda pair: pair[1])
        off = abs(told[token] - log_prob) if token in told else math.inf
        if off > probe.tolerance:
            raise UnsupportedError(
                f"the vLLM server at {self._backend.base_url} does not draw from the weights that it was given: the "
                f"log probability of the likeliest token differs by {off:.3g}, where {probe.tolerance} is allowed; "
                "start it anew with them"
            )

    def _body(
        self, prefix: Sequence[int], settings: StreamSettings, seed: int, max_new_tokens: int
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._backend.model_name,
            "prompt": list(prefix),
            "max_tokens": max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": settings.top_k,
            "min_p": 0.0,
            "repetition_penalty": settings.repetition_penalty,
            "seed": seed,
            "stop_token_ids": sorted(self._end_ids),
            "logprobs": settings.n_top,
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            "add_special_tokens": False,
        }
        if settings.adaptive is not None:
            body["vllm_xargs"] = {ADAPTIVE_TEMPERATURE_FIELD: list(settings.adaptive.numbers())}
        return body

    async def check_adapts(self) -> None:
        """A server without our logits processor would ignore its field without a word, so it is sent one that the
        processor refuses.

        :raises UnsupportedError: it does not.
        """
        body = self._body([min(self._end_ids)], StreamSettings(), 0, 1)
        try:
            await self._backend.post(_PATH, body | {"vllm_xargs": {ADAPTIVE_TEMPERATURE_FIELD: "?"}})
        except BadRequestError:
            self._adapts = True
            return
        raise UnsupportedError(
            f"the vLLM server at {self._backend.base_url} does not adapt temperatures; start it with "
            f"--logits-processors {ADAPTIVE_TEMPERATURE} (docs/vllm.md), or turn --adaptive_temperature off"
        )


def read_stream(data: object, n_top: int) -> TokenStream:
    """Read the body of a completion with token ids.

    :raises MalformedReplyError: it is not what the protocol says.
    """
    choices = mapping_in(data, "the body").get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        raise MalformedReplyError(f"the reply has not one choice: {shown(data)}")
    choice = mapping_in(choices[0], "the choice")
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or reason not in _ENDS:
        raise MalformedReplyError(f"finish_reason is {shown(reason)}; known are {', '.join(_ENDS)}")
    tokens = choice.get("token_ids")
    if not isinstance(tokens, list) or not tokens or not all(map(_is_token, tokens)):
        raise MalformedReplyError(f"token_ids is {shown(tokens)}; it must be a list of token ids")
    fields = mapping_in(choice.get("logprobs"), "logprobs")
    log_probs, tops = fields.get("token_logprobs"), fields.get("top_logprobs")
    for listed in (log_probs, tops):
        if not isinstance(listed, list) or len(listed) != len(tokens):
            raise MalformedReplyError(f"logprobs are not those of {len(tokens)} tokens: {shown(listed)}")
    assert isinstance(log_probs, list)
    assert isinstance(tops, list)
    return TokenStream(
        tokens=tuple(tokens),
        log_probs=tuple(map(_number, log_probs)),
        top=tuple(_likeliest(mapping_in(top, "top_logprobs"), n_top) for top in tops),
        ended=_ENDS[reason],
    )


def _likeliest(top: Mapping[str, Any], n_top: int) -> tuple[tuple[int, float], ...]:
    """The server adds the token drawn where it is not among the likeliest."""
    if len(top) < n_top:
        raise MalformedReplyError(f"{n_top} alternatives were asked for, and {len(top)} came: {shown(top)}")
    pairs = [(_token_id(token), _number(log_prob)) for token, log_prob in top.items()]
    return tuple(sorted(pairs, key=lambda pair: -pair[1])[:n_top])


def _token_id(name: str) -> int:
    number = name.removeprefix(_TOKEN)
    if number == name or not number.isdecimal():
        raise MalformedReplyError(f"a token is {shown(name)}; it must be named by its id, as in {_TOKEN}12")
    return int(number)


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # JSON has no largest number
        pass
    raise MalformedReplyError(f"a log probability is {shown(value)}; it must be a finite number")
