"""A run whose model is scripted, in this process or, as the real command, in one that can be killed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hierarchical_reasoning.assembly import Run, assemble
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.results import ResultEntry
from hierarchical_reasoning.runner import Finished, execute, open_journal
from hierarchical_reasoning.trace import FINISH
from llm_backends import Backend, Request, ScriptedBackend, registry

CALLS, DELAY = "SCRIPTED_CALLS", "SCRIPTED_DELAY"
"""Environment variables of the process: a file that gets a line per call, and seconds that each call takes."""


def write_problems(path: Path, n: int = 6) -> Path:
    """Problems whose answer is their number and ten: "p3" asks for 10 + 3."""
    rows = [
        {"id": f"p{i}", "prompt": f"Problem {i}: 10 + {i}?", "answer": 10 + i, "category": "sum"}
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def number_of(request: Request) -> int:
    match = re.search(r"Problem (\d+)", request.messages[0].content)
    assert match is not None
    return int(match[1])


def reply(request: Request) -> str:
    """Two thoughts, then an answer, which is right for even problems. It depends on the request alone."""
    number = number_of(request)
    said = [message.content for message in request.messages if message.role == "assistant"]
    if request.choices is not None:
        types = sorted(set(request.choices) - {FINISH})
        return FINISH if len(said) == 4 else types[(number + len(said)) % len(types)]
    if said and said[-1] != FINISH:
        return f"Thought {len(said)} on problem {number}."
    return f"So it is \\boxed{{{10 + number if number % 2 == 0 else 0}}}."


class FakeBackend(ScriptedBackend):
    """The backend "fake" of the process."""

    def __init__(self, model_name: str, **options: Any) -> None:
        super().__init__(self._logged, delay_s=float(os.environ[DELAY]), model_name=model_name, **options)

    def _logged(self, request: Request) -> str:
        with Path(os.environ[CALLS]).open("a") as calls:
            calls.write(f"p{number_of(request)}\n")
        return reply(request)


def config_for(directory: Path, **settings: Any) -> RunConfig:
    """Settings of a scripted run over `directory / "problems.jsonl"` (made if missing), results beside it."""
    problems = directory / "problems.jsonl"
    if not problems.exists():
        write_problems(problems)
    return RunConfig(
        **{
            "input_file": problems,
            "cache_dir": directory / "cache",
            "llm_framework": "scripted",
            "model_name": "fake/model",
            "num_icl_examples": 0,
            "max_retries": 0,
            **settings,
        }
    )


async def run_with(
    config: RunConfig,
    backend: Backend | None = None,
    *,
    backends: Backends | None = None,
    resume: bool = False,
    observer: Observer | None = None,
    change: Callable[[Run], Run] = lambda run: run,
) -> Finished:
    """Run to the end with a backend that is already there."""
    observer = observer or Observer()
    run = change(assemble(config))
    journal, _ = open_journal(run, resume=resume)
    with journal:
        backends = backends or Backends.one(backend or ScriptedBackend(reply))
        return await execute(run, backends, journal, observer)


def what_was_said(entry: ResultEntry) -> ResultEntry:
    """An entry without the time it took."""
    return entry.model_copy(update={"seconds": 0.0})


def main() -> None:
    """The real command, with one more backend."""
    from hierarchical_reasoning.cli.run import main as run_command

    registry._BACKENDS["fake"] = f"{__name__}:FakeBackend"
    run_command()
