"""Replies kept on disk, so that none that was received is paid for again.

One SQLite file in WAL mode, which several processes on one machine may share (WAL does not work over network
file systems). The key is a hash of everything that can change a reply. What is kept is only what was usable:
errors and replies that were cut off are asked for again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llm_backends.errors import CacheError
from llm_backends.types import Completion, FinishReason, Request, TokenLogprob, Usage

_FORMAT = 2
_BUSY_S = 30.0
_BETWEEN_TRIES_S = 0.02
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL, received REAL NOT NULL)
    WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply received before."""

    completion: Completion
    notes: tuple[str, ...]
    """What the backend had done otherwise than asked by then."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of texts that were asked for in one call."""

    vectors: Sequence[Sequence[float]]
    """In the order of the texts."""
    usage: Usage


def embeddings_key(
    backend: str, model_name: str, identity: Mapping[str, object], texts: Sequence[str]
) -> str:
    """As `request_key`, of texts whose embeddings are asked for in one call."""
    content = {
        "format": _FORMAT,
        "embeddings": list(texts),
        "backend": backend,
        "model": model_name,
        "identity": identity,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def request_key(backend: str, model_name: str, identity: Mapping[str, object], request: Request) -> str:
    """A hash of all that can change the reply.

    Who asks and in which trace (`Request.role`, `Request.trace_id`) never changes a reply, so they are left out. At
    temperature 0 nothing is drawn, so the seed and which sample it is are left out too.

    :param identity: what else of the backend matters, such as the server's address or the weights.
    """
    drawn = request.sampling.temperature > 0
    schema = None if request.schema is None else request.schema.model_json_schema()
    content = {
        "format": _FORMAT,
        "backend": backend,
        "model": model_name,
        "identity": identity,
        "messages": [[message.role, message.content] for message in request.messages],
        "sampling": asdict(request.sampling) | ({} if drawn else {"seed": None}),
        "choices": request.choices,
        "schema": schema,
        "logprobs": request.logprobs,
        "sample_index": request.sample_index if drawn else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class ReplyCache:
    """Completions by key. Safe under several processes; within one, belongs to one thread."""

    def __init__(self, path: Path | str) -> None:
        """
        :raises CacheError: the file cannot be opened, or holds something else.
        """
        self.path = Path(path)
        try:
            self._database = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            self._begin_log()
            # A reply survives the death of the process at once; the death of the machine may cost the newest.
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def get(self, key: str) -> Kept | None:
        """What is kept under `key`, as it was put; `parsed` is left to the caller, who has the schema."""
        try:
            row = self._database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return None if row is None else _from_json(row[0])
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise self._unusable(error) from error

    def get_embeddings(self, key: str) -> Embeddings | None:
        """What is kept under `key`, as it was put."""
        try:
            row = self._database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return None if row is None else _embeddings_from_json(row[0])
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise self._unusable(error) from error

    def put_embeddings(self, key: str, embeddings: Embeddings) -> None:
        """Keep the vectors of texts that were asked for together."""
        self._put(key, _embeddings_to_json(embeddings))

    def put(self, key: str, completion: Completion, notes: Sequence[str] = ()) -> None:
        """Keep a completion in place of any that was there, and what was done otherwise than asked for it."""
        self._put(key, _to_json(completion, notes))

    def _put(self, key: str, reply: str) -> None:
        try:
            self._database.execute(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (key, reply, time.time())
            )
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _begin_log(self) -> None:
        """Turn the write-ahead log on. Where another process does so at the same moment this fails at once, whatever
        time-out is set."""
        give_up = time.monotonic() + _BUSY_S
        while True:
            try:
                self._database.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_BETWEEN_TRIES_S)
            else:
                return

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM replies").fetchone()[0]
        return count

    def close(self) -> None:
        self._database.close()

    def _unusable(self, error: Exception) -> CacheError:
        # Another process at work, or a full disk, is an OperationalError; then what is there is whole.
        broken = not isinstance(error, sqlite3.OperationalError)
        return CacheError(
            f"the cache of replies {self.path} cannot be used: {error}; {'delete it, ' if broken else ''}choose "
            "another --cache_dir, or run with --no_cache"
        )


def _embeddings_to_json(embeddings: Embeddings) -> str:
    vectors = [base64.b85encode(array("d", vector).tobytes()).decode() for vector in embeddings.vectors]
    return json.dumps({"vectors": vectors, "usage": asdict(embeddings.usage)})


def _embeddings_from_json(text: str) -> Embeddings:
    kept = json.loads(text)
    vectors = tuple(array("d", base64.b85decode(vector)).tolist() for vector in kept["vectors"])
    return Embeddings(vectors, Usage(**kept["usage"]))


def _to_json(completion: Completion, notes: Sequence[str]) -> str:
    probabilities = completion.choice_probabilities
    kept: dict[str, Any] = {
        "text": completion.text,
        "finish_reason": completion.finish_reason.value,
        "usage": asdict(completion.usage),
        "reasoning": completion.reasoning,
        "choice_probabilities": None if probabilities is None else dict(probabilities),
        "token_logprobs": completion.token_logprobs
        and [asdict(token) for token in completion.token_logprobs],
        "latency_s": completion.latency_s,
        "attempts": completion.attempts,
        "notes": list(notes),
    }
    return json.dumps(kept)


def _from_json(text: str) -> Kept:
    kept = json.loads(text)
    tokens = kept["token_logprobs"]
    completion = Completion(
        text=kept["text"],
        finish_reason=FinishReason(kept["finish_reason"]),
        usage=Usage(**kept["usage"]),
        reasoning=kept["reasoning"],
        choice_probabilities=kept["choice_probabilities"],
        token_logprobs=None
        if tokens is None
        else tuple(
            TokenLogprob(
                token["token"], token["logprob"], tuple((other, logprob) for other, logprob in token["top"])
            )
            for token in tokens
        ),
        latency_s=kept["latency_s"],
        attempts=kept["attempts"],
        from_cache=True,
    )
    return Kept(completion, tuple(kept["notes"]))
