"""Studies whose model is the scripted HTTP server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from test_hosted_runs import reply

from hierarchical_reasoning.compare.beginning import Asked, Begun, begin
from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.results.reader.run_files import open_run
from hierarchical_reasoning.results.records import ResultEntry
from llm_backends.scripted_server import Answer, Call

N = 6
"""Problems, unless more are asked for."""


def settings_for(directory: Path, base_url: str, *, n: int = N, **settings: Any) -> dict[str, Any]:
    return {
        "input_file": directory / "problems.jsonl",
        "llm_framework": "openai",
        "model_name": "scripted",
        "base_url": base_url,
        "num_icl_examples": 0,
        "n_rows": n,
        "max_retries": 0,
        "max_concurrency": 4,
        **settings,
    }


def is_vanilla(call: Call) -> bool:
    """Whether a call asks for a whole solution."""
    return len(call.messages) == 1 and call.choices is None


def varying(call: Call) -> Answer:
    """As `reply`, but a vanilla sample is right or wrong by its seed, so that votes differ from samples."""
    if is_vanilla(call):
        match = re.search(r"Problem (\d+)", call.messages[0][1])
        assert match is not None
        number = int(match[1])
        seed = int(call.body.get("seed") or 0)
        return f"So it is \\boxed{{{10 + number + (seed * 7919 + number) % 3 // 2}}}."
    return reply(call)


def begun(
    directory: Path, base_url: str, *arms: str | Mapping[str, Any], name: str = "study", **asked: Any
) -> Begun:
    """A study in `directory / name`, begun."""
    own = {key: asked.pop(key) for key in ("baseline", "matched", "matched_by", "most_votes") if key in asked}
    settings = settings_for(directory, base_url, **asked)
    return begin(StudyFiles(directory / name), Asked(arms=arms, settings=settings, **own))


def results_of(study: Path, arm: str) -> list[ResultEntry]:
    return list(open_run(StudyFiles(study).results(arm)).entries())


def told(entries: Iterator[ResultEntry] | list[ResultEntry]) -> list[ResultEntry]:
    """Entries without times, memory, and what came from a cache."""
    received_before = {"from_cache": 0, "cost_usd": None, "cost_from_cache_usd": None}
    return [
        entry.model_copy(
            update={
                "seconds": 0.0,
                "memory": None,
                "usage": {
                    role: used.model_copy(update=received_before) for role, used in entry.usage.items()
                },
            }
        )
        for entry in entries
    ]
