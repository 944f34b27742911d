"""How good a start is on the unseen family: at once, and after a few steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.results.intervals import wilson_interval
from hierarchical_reasoning.training.meta.assembly import MetaParts
from hierarchical_reasoning.training.meta.learner import Parameters, adapt, finite
from hierarchical_reasoning.training.meta.subject import Subject, adaptation_batches
from hierarchical_reasoning.versions import versions
from taxonomy.atomic import write_atomically

RESULTS_NAME = "results.json"
StartName = Literal["plain", "joint", "meta"]
"""``plain``: nothing was learned; adapting it is fine-tuning from scratch. ``joint``: trained on all families together,
on the batches that the meta-learner met. ``meta``: meta-learned."""


@dataclass(frozen=True)
class TransferRow:
    """A start after `k` steps on the unseen family, measured on problems of it that no step met."""

    start: StartName
    k: int
    correct: int
    n: int
    accuracy: float
    low: float
    high: float
    """Wilson's 95 % interval. Places of a value head are no independent draws: it is too narrow for them."""
    loss: float | None
    """Nats a token on worked answers, where problems have them; of a value head, a place."""
    auc: float | None
    """Of a value head; see `Score`."""


@dataclass(frozen=True)
class MetaResults:
    """Of a whole run."""

    rows: tuple[TransferRow, ...]
    path: Path
    """Of the file."""
    last: Path
    """What was meta-learned: a model folder, or a value head's."""


async def measure_transfer(
    parts: MetaParts, subject: Subject, starts: Mapping[StartName, Parameters]
) -> AsyncIterator[TransferRow]:
    """Every start meets the same batches, and the same inner learning rate.

    Raises:
        DivergedError: adaptation does.
    """
    config, unseen = parts.config, parts.problems.unseen
    batches = adaptation_batches(
        subject, unseen, config.batch_size, config.measured_after[-1], f"{config.seed}/adapt/{unseen}"
    )
    for start, parameters in starts.items():
        done, adapted = 0, parameters
        for k in config.measured_after:
            adapted = adapt(adapted, batches[done:k], subject.loss, lr=config.inner_lr)
            done = k
            score = await subject.score(adapted)
            await asyncio.sleep(0)  # an interrupt comes through here
            low, high = wilson_interval(score.correct, score.n)
            loss = None if score.loss is None else round(finite(score.loss), 5)
            auc = None if score.auc is None else round(score.auc, 5)
            yield TransferRow(start, k, score.correct, score.n, score.correct / score.n, low, high, loss, auc)


def write_results(parts: MetaParts, subject: Subject, rows: Sequence[TransferRow], seconds: float) -> Path:
    """Raises OutputError."""
    problems = parts.problems
    contents: dict[str, Any] = {
        "kind": "meta_learning",
        "config": parts.config.model_dump(mode="json"),
        "answer_format": parts.verifier.format,
        "families": {
            name: {"problems": len(members), "learned_from": len(subject.problem_ids(name))}
            for name, members in {**problems.train, problems.unseen: problems.support}.items()
        },
        "unseen": problems.unseen,
        "test_problems": len(problems.test),
        "rows": [asdict(row) for row in rows],
        "notes": list(parts.notes),
        "seconds": round(seconds, 1),
        "versions": versions(),
    }
    path = parts.config.output_dir / RESULTS_NAME
    try:
        write_atomically(path, (json.dumps(contents, indent=2, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); make room, then go on with --resume"
        ) from error
    return path
