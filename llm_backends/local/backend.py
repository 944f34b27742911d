"""The backend that runs a model in this process.

Requests in flight are decoded together (`batch`), a trace's computed prefix is kept for its next request
(`prefix_store`), and choices are scored exactly by the trie policy (`llm_backends.choices`). A reply is a
function of the request and the model alone: what else is in flight, and whether a prefix was reused, changes
it only through the rounding of sums, which depends on the shapes that torch computes with.

Left out on purpose: JSON schemas, models with sliding-window or linear attention, several devices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from os import PathLike, fspath
from typing import TYPE_CHECKING

import numpy as np

from llm_backends.base import Backend, BackendOptions
from llm_backends.choices import ChoiceTrie
from llm_backends.errors import BadRequestError, ContextLengthError
from llm_backends.local.batch import Batch
from llm_backends.local.engine import Engine
from llm_backends.local.jobs import Job, Outcome
from llm_backends.local.loading import DtypeName, LoadedModel, load_model
from llm_backends.local.prefix_store import PrefixStore
from llm_backends.local.sampling import stream_seed
from llm_backends.model_files import model_files
from llm_backends.types import Completion, FinishReason, Message, Request, TokenLogprob, Usage

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

_MAX_PREFILL_TOKENS = 1024
_PROBLEMS_SHOWN = 5


class LocalBackend(Backend):
    """A causal language model with a chat template, through transformers."""

    name = "local"
    supports_choices = True
    supports_choice_probabilities = True
    supports_logprobs = True
    supports_seed = True
    empty_is_a_fault = False

    def __init__(
        self,
        model_name: str | PathLike[str],
        *,
        dtype: DtypeName = "auto",
        device: str = "auto",
        max_batch_size: int = 64,
        trust_remote_code: bool = False,
        reuse_prefix: bool = True,
        prefix_cache_bytes: int = 1 << 30,
        model_flag: str = "--model_name",
        **options: Unpack[BackendOptions],
    ) -> None:
        """Load the model, which takes a while, and start the thread that runs it.

        :param model_name: a model folder, or a name on the Hugging Face hub.
        :param dtype: auto, bfloat16 or float32; auto is bfloat16 where the hardware has instructions for it.
        :param max_batch_size: requests decoded together. `max_concurrency` is twice as many unless given, so
            that the next ones are ready when some finish.
        :param reuse_prefix: keep the keys and values of requests with a `trace_id`.
        :param prefix_cache_bytes: memory for them.
        :param model_flag: the one that chose the model, for messages.
        :raises BadRequestError: this machine has no such device.
        :raises ModelNotFoundError: there is no such model.
        :raises UnsupportedError: the model has no chat template, or cannot be run exactly here.
        """
        for option, value, least in (
            ("max_batch_size", max_batch_size, 1),
            ("prefix_cache_bytes", prefix_cache_bytes, 0),
        ):
            if value < least:
                raise BadRequestError(f"{option} is {value}; it must be {least} or more")
        options.setdefault("max_concurrency", 2 * max_batch_size)
        super().__init__(fspath(model_name), **options)
        self._model = load_model(
            self.model_name, dtype=dtype, device=device, trust_remote_code=trust_remote_code, flag=model_flag
        )
        self._model_flag = model_flag
        self._trie_of = lru_cache(maxsize=256)(self._build_trie)
        self._identity = {
            "files": model_files(self.model_name),
            "dtype": str(self._model.dtype),
            "device": self._model.device.type,
            "torch": version("torch"),
            "transformers": version("transformers"),
        }
        self._max_batch_size = max_batch_size
        self._prefix_cache_bytes = prefix_cache_bytes if reuse_prefix else None
        self._engine = self._start_engine()

    @property
    def context_length(self) -> int | None:
        return self._model.context_length

    def count_tokens(self, messages: Sequence[Message], *, completion: bool = True) -> int:
        return len(self._model.chat.prompt_ids(messages, completion=completion))

    def cache_identity(self) -> Mapping[str, object]:
        return self._identity

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Take other weights of the same model, cast to the dtype in use, and forget all kept prefixes.

        They are copied one by one as they come, so a model need not be in memory twice. For between requests: one that
        is in flight fails with BackendClosedError.

        :param weights: every tensor of the whole model, as its `state_dict()` names them.
        :raises BadRequestError: replies are kept in a cache, which knows the model by its files; or names or shapes
            are not those of this model, and it is then of no more use.
        """
        if self.cache is not None:
            raise BadRequestError(
                "a backend whose replies are cached cannot take other weights; give it no cache"
            )
        self._engine.close()
        own = self._model.module.state_dict()
        problems, missing = [], set(own)
        for name, tensor in weights:
            if name not in own:
                problems.append(f"{name} is not in the model")
            elif tensor.shape != own[name].shape:
                problems.append(
                    f"{name} has the shape {tuple(tensor.shape)}, the model's has {tuple(own[name].shape)}"
                )
            else:
                own[name].copy_(tensor.detach())
            missing.discard(name)
        problems += [f"{name} is missing" for name in sorted(missing)]
        if problems:
            listed = "; ".join(problems[:_PROBLEMS_SHOWN])
            more = len(problems) - _PROBLEMS_SHOWN
            raise BadRequestError(
                f"these are not weights of {self.model_name!r}: {listed}"
                + (f"; and {more} more differences" if more > 0 else "")
            )
        self._engine = self._start_engine()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._engine.close)

    @property
    def model(self) -> LoadedModel:
        """For those who compute with it themselves."""
        return self._model

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens at which a reply ends."""
        return self._model.chat.eos_ids

    async def run(self, job: Job) -> Outcome:
        """What becomes of tokens, for callers that have them already. Neither limited nor accounted for.

        :raises BackendClosedError: the backend is closed.
        :raises EngineDiedError: its engine failed.
        """
        return await asyncio.wrap_future(self._engine.submit(job))

    async def _complete(self, request: Request) -> Completion:
        job = self._job(request)
        outcome = await self.run(job)
        if request.choices is not None:
            return self._choice_completion(request.choices, job, outcome)
        return self._text_completion(request, job, outcome)

    def _start_engine(self) -> Engine:
        stored = self._prefix_cache_bytes
        return Engine(
            Batch(
                self._model,
                max_rows=self._max_batch_size,
                max_prefill_tokens=_MAX_PREFILL_TOKENS,
                prefixes=PrefixStore(stored) if stored is not None else None,
            )
        )

    def _job(self, request: Request) -> Job:
        prompt = self._model.chat.prompt_ids(request.messages)
        trie = self._trie_of(request.choices) if request.choices is not None else None
        room = self._room(len(prompt), longest_choice=max(trie.depth) if trie is not None else 1)
        wanted = request.sampling.max_tokens
        return Job(
            prompt=np.array(prompt, dtype=np.int64),
            sampling=request.sampling,
            max_new_tokens=wanted if room is None else min(wanted, room),
            stream_seed=stream_seed(request),
            trie=trie,
            n_logprobs=request.logprobs,
            trace_id=request.trace_id,
        )

    def _room(self, prompt_length: int, longest_choice: int) -> int | None:
        """Tokens that the context leaves for the reply; None where the model has no limit."""
        if self.context_length is None:
            return None
        room = self.context_length - prompt_length
        if room < longest_choice:
            raise ContextLengthError(
                f"the prompt has {prompt_length} tokens and the reply needs {longest_choice} or more, but "
                f"the context of {self.model_name!r} holds {self.context_length}; shorten the prompt or take "
                f"another model with {self._model_flag}"
            )
        return room

    def _build_trie(self, choices: tuple[str, ...]) -> ChoiceTrie:
        return ChoiceTrie.build([self._model.chat.option_ids(choice) for choice in choices], choices)

    def _choice_completion(self, choices: tuple[str, ...], job: Job, outcome: Outcome) -> Completion:
        assert job.trie is not None
        assert outcome.choice is not None
        assert outcome.choice_log_probs is not None
        probabilities: Mapping[str, float] = dict(
            zip(choices, np.exp(outcome.choice_log_probs).tolist(), strict=True)
        )
        return Completion(
            text=choices[outcome.choice],
            finish_reason=FinishReason.CHOICE,
            usage=Usage(
                len(job.prompt), outcome.cached_tokens, job.trie.depth[job.trie.leaf[outcome.choice]]
            ),
            choice_probabilities=probabilities,
        )

    def _text_completion(self, request: Request, job: Job, outcome: Outcome) -> Completion:
        chat = self._model.chat
        ended = outcome.token_ids[-1] in chat.eos_ids
        text = chat.text(outcome.token_ids[:-1] if ended else outcome.token_ids)
        ends = [end for stop in request.sampling.stop if (end := text.find(stop)) >= 0]
        logprobs = None
        if outcome.logprobs is not None:
            logprobs = tuple(
                TokenLogprob(
                    chat.token_text(each.token_id),
                    each.logprob,
                    tuple((chat.token_text(token), logprob) for token, logprob in each.top),
                )
                for each in outcome.logprobs
            )
        return Completion(
            text=text[: min(ends)] if ends else text,
            finish_reason=outcome.finish_reason,
            usage=Usage(len(job.prompt), outcome.cached_tokens, len(outcome.token_ids)),
            token_logprobs=logprobs,
        )
