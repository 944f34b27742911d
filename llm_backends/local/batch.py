"""Continuous batching: the rows at work, and one step of all of them.

Rows that write text lie at the front of the cache without gaps, so that a decode step reads and writes plain
slices; a row that ends is overwritten with the last. New jobs are prefilled together, padded to the longest
of them; a prompt longer than a pass is fed in parts, with a decode step of the others after each, so that
nobody waits for it.

Every size that depends on what else is in flight (rows, tokens, keys) is rounded up to a multiple of 16:
matrix multiplications pick their kernel, and so the order of their sums, by shape, and for such shapes a
row's result was found not to depend on the other rows (bit for bit in float32 and bfloat16 on CPUs of Intel and
AMD, except in float32 with several threads and layers about 900 wide or more). Keys are rounded up further on
CPUs that need it (`attention_sums`).

Axes: N rows of a pass, T tokens of a pass, V vocabulary, L places whose logits are needed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch

from llm_backends.choices import option_log_probs
from llm_backends.local import sampling
from llm_backends.local.attention_sums import BLOCK, keys_are_summed_alike
from llm_backends.local.jobs import Job, LogprobIds, Outcome, Row, TokenIds
from llm_backends.local.kv_cache import RowCache
from llm_backends.local.loading import LoadedModel
from llm_backends.local.prefix_store import Prefix, PrefixStore
from llm_backends.token_streams import AdaptiveTemperature
from llm_backends.types import FinishReason

_TILE = 16


@dataclass(frozen=True, slots=True)
class _RowSampling:
    """The sampling of some rows as arrays; made anew only when the rows change."""

    temperature: sampling.Floats
    top_k: TokenIds
    top_p: sampling.Floats
    seeds: sampling.UInt64s
    penalty: sampling.Floats
    adaptive: tuple[AdaptiveTemperature | None, ...]
    with_logprobs: tuple[int, ...]

    @classmethod
    def of(cls, rows: list[Row]) -> _RowSampling:
        settings = [row.job.sampling for row in rows]
        return cls(
            temperature=np.array([each.temperature for each in settings], dtype=np.float64),
            top_k=np.array([each.top_k for each in settings], dtype=np.int64),
            top_p=np.array([each.top_p for each in settings], dtype=np.float64),
            seeds=np.array([row.job.stream_seed for row in rows], dtype=np.uint64),
            penalty=np.array([row.job.repetition_penalty for row in rows], dtype=np.float64),
            adaptive=tuple(row.job.adaptive for row in rows),
            with_logprobs=tuple(i for i, row in enumerate(rows) if row.job.n_logprobs is not None),
        )


class Batch:
    """The rows at work on one model. Not thread-safe: the engine's thread owns it."""

    def __init__(
        self, model: LoadedModel, *, max_rows: int, max_prefill_tokens: int, prefixes: PrefixStore | None
    ) -> None:
        """
        :param max_rows: jobs at work at once; the others wait, first come, first served.
        :param max_prefill_tokens: tokens of new prompts in one pass, padding included.
        :param prefixes: where the keys and values of finished traces are kept; None keeps none.
        """
        self._model = model
        self._max_rows = max_rows
        self._max_prefill_tokens = max_prefill_tokens
        self._prefixes = prefixes
        self._prefill_tile = _key_tile(model, queries=(16, 48, 112))
        self._decode_tile = _key_tile(model, queries=(1,))
        self._cache = RowCache(model.n_layers, _tiled(max_rows), model.device)
        self._waiting: deque[Job] = deque()
        self._decoding: list[Row] = []
        self._decoding_sampling: _RowSampling | None = None
        self._partial: Row | None = None
        """A row of which part of the prompt is fed; it lies right behind the decoding rows."""
        self._finished: list[tuple[Job, Outcome]] = []

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._decoding or self._partial)

    def add(self, job: Job) -> None:
        self._waiting.append(job)

    def remove(self, job: Job) -> None:
        """Drop a job wherever it is; one that is not here has just finished."""
        if job in self._waiting:
            self._waiting.remove(job)
        elif self._partial is not None and self._partial.job is job:
            self._partial = None
        else:
            for index, row in enumerate(self._decoding):
                if row.job is job:
                    self._vacate(index)
                    return

    def step(self) -> list[tuple[Job, Outcome]]:
        """One prefill pass if there is something to prefill, then one token for every row that writes text.

        Returns the jobs that this finished.
        """
        if self._partial is not None or (self._waiting and len(self._decoding) < self._max_rows):
            self._prefill()
        if self._decoding:
            self._decode()
        finished, self._finished = self._finished, []
        return finished

    # ---- prefill

    def _prefill(self) -> None:
        first = len(self._decoding)
        rows = [self._partial] if self._partial is not None else self._take_waiting(first)
        self._partial = None
        takes = [self._tokens_of_pass(row) for row in rows]
        hidden_NTH = self._feed(first, rows, takes)
        if rows[0].to_feed:
            (self._partial,) = rows
            return
        width = hidden_NTH.shape[1]
        needed_L = np.concatenate(
            [
                index * width + row.wanted - (row.fed - take)
                for index, (row, take) in enumerate(zip(rows, takes, strict=True))
            ]
        )
        hidden_LH = hidden_NTH.flatten(0, 1).index_select(0, self._tensor(needed_L))
        self._place(first, rows, self._logits(hidden_LH))

    def _take_waiting(self, first: int) -> list[Row]:
        """Start the job that waits longest, and with it as many of the next as fit into one pass."""
        rows: list[Row] = []
        longest = 0
        while self._waiting and first + len(rows) < self._max_rows:
            job = self._waiting[0]
            kept = job.trace_id if job.after is None else job.after
            match = self._prefixes.match(kept, job.prompt) if self._prefixes is not None else None
            row = Row.of(job, cached=match[1] if match is not None else 0)
            longest = max(longest, row.to_feed)
            if rows and longest * (len(rows) + 1) > self._max_prefill_tokens:
                break
            self._waiting.popleft()
            if match is not None:
                self._cache.reserve(first + len(rows) + 1, len(row.feed))
                self._cache.write_row(first + len(rows), match[0].state, match[1])
            rows.append(row)
        return rows

    def _tokens_of_pass(self, row: Row) -> int:
        """How much of its feed a row gets in one pass: all if it fits, and never a cut through its end."""
        if row.to_feed <= max(self._max_prefill_tokens, row.indivisible):
            return row.to_feed
        return min(self._max_prefill_tokens, row.to_feed - row.indivisible)

    def _feed(self, first: int, rows: list[Row], takes: list[int]) -> torch.Tensor:
        """Run the next part of each row's feed, right-padded, and return the hidden states."""
        shape = len(rows), _tiled(max(takes))
        longest = max(row.fed + take for row, take in zip(rows, takes, strict=True))
        key_length = _tiled(longest, self._prefill_tile)
        self._cache.reserve(first + len(rows), max(longest, key_length - 1))
        tokens_NT = np.zeros(shape, dtype=np.int64)
        positions_NT = np.zeros(shape, dtype=np.int64)
        slots_NT = np.full(shape, self._cache.scratch_slot, dtype=np.int64)
        for index, (row, take) in enumerate(zip(rows, takes, strict=True)):
            part = slice(row.fed, row.fed + take)
            tokens_NT[index, :take] = row.feed[part]
            positions_NT[index, :take] = row.positions[part]
            slots_NT[index, :take] = np.arange(row.fed, row.fed + take)
        slots = self._tensor(slots_NT)
        mask_N1TS = self._model.mask(slots, key_length)
        for index, (row, take) in enumerate(zip(rows, takes, strict=True)):
            if row.job.trie is not None and row.fed + take == len(row.feed):
                self._mask_trie(mask_N1TS[index, 0, :take, : row.fed + take], row.job.trie.packed_mask)
            row.fed += take
        self._cache.point_at(first, slots, key_length)
        return self._model.hidden_states(
            self._tensor(tokens_NT), self._tensor(positions_NT), mask_N1TS, self._cache
        )

    def _mask_trie(self, mask_TS: torch.Tensor, sees_PP: torch.Tensor) -> None:
        """The packed nodes end the feed; each sees, of them, itself and what lies above it in the trie."""
        size = len(sees_PP)
        if size:
            mask_TS[-size:, -size:].masked_fill_(~sees_PP.to(mask_TS.device), float("-inf"))

    def _place(self, first: int, rows: list[Row], logits_LV: torch.Tensor) -> None:
        """Score the choices and let go of their rows; let the others decode from their first token on."""
        starts = np.cumsum([0, *(len(row.wanted) for row in rows)])
        writers: list[Row] = []
        writer_logits: list[int] = []
        for index, row in enumerate(rows):
            if row.job.trie is not None:
                self._choose(first + index, row, logits_LV[starts[index] : starts[index + 1]])
                continue
            target = first + len(writers)
            if target != first + index:
                self._cache.move_row(first + index, target, row.fed)
            writers.append(row)
            writer_logits.append(int(starts[index]))
        if writers:
            self._decoding.extend(writers)
            self._decoding_sampling = None
            logits_NV = logits_LV.index_select(0, self._tensor(np.array(writer_logits)))
            self._extend(first, writers, _RowSampling.of(writers), logits_NV)

    def _choose(self, cache_row: int, row: Row, logits_NV: torch.Tensor) -> None:
        job = row.job
        assert job.trie is not None
        log_probs = option_log_probs(job.trie, logits_NV.double()).cpu().numpy()
        uniform = sampling.uniforms(np.array([job.stream_seed], np.uint64), np.zeros(1, np.uint64))
        choice = sampling.draw_choice(log_probs, job.sampling.temperature, float(uniform[0]))
        self._keep_prefix(cache_row, row, len(job.prompt))
        outcome = Outcome((), FinishReason.CHOICE, row.cached, choice=choice, choice_log_probs=log_probs)
        self._finished.append((job, outcome))

    # ---- decode

    def _decode(self) -> None:
        rows = self._decoding
        if self._decoding_sampling is None:
            self._decoding_sampling = _RowSampling.of(rows)
        longest = max(row.fed for row in rows) + 1
        key_length = _tiled(longest, self._decode_tile)
        self._cache.reserve(_tiled(len(rows)), max(longest, key_length - 1))
        padding = _tiled(len(rows)) - len(rows)
        scratch = [self._cache.scratch_slot] * padding
        tokens_N1 = self._tensor(np.array([row.generated[-1] for row in rows] + [0] * padding)[:, None])
        positions_N1 = self._tensor(np.array([row.fed for row in rows] + [0] * padding)[:, None])
        slots_N1 = self._tensor(np.array([row.fed for row in rows] + scratch)[:, None])
        mask_N11S = self._model.mask(slots_N1, key_length)
        self._cache.point_at(0, slots_N1, key_length)
        hidden_N1H = self._model.hidden_states(tokens_N1, positions_N1, mask_N11S, self._cache)
        for row in rows:
            row.fed += 1
        self._extend(0, rows, self._decoding_sampling, self._logits(hidden_N1H[:, 0])[: len(rows)])

    def _extend(self, first: int, rows: list[Row], settings: _RowSampling, logits_NV: torch.Tensor) -> None:
        """Draw the next token of the rows from cache row `first` on, and retire those that it ends."""
        steps_N = np.array([len(row.generated) for row in rows], dtype=np.uint64)
        temperature_N, weighed_NV = settings.temperature, logits_NV
        if any(settings.adaptive):
            temperature_N = temperature_N * sampling.temperature_factors(logits_NV, settings.adaptive)
        if (settings.penalty != 1.0).any():
            seen_NV = np.stack([row.seen(logits_NV.shape[1]) for row in rows])
            weighed_NV = sampling.penalized(logits_NV, seen_NV, settings.penalty)
        tokens_N = sampling.sample_tokens(
            weighed_NV,
            temperature_N,
            settings.top_k,
            settings.top_p,
            sampling.uniforms(settings.seeds, steps_N),
        )
        drawn = tokens_N.tolist()
        if settings.with_logprobs:
            self._note_logprobs(rows, settings.with_logprobs, logits_NV, drawn)
        chat = self._model.chat
        ended: list[int] = []
        for index, (row, token) in enumerate(zip(rows, drawn, strict=True)):
            row.append(token)
            reason = row.finish_reason(chat.eos_ids, chat.text)
            if reason is not None:
                ended.append(first + index)
                self._finish(first + index, row, reason)
        for cache_row in reversed(ended):
            self._vacate(cache_row)

    def _note_logprobs(
        self, rows: list[Row], chosen: tuple[int, ...], logits_NV: torch.Tensor, drawn: list[int]
    ) -> None:
        log_probs_CV = logits_NV[list(chosen)].float().log_softmax(dim=-1)
        n_top = max(rows[index].job.n_logprobs or 0 for index in chosen)
        values, ids = log_probs_CV.topk(min(n_top, log_probs_CV.shape[1]), dim=-1)
        drawn_C1 = self._tensor(np.array([drawn[index] for index in chosen])[:, None])
        of_drawn = log_probs_CV.gather(1, drawn_C1).squeeze(1).tolist()
        for index, logprob, top_ids, top_values in zip(
            chosen, of_drawn, ids.tolist(), values.tolist(), strict=True
        ):
            top = tuple(zip(top_ids, top_values, strict=True))[: rows[index].job.n_logprobs]
            rows[index].logprobs.append(LogprobIds(drawn[index], logprob, top))

    def _finish(self, cache_row: int, row: Row, reason: FinishReason) -> None:
        self._keep_prefix(cache_row, row, row.fed)
        logprobs = tuple(row.logprobs) if row.job.n_logprobs is not None else None
        outcome = Outcome(tuple(row.generated), reason, row.cached, logprobs=logprobs)
        self._finished.append((row.job, outcome))

    # ---- rows

    def _keep_prefix(self, cache_row: int, row: Row, length: int) -> None:
        if self._prefixes is None or row.job.trace_id is None:
            return
        tokens = np.concatenate([row.job.prompt, np.array(row.generated, dtype=np.int64)])[:length]
        self._prefixes.put(row.job.trace_id, Prefix(tokens, self._cache.read_row(cache_row, length)))

    def _vacate(self, index: int) -> None:
        """Take a row out and fill the gap with the last decoding row; a partial row then follows that one."""
        last = len(self._decoding) - 1
        row = self._decoding.pop()
        if index != last:
            self._cache.move_row(last, index, row.fed)
            self._decoding[index] = row
        if self._partial is not None:
            self._cache.move_row(last + 1, last, self._partial.fed)
        self._decoding_sampling = None

    def _tensor(self, array: TokenIds) -> torch.Tensor:
        return torch.from_numpy(array).to(self._model.device)

    def _logits(self, hidden_LH: torch.Tensor) -> torch.Tensor:
        rows = len(hidden_LH)
        padded_LH = torch.nn.functional.pad(hidden_LH, (0, 0, 0, _tiled(rows) - rows))
        return self._model.head(padded_LH)[:rows]


def _tiled(size: int, tile: int = _TILE) -> int:
    return -(-size // tile) * tile


def _key_tile(model: LoadedModel, *, queries: tuple[int, ...]) -> int:
    """The keys of a pass with so many tokens a row are rounded up to a multiple of it."""
    if model.device.type != "cpu":
        return _TILE
    size, threads = model.head_size, torch.get_num_threads()
    alike = size is not None and all(
        keys_are_summed_alike(size, model.dtype, _TILE, n_queries=n_queries, threads=threads)
        for n_queries in queries
    )
    return _TILE if alike else BLOCK
