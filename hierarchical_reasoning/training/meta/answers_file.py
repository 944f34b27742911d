"""The answers that a run learns from, as a file: a resumed run learns from the same ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.training.meta.rollouts import Answer
from taxonomy.atomic import write_atomically

ANSWERS_NAME = "answers.jsonl"


def write_answers(folder: Path, answers: Sequence[Answer]) -> None:
    """Raises OutputError."""
    lines = "".join(json.dumps(asdict(answer)) + "\n" for answer in answers)
    try:
        write_atomically(folder / ANSWERS_NAME, lines.encode())
    except OSError as error:
        raise OutputError(
            f"{folder / ANSWERS_NAME} cannot be written ({error.strerror}); choose another --output_dir"
        ) from error


def read_answers(folder: Path) -> list[Answer] | None:
    """None where there are none. Raises ConfigError where they cannot be read."""
    path = folder / ANSWERS_NAME
    if not path.is_file():
        return None
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Answer(**{**row, "tokens": tuple(row["tokens"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"--resume: {path} cannot be used ({error}); delete it, to have answers drawn again"
        ) from error
