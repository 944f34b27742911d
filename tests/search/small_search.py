"""A search that ends within milliseconds, on a scripted world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripted_run import config_for
from scripted_world import MAX_ANSWER, MAX_THOUGHT

from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.runner import Finished

SMALL: dict[str, Any] = {
    "search": "beam",
    "max_depth": 2,
    "branching_factor": 2,
    "max_nodes_per_level": 2,
    "temperature": 0.7,
    "max_thought_tokens": MAX_THOUGHT,
    "max_answer_tokens": MAX_ANSWER,
    "uncertainty": "none",
}
LEARNING: dict[str, Any] = {"uncertainty": "bootstrap", "value_features": "words", "learn_every": 2}
"""With a value head, which learns on the way."""


def small(directory: Path, **given: Any) -> RunConfig:
    return config_for(directory, **{**SMALL, **given})


def trees_file(finished: Finished) -> Path:
    """Beside the journal."""
    return finished.journal.with_name(f"{finished.journal.stem}-trees.jsonl")
