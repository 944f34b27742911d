"""What the engine is given and what it gives back: tokens, no text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llm_backends.choices import ChoiceTrie
from llm_backends.token_streams import AdaptiveTemperature
from llm_backends.types import FinishReason, Sampling

TokenIds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One request to the engine. Jobs are compared by identity."""

    prompt: TokenIds
    sampling: Sampling
    max_new_tokens: int
    """`sampling.max_tokens`, or what the context leaves if that is less."""
    stream_seed: int
    trie: ChoiceTrie | None = None
    """Score these options instead of writing text."""
    n_logprobs: int | None = None
    trace_id: str | None = None
    """What is computed is kept under this name."""
    after: str | None = None
    """The name under which the beginning of the prompt may have been computed; None: `trace_id`."""
    repetition_penalty: float = 1.0
    """On tokens of the prompt and of the text; 1: none."""
    adaptive: AdaptiveTemperature | None = None


@dataclass(frozen=True, slots=True)
class LogprobIds:
    """Log probability of a token drawn, and the likeliest tokens in its place."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    token_ids: tuple[int, ...]
    """The tokens written, the end token included; empty for a choice."""
    finish_reason: FinishReason
    cached_tokens: int
    choice: int | None = None
    choice_log_probs: npt.NDArray[np.float64] | None = None
    logprobs: tuple[LogprobIds, ...] | None = None


@dataclass(slots=True, eq=False)
class Row:
    """A job at work in a row of the cache. Its feed is the prompt, and after it the packed nodes of its
    trie."""

    job: Job
    feed: TokenIds
    positions: TokenIds
    """Position of each token of the feed; nodes of a trie have that of their depth."""
    wanted: TokenIds
    """Places in the feed whose logits are needed. The last part of a prefill holds them all."""
    fed: int
    """Slots of the row that are filled."""
    cached: int
    generated: list[int] = field(default_factory=list)
    logprobs: list[LogprobIds] = field(default_factory=list)
    _seen: npt.NDArray[np.bool_] | None = field(default=None, init=False)

    @classmethod
    def of(cls, job: Job, cached: int) -> Row:
        prompt = job.prompt
        last = len(prompt) - 1
        if job.trie is None:
            return cls(job, prompt, np.arange(len(prompt)), np.array([last]), cached, cached)
        trie = job.trie
        nodes = np.array([trie.token[node] for node in trie.packed], dtype=np.int64)
        depths = np.array([trie.depth[node] for node in trie.packed], dtype=np.int64)
        return cls(
            job=job,
            feed=np.concatenate([prompt, nodes]),
            positions=np.concatenate([np.arange(len(prompt)), last + depths]),
            wanted=last + np.array(trie.branching_rows, dtype=np.int64),
            fed=cached,
            cached=cached,
        )

    def append(self, token: int) -> None:
        """Take the token drawn last."""
        self.generated.append(token)
        if self._seen is not None:
            self._seen[token] = True

    def seen(self, n_vocabulary: int) -> npt.NDArray[np.bool_]:
        """Which tokens are in the prompt or the text."""
        if self._seen is None:
            self._seen = np.zeros(n_vocabulary, dtype=np.bool_)
            self._seen[self.job.prompt] = True
            self._seen[np.array(self.generated, dtype=np.int64)] = True
        return self._seen

    @property
    def to_feed(self) -> int:
        """Tokens of the feed not yet computed."""
        return len(self.feed) - self.fed

    @property
    def indivisible(self) -> int:
        """Tokens at the end of the feed that one pass must take together: the prompt's last, and the trie."""
        return len(self.feed) - len(self.job.prompt) + 1

    def finish_reason(
        self, eos_ids: frozenset[int], text: Callable[[Sequence[int]], str]
    ) -> FinishReason | None:
        """Why the text written so far is complete; None while it is not."""
        if self.generated[-1] in eos_ids:
            return FinishReason.STOP
        if self.job.sampling.stop and self._wrote_stop_string(text):
            return FinishReason.STOP
        if len(self.generated) == self.job.max_new_tokens:
            return FinishReason.LENGTH
        return None

    def _wrote_stop_string(self, text: Callable[[Sequence[int]], str]) -> bool:
        # A token is a byte or more, so a stop string that the last token completes begins within this many
        # tokens; three more keep a character whole that the cut would halve.
        stops = self.job.sampling.stop
        longest = max(len(stop.encode()) for stop in stops)
        tail = text(self.generated[-(longest + 3) :])
        return any(stop in tail for stop in stops)
