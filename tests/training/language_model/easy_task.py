"""A task that a tiny random model learns in seconds: answers are right whose characters mostly have even numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from fake_reasoner import problems_file

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.language_model.parts import LanguageModelParts, assemble_language_model
from hierarchical_reasoning.training.log import Record
from hierarchical_reasoning.training.run import train_language_model
from hierarchical_reasoning.training.sharding.launch import Launch
from hierarchical_reasoning.training.trainer import Trained
from hierarchical_reasoning.verifiers import Grade, Verifier

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz ")
TREES = {
    "explorer": "entropy_tree", "max_depth": 3, "min_segment_len": 1, "entropy_threshold": 0.5,
    "coverage_min_chars": 2, "coverage_children_max": 2, "delimiters": LETTERS,
}  # fmt: skip
"""Rules by which answers of a few random characters branch."""


class Even(Verifier):
    """Goes by the characters' numbers in Unicode."""

    format = "even"

    async def grade(self, problem: Problem, text: str, *, truncated: bool = False) -> Grade:
        even = sum(ord(character) % 2 == 0 for character in text)
        outcome = Outcome.CORRECT if 2 * even > len(text) else Outcome.WRONG
        return Grade(outcome, text or None, "by its characters", "the whole answer")

    def check(self, problem: Problem) -> None:
        pass


def config(folder: Path, model: Path, settings: Mapping[str, Any]) -> LanguageModelConfig:
    """Small, and quick to learn."""
    usual: dict[str, Any] = {
        "model_id": str(model),
        "data_file": problems_file(folder, 8),
        "eval_file": problems_file(folder, 6, first=100),
        "eval_rows": 6,
        "n_rows": 8,
        "num_rollouts_per_prompt": 6,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "epochs": 1,
        "learning_rate": 3e-3,
        "max_new_tokens": 6,
        "eval_every": 0,
        "output_dir": folder / "out",
        "cache_dir": folder / "cache",
    }
    return LanguageModelConfig(**(usual | dict(settings)))


def parts(folder: Path, model: Path, settings: Mapping[str, Any]) -> LanguageModelParts:
    return replace(assemble_language_model(config(folder, model, settings)), verifier=Even())


def train(
    made: LanguageModelParts, *, launch: Launch | None = None, resume: bool = False, **options: Any
) -> tuple[Trained, list[Record]]:
    """A whole training run in this process, and the records that it reported."""
    records: list[Record] = []
    place = launch or Launch(1, 0, "cpu")
    with start_blocking_portal() as portal:
        result = train_language_model(made, portal, place, resume=resume, report=records.append, **options)
    return result, records


def log_of(folder: Path) -> list[dict[str, Any]]:
    """But for its times."""
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if not k.endswith(("seconds", "bytes"))} for record in records]
