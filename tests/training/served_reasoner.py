"""The rule-following reasoner of `fake_reasoner` behind a real server, which can be stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fake_reasoner import RIGHT, config

from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.training.planner.assembly import TrainingParts, assemble_training
from hierarchical_reasoning.training.planner.rollouts import Rollouts, Waiting
from llm_backends.local import LocalBackend
from llm_backends.scripted_server import Call, Reply, ScriptedServer


def reply(call: Call) -> Reply:
    """A thought; or an answer, which is right where the planner began with one certain thought type."""
    text = "A thought."
    if "final answer" in call.messages[-1][1]:
        said = [content for role, content in call.messages if role == "assistant"]
        text = f"\\boxed{{{42 if said[0] == RIGHT else 0}}}"
    return Reply(text, prompt_tokens=10, completion_tokens=2)


def served(server: ScriptedServer, tmp_path: Path, planner_model: Path, **settings: Any) -> TrainingParts:
    """A training run whose reasoner is asked at the server."""
    asked = {"llm_framework": "openai", "reasoning_model_name": "scripted", "base_url": server.base_url}
    return assemble_training(config(tmp_path, planner_model, {**asked, "max_retries": 0, **settings}))


@asynccontextmanager
async def rolling_out(
    made: TrainingParts, planner_model: Path, waiting: Callable[[Waiting], None] = lambda _: None
) -> AsyncIterator[Rollouts]:
    async with (
        LocalBackend(planner_model, dtype="float32") as planner,
        make_backends(made.config) as backends,
    ):
        await backends.check_models()
        yield made.rollouts(planner, backends, waiting)


async def until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")
