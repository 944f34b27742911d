"""Runs sessions of one run in forked processes, for whoever kills them.

Everything slow to import is imported once, here; every session is then a process of its own that is there within
milliseconds. Each line on stdin begins a session; the answer is its process id, and when it has ended, its status.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401 - a first call would import it
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
    for _ in sys.stdin:
        process = os.fork()
        if process == 0:
            os.close(0)
            asyncio.run(session(config))
            os._exit(0)
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
