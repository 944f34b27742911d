"""Sessions of one run; see `killing`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401 - a first call would import it
from killing import run_sessions
from scripted_run import config_for

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.runner import execute, open_journal


def config_of(directory: Path, base_url: str, **settings: object) -> RunConfig:
    return config_for(
        directory,
        llm_framework="openai",
        model_name="scripted",
        base_url=base_url,
        n_rows=200,
        max_concurrency=4,
        **settings,
    )


async def session(config: RunConfig) -> None:
    """As the command line does it, without printing."""
    run = assemble(config)
    async with make_backends(config) as backends:
        journal, _ = open_journal(run, resume=True)
        with journal:
            await execute(run, backends, journal, Observer())


def main() -> None:
    config = config_of(Path(sys.argv[1]), sys.argv[2])
    assemble(config)  # for what it imports when it is called
    run_sessions(lambda line: asyncio.run(session(config)))


if __name__ == "__main__":
    main()
