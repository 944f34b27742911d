"""Places of real traces with what came of them, for `value_heads.py`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.runner import execute, open_journal
from hierarchical_reasoning.trace import FINISH
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
        run = assemble(config)
        journal, _ = open_journal(run, resume=False)
        with journal:
            async with make_backends(config) as backends:
                await execute(run, backends, journal, Observer())
            entries = sorted(journal.entries(), key=lambda entry: entry.problem_id)
    pairs = []
    for entry in entries:
        if entry.is_correct is None:
            raise SystemExit(f"the trace on {entry.problem_id} was not graded: {entry.reason}")
        problem = Problem(entry.problem_id, entry.problem, None, entry.category, {})
        thoughts = tuple(step.thought for step in entry.steps if step.thought_type != FINISH)
        reward = float(entry.is_correct)
        pairs += [
            Pair(Place(problem, thoughts[:length]), reward, "thought" if length else "problem")
            for length in range(len(thoughts) + 1)
        ]
        pairs.append(Pair(Place(problem, (*thoughts, entry.final_response)), reward, "answer"))
    return pairs
