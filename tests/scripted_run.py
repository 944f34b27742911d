"""A run whose model is scripted, in this process or, as the real command, in one that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hierarchical_reasoning.assembly import Run, assemble
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.journal.file import read_journal
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.results.records import ResultEntry, ResultsFile
from hierarchical_reasoning.runner import Finished, execute, open_journal
from hierarchical_reasoning.stopping import Stop
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
    resume: bool | Path = False,
    observer: Observer | None = None,
    change: Callable[[Run], Run] = lambda run: run,
    stop: Stop | None = None,
) -> Finished:
    """Run to the end with a backend that is already there."""
    observer = observer or Observer()
    run = change(assemble(config))
    journal, _ = open_journal(run, resume=resume)
    with journal:
        backends = backends or Backends.one(backend or ScriptedBackend(reply))
        return await execute(run, backends, journal, observer, stop)


def what_was_said(entry: ResultEntry) -> ResultEntry:
    """An entry without the time it took, and the memory that was held."""
    return entry.model_copy(update={"seconds": 0.0, "memory": None})


def command(directory: Path, *flags: str) -> list[str]:
    config_for(directory)  # writes the problems
    return [
        *(sys.executable, "-c", "import scripted_run; scripted_run.main()"),
        *("--input_file", str(directory / "problems.jsonl"), "--cache_dir", str(directory / "cache")),
        *("--llm_framework", "fake", "--model_name", "fake/model", "--num_icl_examples", "0"),
        *("--max_concurrency", "2", *flags),
    ]


@contextmanager
def process(
    directory: Path, *flags: str, delay: float = 0.0, file_limit: int = resource.RLIM_INFINITY
) -> Iterator[subprocess.Popen[str]]:
    """The real command with a scripted model, in a process of its own, in which no file grows over a limit."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
        # Where the tests run in the background of a shell, Ctrl-C is ignored, and a child inherits that.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    tests = Path(__file__).parent
    environment = os.environ | {
        CALLS: str(directory / "calls"),
        DELAY: str(delay),
        "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
    }
    with subprocess.Popen(
        command(directory, *flags),
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def wait_until_finished(directory: Path, n: int, running: subprocess.Popen[str]) -> None:
    """Until the journal has `n` finished problems."""
    deadline = time.monotonic() + 120
    while sum(path.read_bytes().count(b'"kind": "problem"') for path in directory.glob("cache/*.jsonl")) < n:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def finished_in(directory: Path, *, at_least: int = 2, at_most: int = 5) -> set[str]:
    """The problems that the journal has, each once."""
    (journal,) = directory.glob("cache/*.jsonl")
    found = [record.problem_id for record in read_journal(journal).records]
    assert len(set(found)) == len(found)
    assert at_least <= len(found) <= at_most
    return set(found)


def check_resumes(directory: Path, finished: set[str]) -> None:
    """A resumed process asks for what is owed alone, and ends as if nothing had happened."""
    (directory / "calls").write_text("")
    with process(directory, "--resume") as running:
        said, complaints = running.communicate(timeout=120)
    assert (running.returncode, complaints) == (0, "")
    assert f"{len(finished)} of 6 problems are done" in " ".join(said.split())
    if len(finished) < 6:
        assert "6/6 problems: accuracy 50.0 %" in said
    calls = Counter((directory / "calls").read_text().split())
    assert set(calls) == {f"p{i}" for i in range(6)} - finished
    assert set(calls.values()) == {6}
    (journal,) = directory.glob("cache/*.jsonl")
    assert sorted(record.problem_id for record in read_journal(journal).records) == [
        f"p{i}" for i in range(6)
    ]
    (written,) = directory.glob("cache/*.json")
    results = ResultsFile.model_validate_json(written.read_text()).results
    undisturbed = asyncio.run(run_with(config_for(directory, cache_dir=directory / "undisturbed")))
    assert [*map(what_was_said, results)] == [*map(what_was_said, undisturbed.results.results)]


def main() -> None:
    """The real command, with one more backend."""
    from hierarchical_reasoning.cli.run import main as run_command

    registry._BACKENDS["fake"] = f"{__name__}:FakeBackend"
    run_command()
