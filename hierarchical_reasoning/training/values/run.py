"""Fitting a value head to finished runs, and measuring it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.results.file import check_writable
from hierarchical_reasoning.results.reader import open_run
from hierarchical_reasoning.search.combinations import check_search
from hierarchical_reasoning.training.values.attempts import Attempt, Attempts, read_attempts
from hierarchical_reasoning.training.values.config import ValuesConfig
from hierarchical_reasoning.training.values.measures import Measured, measure
from hierarchical_reasoning.values.assembly import encoder_of
from hierarchical_reasoning.values.base import Place
from hierarchical_reasoning.values.encoders import HashedWords
from hierarchical_reasoning.values.fitting import Fitted, fit, held_back
from hierarchical_reasoning.values.head_files import FILE
from hierarchical_reasoning.wording import counted
from taxonomy.atomic import file_hash, write_atomically

if TYPE_CHECKING:
    from hierarchical_reasoning.values.encoders import Encoder
    from hierarchical_reasoning.values.encoders.base import Vectors

MEASURED = "measured.json"
"""In `--output_dir`, beside the head."""
_PLACES_AT_ONCE = 64
_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class TrainedValues:
    """A head that was written."""

    head: Path
    fitted: Fitted
    measured: Measured | None
    """None where no problem was kept for it."""
    notes: tuple[str, ...]
    flags: frozenset[str]
    """By which the traces were made: one, unless they are of several kinds."""


async def train_values(
    config: ValuesConfig, report: Callable[[str], None] = lambda line: None
) -> TrainedValues:
    """Fit a head to the places of graded attempts, and write it into ``--output_dir``.

    Args:
        report: gets a line on what is under way.

    Raises:
        UsageError: a file cannot be read, there is too little to learn from, or nothing can be written.
        BackendError: a model or a server is not there.
    """
    target = config.output_dir
    if (target / FILE).exists():
        raise ConfigError(
            f"--output_dir {target} holds a value head already; choose another one, or remove {target / FILE}"
        )
    check_writable(target, "--output_dir")
    attempts = read_attempts(config.files)
    for source in attempts.sources:
        report(f"{source.path}: {source.flags}, problems of {source.problems}")
    learned, tested = _divided(attempts, config)
    places, rewards, notes = _pairs(learned, attempts, config)
    report(
        f"{counted(len(attempts.graded), 'trace')} on {counted(len(attempts.problems), 'problem')}, "
        f"{sum(each.is_correct for each in attempts.graded):,} right"
    )
    for note in notes:
        report(f"note: {note}")
    async with _encoder(config) as encoder:
        reporting = _Reporting(encoder, len({place.texts for place in places}), report)
        fitted = await fit(places, rewards, reporting, config.head, validation_share=config.validation_share)
        fitted.estimator.encoder = encoder
        measured = None
        if tested:
            values = await fitted.estimator.estimate([attempt.places[-1] for attempt in tested])
            measured = measure(tested, [each.value for each in values], seed=config.seed)
        _write_record(target / MEASURED, config, fitted, measured)
        await fitted.estimator.save(target)
    flags = frozenset(source.flags for source in attempts.sources)
    return TrainedValues(target / FILE, fitted, measured, notes, flags)


def _divided(attempts: Attempts, config: ValuesConfig) -> tuple[list[Attempt], list[Attempt]]:
    """Those that are learned from, and those that are measured by, on other problems."""
    problems = attempts.problems
    if not problems:
        raise ConfigError(f"{_named(config.files)}: no attempt in there is graded, so nothing can be learned")
    if len(problems) < (least := 3 if config.test_share else 2):
        raise ConfigError(
            f"{_named(config.files)}: there are graded attempts on {counted(len(problems), 'problem')}, and {least} "
            "are the fewest, some to learn from, some to stop by and some to measure by; give more files"
            + (", or --test_share 0, with which 2 are the fewest" if config.test_share else "")
        )
    if not config.test_share:
        return list(attempts.graded), []
    apart_N = held_back(problems, config.test_share, config.seed)
    kept = {problem for problem, apart in zip(problems, apart_N.tolist(), strict=True) if apart}
    return attempts.on(set(problems) - kept), attempts.on(kept)


def _pairs(
    learned: Sequence[Attempt], attempts: Attempts, config: ValuesConfig
) -> tuple[list[Place], list[float], tuple[str, ...]]:
    pairs = [(place, float(attempt.is_correct)) for attempt in learned for place in attempt.places]
    notes = [
        f"{counted(n, 'attempt')} left out, which ended as {outcome.value}"
        for outcome, n in attempts.left_out.items()
    ]
    if attempts.repeated:
        notes.append(f"{counted(attempts.repeated, 'attempt')} in several of the files, which count once")
    if len(pairs) > config.max_pairs:
        drawn = sorted(random.Random(config.seed).sample(range(len(pairs)), config.max_pairs))
        notes.append(f"{config.max_pairs:,} of {len(pairs):,} places are learned from (--max_pairs)")
        pairs = [pairs[at] for at in drawn]
    return [place for place, _ in pairs], [reward for _, reward in pairs], tuple(notes)


@asynccontextmanager
async def _encoder(config: ValuesConfig) -> AsyncIterator[Encoder]:
    """As a search of these settings would have it."""
    if config.value_features == "words":
        yield HashedWords()
        return
    searching = _searching(config)
    check_search(searching, "")
    if config.value_features == "auto" and searching.framework != "local":
        yield HashedWords()
        return
    async with make_backends(searching) as backends:
        await backends.check_models()
        yield encoder_of(searching, backends)


def _searching(config: ValuesConfig) -> RunConfig:
    """The settings of a search that would use the head."""
    model: dict[str, Any] = {"model_name": config.model_name, "llm_framework": config.llm_framework}
    recorded = {_recorded_model(path) for path in config.files}
    frameworks = sorted({framework for _, framework in recorded})
    if config.value_features == "embeddings":
        model["model_name"] = config.embedding_model_name  # no other one is asked
        if len(frameworks) == 1:
            model["llm_framework"] = config.llm_framework or frameworks[0]
    elif config.model_name is None:
        names = sorted({name for name, _ in recorded})
        if len(names) > 1:
            raise ConfigError(
                f"the traces are of several models ({', '.join(names)}); say whose states a value head is to see with "
                "--model_name"
            )
        if len(frameworks) > 1 and config.llm_framework is None:
            raise ConfigError(
                f"the traces are of {names[0]} through several backends ({', '.join(frameworks)}); say which one a "
                "value head is to see it through with --llm_framework"
            )
        model = {"model_name": names[0], "llm_framework": config.llm_framework or frameworks[0]}
    shared = ("value_features", "base_url", "api_key_env", "embedding_model_name", "device", "dtype")
    more = ("max_concurrency", "cache_dir", "no_cache", "uncertainty", "seed")
    given = {name: getattr(config, name) for name in (*shared, *more)}
    given = {name: value for name, value in (given | model).items() if value is not None}
    return RunConfig(search="beam", **given)


def _recorded_model(path: Path) -> tuple[str, str]:
    """The model, and its backend."""
    facts = open_run(path).facts
    framework = facts.config.recorded.get("llm_framework")
    named = {"llm_framework": framework} if isinstance(framework, str) else {}
    return facts.model_name, RunConfig(model_name=facts.model_name, **named).framework


class _Reporting:
    """An encoder that makes each vector once, some at a time, and says how far it is."""

    def __init__(self, encoder: Encoder, n: int, report: Callable[[str], None]) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._n = n
        self._report = report

    async def encode(self, places: Sequence[Place]) -> Vectors:
        import numpy as np

        once = list({place.texts: place for place in places}.values())
        known: dict[tuple[str, ...], Any] = {}
        told = time.monotonic()
        for start in range(0, len(once), _PLACES_AT_ONCE):
            batch = once[start : start + _PLACES_AT_ONCE]
            vectors = await self._encoder.encode(batch)
            known |= {place.texts: row for place, row in zip(batch, vectors, strict=True)}
            if time.monotonic() >= told + _SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                self._report(f"{len(known):,} of {counted(self._n, 'place')} seen as {self.name}")
        return np.stack([known[place.texts] for place in places])


def _write_record(path: Path, config: ValuesConfig, fitted: Fitted, measured: Measured | None) -> None:
    record = {
        "settings": config.model_dump(mode="json"),
        "files_sha256": {str(file): file_hash(file) for file in config.files},
        "encoder": fitted.estimator.encoder.name,
        "learned_from": fitted.n_train,
        "validated_on": fitted.n_validation,
        "rounds": fitted.rounds,
        "temperature": fitted.temperature,
        "measured": None if measured is None else measured.model_dump(mode="json"),
    }
    try:
        write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}); make room") from error


def _named(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))
