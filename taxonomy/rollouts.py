"""Recorded traces whose steps may carry a label, and how they are written.

One shape, `{id, model, problem, gold_answer, final_answer, is_correct, category, text, chunks: [{idx, label,
label_description, text}]}`, as `.jsonl` or `.jsonl.gz`. `taxonomy.reading` reads it, and others.
"""

import gzip
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from taxonomy.atomic import write_atomically
from taxonomy.errors import RolloutFileError


@dataclass(frozen=True)
class Chunk:
    """One step of a recorded trace."""

    idx: int
    """Position in the trace as the file gives it; the place in the list where it gives none."""
    text: str
    label: str | None = None
    """The given label of this step."""
    description: str | None = None
    """What the given label means (`label_description` in files)."""


@dataclass(frozen=True)
class Rollout:
    """A recorded trace: problem, chunks, right or wrong."""

    id: str
    problem: str
    chunks: tuple[Chunk, ...]
    is_correct: bool | None = None
    final_answer: str | None = None
    gold_answer: str | None = None
    category: str | None = None
    model: str | None = None
    text: str | None = None
    """The whole trace, where it is known; all there is of one that is not yet divided into chunks."""


def with_distinct_places(rollout: Rollout) -> Rollout:
    """The rollout itself, or with its chunks numbered in order where an `idx` repeats or is below 0."""
    places = {chunk.idx for chunk in rollout.chunks}
    if len(places) == len(rollout.chunks) and min(places, default=0) >= 0:
        return rollout
    return replace(rollout, chunks=tuple(replace(chunk, idx=idx) for idx, chunk in enumerate(rollout.chunks)))


def write_rollouts(rollouts: Iterable[Rollout], path: Path | str) -> None:
    """Write `.jsonl` or, by the name, `.jsonl.gz`; the same rollouts give the same bytes."""
    path = Path(path)
    data = rollout_lines(rollouts)
    if path.name.endswith(".jsonl.gz"):
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as handle:
            handle.write(data)
        data = buffer.getvalue()
    elif path.suffix != ".jsonl":
        raise RolloutFileError(f"{path}: rollouts are written as .jsonl or .jsonl.gz")
    write_atomically(path, data)


def rollout_lines(rollouts: Iterable[Rollout]) -> bytes:
    """The rollouts as UTF-8 JSON lines, absent fields left out."""
    lines = (json.dumps(_as_row(rollout), ensure_ascii=False) + "\n" for rollout in rollouts)
    return "".join(lines).encode()


def _as_row(rollout: Rollout) -> dict[str, object]:
    row: dict[str, object] = {
        "id": rollout.id,
        "model": rollout.model,
        "category": rollout.category,
        "problem": rollout.problem,
        "gold_answer": rollout.gold_answer,
        "final_answer": rollout.final_answer,
        "is_correct": rollout.is_correct,
        "text": rollout.text,
        "chunks": [
            _present(
                {
                    "idx": chunk.idx,
                    "label": chunk.label,
                    "label_description": chunk.description,
                    "text": chunk.text,
                }
            )
            for chunk in rollout.chunks
        ],
    }
    return _present(row)


def _present(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if value is not None}
