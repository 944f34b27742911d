"""A reasoner that answers right where the planner began with one certain thought type."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from hierarchical_reasoning.assets import TAXONOMY
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.log import Record
from hierarchical_reasoning.training.planner.assembly import TrainingParts, assemble_training
from hierarchical_reasoning.training.run import train_planner
from hierarchical_reasoning.training.sharding.launch import Launch
from hierarchical_reasoning.training.trainer import Trained
from llm_backends import Backend, Request, ScriptedBackend
from taxonomy import load_taxonomy

LEVEL = 1
OPTIONS = tuple(option.name for option in load_taxonomy(TAXONOMY).at_level(LEVEL))
RIGHT = OPTIONS[0]


def problems_file(folder: Path, n: int, first: int = 0) -> Path:
    path = folder / f"problems-{first}-{n}.jsonl"
    rows = [
        f'{{"id": "p{i}", "prompt": "Name number {i}.", "answer": "42"}}\n' for i in range(first, first + n)
    ]
    # Processes of one run make the same file, and one may read it already: the first one stays.
    with suppress(FileExistsError):
        own = path.with_suffix(f".{os.getpid()}")
        own.write_text("".join(rows))
        os.link(own, path)
    return path


def reply(request: Request) -> str:
    if "final answer" not in request.messages[-1].content:
        return "A thought."
    said = [message.content for message in request.messages if message.role == "assistant"]
    return f"\\boxed{{{42 if said[0] == RIGHT else 0}}}"


def reasoner(**options: Any) -> ScriptedBackend:
    return ScriptedBackend(reply, **options)


def parts(tmp_path: Path, planner_model: Path, settings: Mapping[str, Any]) -> TrainingParts:
    return assemble_training(config(tmp_path, planner_model, settings))


def config(tmp_path: Path, planner_model: Path, settings: Mapping[str, Any]) -> GrpoConfig:
    """Small, and quick to learn."""
    usual: dict[str, Any] = {
        "data_file": problems_file(tmp_path, 8),
        "eval_file": problems_file(tmp_path, 6, first=100),
        "eval_rows": 6,
        "n_rows": 8,
        "label_level": LEVEL,
        "max_steps_per_episode": 3,
        "num_icl_examples": 0,
        "planner_model_name": str(planner_model),
        "reasoning_model_name": str(planner_model),  # not loaded: the reasoner is scripted
        "num_rollouts_per_prompt": 4,
        "batch_size": 2,
        "gradient_accumulation_steps": 2,
        "num_iterations": 2,
        "epochs": 1,
        "learning_rate": 3e-3,
        "output_dir": tmp_path / "out",
        "cache_dir": tmp_path / "cache",
    }
    return GrpoConfig(**(usual | dict(settings)))


def train(
    made: TrainingParts, by: Backend, *, launch: Launch | None = None, resume: bool = False, **options: Any
) -> tuple[Trained, list[Record]]:
    """A whole training run in this process, and the records that it reported."""
    records: list[Record] = []
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Backends.one(by)) as backends,
    ):
        place = launch or Launch(1, 0, "cpu")
        result = train_planner(made, backends, portal, place, resume=resume, report=records.append, **options)
    return result, records
