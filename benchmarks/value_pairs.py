"""Places of real traces with what came of them, for `value_heads.py`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from main_run import finished

from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.training.values.attempts import read_attempts
from hierarchical_reasoning.values import Place


@dataclass(frozen=True)
class Pair:
    """A place, and whether its trace was right in the end."""

    place: Place
    reward: float
    kind: str
    """``problem`` before any thought, ``thought``, ``answer``."""


async def gather(input_file: Path, n_problems: int, seed: int) -> list[Pair]:
    """Every beginning of a trace is labeled with the trace's outcome: the hierarchical solver's, one trace a problem,
    drawn at temperature 1, so that some go wrong."""
    with tempfile.TemporaryDirectory() as directory:
        config = RunConfig(
            input_file=input_file,
            n_rows=n_problems,
            temperature=1.0,
            planner_temperature=1.0,
            seed=seed,
            max_concurrency=64,
            cache_dir=Path(directory),
            no_cache=True,
        )
        attempts = read_attempts([(await finished(config)).path])
    if attempts.left_out:
        raise SystemExit(f"some traces were not graded: {dict(attempts.left_out)}")
    pairs = []
    for attempt in attempts.graded:
        *thoughts, answer = attempt.places
        places = [
            (Place(attempt.problem), "problem"),
            *((each, "thought") for each in thoughts),
            (answer, "answer"),
        ]
        pairs += [Pair(place, float(attempt.is_correct), kind) for place, kind in places]
    return pairs
