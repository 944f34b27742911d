"""Sessions of one training run; see `killing`."""

from __future__ import annotations

import sys
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401 - a first call would import it
from anyio.from_thread import start_blocking_portal
from fake_reasoner import config
from killing import run_sessions

import hierarchical_reasoning.training.trl_host  # noqa: F401
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.planner.assembly import assemble_training
from hierarchical_reasoning.training.run import train_planner
from hierarchical_reasoning.training.sharding.launch import Launch


def config_of(directory: Path, planner_model: Path, base_url: str, **settings: object) -> GrpoConfig:
    directory.mkdir(exist_ok=True)
    asked = {"llm_framework": "openai", "reasoning_model_name": "scripted", "base_url": base_url}
    usual = {"epochs": 3, "eval_every": 2, "save_every": 1, "max_concurrency": 8, "temperature": 1.0}
    return config(directory, planner_model, asked | usual | settings)


def session(settings: GrpoConfig) -> None:
    """As the command line does it, without printing."""
    parts = assemble_training(settings)
    with start_blocking_portal() as portal:
        opened = portal.call(make_backends, settings)
        with portal.wrap_async_context_manager(opened) as backends:
            train_planner(parts, backends, portal, Launch(1, 0, "cpu"), resume=True)


def main() -> None:
    settings = config_of(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    run_sessions(lambda line: session(settings))


if __name__ == "__main__":
    main()
