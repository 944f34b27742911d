"""Going on with a run: which one, what is owed, what it adds up to, and what stands in the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scripted_run import (
    config_for,
    finished_in,
    number_of,
    process,
    reply,
    run_with,
    wait_until_finished,
    write_problems,
)

from hierarchical_reasoning import runner
from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.error_limit import errors_allowed
from hierarchical_reasoning.errors import JournalError, OutputError, ResumeError
from hierarchical_reasoning.journal import file as journal_module
from hierarchical_reasoning.journal.file import fingerprint, read_journal
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.stopping import StopCause
from llm_backends import Request, ScriptedBackend, ServerError


def notes_on_resuming(config: RunConfig, resume: bool | Path = True) -> str:
    journal, notes = runner.open_journal(assemble(config), resume=resume)
    journal.close()
    return "\n".join(notes)


async def test_a_named_journal_goes_on_wherever_it_is(tmp_path: Path) -> None:
    config = config_for(tmp_path, n_rows=2)
    first = await run_with(config)
    await run_with(config)  # a newer run of the same settings
    backend = ScriptedBackend(reply)
    more = config_for(tmp_path, n_rows=3, cache_dir=tmp_path / "elsewhere")
    finished = await run_with(more, backend, resume=first.journal)
    assert {number_of(request) for request in backend.requests} == {2}
    assert (finished.journal, finished.path.parent) == (first.journal, first.journal.parent)


async def test_a_named_journal_of_other_settings_is_refused_with_the_difference(tmp_path: Path) -> None:
    first = await run_with(config_for(tmp_path))
    before = first.journal.read_bytes()
    changed = config_for(tmp_path, temperature=0.7, max_concurrency=3)
    with pytest.raises(
        ResumeError, match=r"other settings: temperature: 0\.1 before, 0\.7 now; give"
    ) as caught:
        notes_on_resuming(changed, first.journal)
    assert "max_concurrency" not in str(caught.value)
    write_problems(tmp_path / "problems.jsonl", 7)
    with pytest.raises(ResumeError, match=r"settings: problems_sha256: changed;"):
        notes_on_resuming(config_for(tmp_path), first.journal)
    assert first.journal.read_bytes() == before
    with pytest.raises(JournalError, match="cannot be opened"):
        notes_on_resuming(config_for(tmp_path), tmp_path / "none.jsonl")


async def test_the_run_that_is_most_alike_is_named_with_what_differs(tmp_path: Path) -> None:
    near = await run_with(config_for(tmp_path, n_rows=1))
    await run_with(config_for(tmp_path, n_rows=1, seed=1, planner="uniform"))
    said = notes_on_resuming(config_for(tmp_path, temperature=0.7))
    assert "no run with these settings" in said
    assert f"2 journals; the most alike, {near.journal.name}, has temperature: 0.1 before, 0.7 now" in said


async def test_the_newest_run_is_found_when_the_clock_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        hour = 9

        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            cls.hour -= 1
            return datetime(2020, 1, 1, cls.hour, tzinfo=timezone.utc)

    monkeypatch.setattr(journal_module, "datetime", Clock)
    config = config_for(tmp_path, n_rows=1)
    journals = [(await run_with(config)).journal for _ in range(3)]
    for age, path in enumerate(journals):
        os.utime(path, (1000 - age, 1000 - age))
    created = [read_journal(path).header.created for path in journals]
    assert created == sorted(created, reverse=True)
    assert f"resuming {journals[-1]}: 1 of 1 problem is done; nothing is owed" in notes_on_resuming(config)


def failing_for(*problems: int) -> ScriptedBackend:
    def failing(request: Request) -> str:
        if number_of(request) in problems:
            raise ServerError("overloaded")
        return reply(request)

    return ScriptedBackend(failing, max_retries=0)


async def test_errors_are_kept_where_they_are_not_to_be_retried(tmp_path: Path) -> None:
    first = await run_with(config_for(tmp_path), failing_for(1, 4))
    backend = ScriptedBackend(reply)
    kept = await run_with(config_for(tmp_path, retry_errors=False), backend, resume=True)
    assert (backend.calls, kept.path) == (0, first.path)
    again = await run_with(config_for(tmp_path), backend, resume=True)
    assert {number_of(request) for request in backend.requests} == {1, 4}
    assert again.head.summary.outcomes[Outcome.ERROR] == 0


async def test_calls_of_all_attempts_add_up(tmp_path: Path) -> None:
    def failing_late(request: Request) -> str:
        if number_of(request) == 1 and len(request.messages) > 4:
            raise ServerError("overloaded")
        return reply(request)

    backends = [ScriptedBackend(failing_late, max_retries=0) for _ in range(2)] + [ScriptedBackend(reply)]
    for backend in backends:
        finished = await run_with(config_for(tmp_path), backend, resume=True)
    summary = finished.head.summary
    replies = sum(backend.meter.total.replies for backend in backends)
    counted = [*summary.usage.values(), *summary.usage_of_earlier_attempts.values()]
    assert sum(used.calls for used in counted) == replies > 36
    assert summary.sessions == 3


@pytest.mark.parametrize("limit", ["1", "17%", 0.17])
async def test_too_many_errors_stop_the_run(tmp_path: Path, limit: str | float) -> None:
    config = config_for(tmp_path, fail_on_error=limit, max_concurrency=1)
    finished = await run_with(config, failing_for(1, 2, 4))
    summary = finished.head.summary
    assert finished.stopped is StopCause.TOO_MANY_ERRORS
    assert (summary.n, summary.missing) == (3, 3)
    assert f"more errors than --fail_on_error {limit} allows: 2, and 1 of 6 are allowed" in (
        summary.stopped or ""
    )
    assert (summary.accuracy.n, summary.accuracy_completed.n) == (3, 1)
    within = await run_with(config_for(tmp_path, fail_on_error="1"), failing_for(4), resume=True)
    assert (within.stopped, within.head.summary.missing) == (None, 0)


@given(n=st.integers(1, 10**6), count=st.integers(0, 10**6), percent=st.integers(0, 100))
def test_a_limit_is_a_count_or_a_share(n: int, count: int, percent: int) -> None:
    assert errors_allowed(str(count), n) == count
    assert errors_allowed(f"{percent}%", n) == errors_allowed(f"{percent / 100:.2f}", n) == n * percent // 100


@pytest.mark.parametrize("limit", ["", "-1", "many", "101%", "1.5", "nan", "1e3", "3 %%"])
def test_what_is_no_limit_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match="no count"):
        errors_allowed(limit, 10)
    with pytest.raises(ValidationError, match="no share"):
        RunConfig(fail_on_error=limit)


def test_shares_are_exact() -> None:
    assert errors_allowed("0.29", 100) == Fraction(29, 100) * 100 == 29


def test_too_many_errors_are_exit_status_1(tmp_path: Path) -> None:
    with process(tmp_path, "--fail_on_error", "0", "--max_choice_tokens", "1") as running:
        assert running.wait(timeout=60) == 0  # no error: nothing stops
    (tmp_path / "calls").chmod(0o644)
    (tmp_path / "calls").unlink()
    (tmp_path / "calls").mkdir()  # the model cannot log its calls, and so every problem fails
    with process(tmp_path, "--fail_on_error", "0") as running:
        _, complaints = running.communicate(timeout=60)
    assert running.returncode == 1
    assert complaints.startswith("Error: stopped: more errors than --fail_on_error 0 allows: ")
    assert complaints.endswith("go on with --resume\n")


def test_one_process_at_a_time_writes_a_run_and_a_dead_one_holds_no_lock(tmp_path: Path) -> None:
    with process(tmp_path, delay=0.15) as running:
        wait_until_finished(tmp_path, 2, running)
        running.send_signal(signal.SIGSTOP)
        with process(tmp_path, "--resume") as other:
            _, complaints = other.communicate(timeout=60)
        assert other.returncode == 2
        assert "another process is writing" in complaints
        running.kill()
    finished_in(tmp_path)
    with process(tmp_path, "--resume") as other:
        _, complaints = other.communicate(timeout=60)
    assert (other.returncode, complaints) == (0, "")
    finished_in(tmp_path, at_least=6, at_most=6)


def told_to_resume(running: subprocess.Popen[str]) -> str:
    """What a run that cannot write says, on one line."""
    _, complaints = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "Traceback" not in complaints
    return " ".join(complaints.split())


def journal_size(directory: Path) -> int:
    """Of a run with one problem."""
    with process(directory, "--n_rows", "1", "--no_cache") as running:
        assert running.wait(timeout=60) == 0
    (journal,) = directory.glob("cache/*.jsonl")
    return journal.stat().st_size


def test_a_full_disk_costs_what_is_in_flight_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "measured").mkdir()
    limit = journal_size(tmp_path / "measured") + 1000
    with process(tmp_path, "--no_cache", "--max_concurrency", "1", file_limit=limit) as running:
        said = told_to_resume(running)
    assert re.search(r"problem 'p1' is lost; all that was finished before is kept.*go on with --resume", said)
    (tmp_path / "calls").unlink()
    with process(tmp_path, "--resume") as running:
        shown, complaints = running.communicate(timeout=60)
    assert (running.returncode, complaints) == (0, "")
    assert "line 3 of the journal is torn" in shown
    assert "problem 'p1' (sample 0) is owed" in " ".join(shown.split())
    assert set((tmp_path / "calls").read_text().split()) == {f"p{i}" for i in range(1, 6)}
    finished_in(tmp_path, at_least=6, at_most=6)


def test_a_disk_that_is_full_for_the_cache_of_replies_stops_the_run_too(tmp_path: Path) -> None:
    with process(tmp_path, file_limit=30_000) as running:
        said = told_to_resume(running)
    assert "the cache of replies" in said
    with process(tmp_path, "--resume") as running:
        assert running.wait(timeout=60) == 0
    assert finished_in(tmp_path, at_least=6, at_most=6)


def test_a_directory_that_cannot_be_written_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    with process(tmp_path, "--cache_dir", "/proc/self/results") as running:
        said = told_to_resume(running)
    assert "/proc/self/results" in said
    assert "choose another --cache_dir" in said
    assert not (tmp_path / "calls").exists()


def test_a_journal_deleted_during_the_run_stops_it(tmp_path: Path) -> None:
    with process(tmp_path, delay=0.05) as running:
        wait_until_finished(tmp_path, 2, running)
        (journal,) = tmp_path.glob("cache/*.jsonl")
        journal.unlink()
        said = told_to_resume(running)
    assert "was deleted during the run, and what was finished with it; start the run again" in said
    calls = (tmp_path / "calls").read_text().split()
    with process(tmp_path) as running:
        assert running.wait(timeout=60) == 0
    assert (
        len((tmp_path / "calls").read_text().split()) == 36 >= len(calls)
    )  # the cache has what was received


class Moving(Observer):
    """Moves the directory of results away when the last problem is finished."""

    def __init__(self, directory: Path, n: int) -> None:
        self._directory, self._left = directory, n

    def finished(self, entry: ResultEntry) -> None:
        self._left -= 1
        if not self._left:
            self._directory.rename(self._directory.with_name("moved"))


async def test_where_the_results_cannot_be_written_the_journal_has_them(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    with pytest.raises(OutputError, match=r"the journal has every finished problem.*--resume"):
        await run_with(config, observer=Moving(config.cache_dir, 6))
    (tmp_path / "moved").rename(config.cache_dir)
    backend = ScriptedBackend(reply)
    finished = await run_with(config, backend, resume=True)
    assert (backend.calls, len(finished.results.results)) == (0, 6)


def test_a_damaged_line_is_mended_as_the_message_says(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        assert running.wait(timeout=60) == 0
    (journal,) = tmp_path.glob("cache/*.jsonl")
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:3], lines[3][:-40], *lines[4:]]))
    with process(tmp_path, "--resume") as running:
        said = told_to_resume(running)
    assert "the 5 other readable records are intact" in said
    command = re.search(r"\((sed -i .*?)\)", said)
    assert command is not None
    subprocess.run(command[1], shell=True, check=True)
    with process(tmp_path, "--resume", "--no_cache") as running:
        said, _ = running.communicate(timeout=60)
    assert "5 of 6 problems are done" in " ".join(said.split())
    finished_in(tmp_path, at_least=6, at_most=6)


def memory_of_resuming(directory: Path, n: int) -> int:
    """Most bytes that a process held which found `n` problems finished and wrote their results."""
    directory.mkdir()
    write_problems(directory / "problems.jsonl", n)
    script = textwrap.dedent(
        """
        import asyncio, json, resource, sys
        from dataclasses import replace
        from pathlib import Path

        from scripted_run import config_for, reply, run_with
        from hierarchical_reasoning.assembly import assemble
        from hierarchical_reasoning.journal.lines import line_of, parsed
        from llm_backends import ScriptedBackend

        directory, n = Path(sys.argv[1]), int(sys.argv[2])
        first = asyncio.run(run_with(config_for(directory, n_rows=1)))
        content = parsed(first.journal.read_bytes().splitlines()[1])
        with first.journal.open("ab") as journal:
            for number in range(1, n):
                name = f"p{number}"
                entry = content["entry"] | {"problem_id": name, "final_response": f"{number} " * 1000}
                journal.write(line_of(content | {"problem_id": name, "entry": entry}))
        backend = ScriptedBackend(reply)
        finished = asyncio.run(run_with(config_for(directory, n_rows=n), backend, resume=True))
        assert backend.calls == 0
        assert finished.head.summary.n == n
        assert finished.path.stat().st_size > 4000 * n
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        """
    )
    tests = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}
    command = [sys.executable, "-c", script, str(directory), str(n)]
    return int(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def test_a_long_journal_is_not_held_in_memory(tmp_path: Path) -> None:
    few, many = (memory_of_resuming(tmp_path / str(n), n) for n in (500, 4_500))
    assert (many - few) / 4_000 < 2_500  # of more than 6,000 a problem


@pytest.mark.parametrize("selected", [{"n_rows": 2}, {"sample_id": ("p0",)}, {"shuffle": True, "n_rows": 1}])
async def test_one_run_has_one_answer_format_whichever_problems_are_taken(
    tmp_path: Path, selected: dict[str, Any]
) -> None:
    """Numbers come first and mathematics last: the first two problems alone would be graded as numbers."""
    file = tmp_path / "problems.jsonl"
    write_problems(file)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[-1]["answer"] = r"\frac{\sqrt{2}}{3}"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    part, whole = assemble(config_for(tmp_path, **selected)), assemble(config_for(tmp_path, n_rows=len(rows)))
    assert (part.verifier.format, whole.verifier.format) == ("math", "math")
    assert part.settings["answer_format"] == whole.settings["answer_format"] == "math"
    assert fingerprint(part.settings | {"shuffle": False}) == fingerprint(whole.settings)
    if "shuffle" not in selected:
        first = await run_with(config_for(tmp_path, **selected))
        more = await run_with(config_for(tmp_path, n_rows=len(rows)), resume=first.journal)
        assert more.head.config["answer_format"] == "math"


def test_a_category_has_an_answer_format_of_its_own(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "1 + 1?", "answer": "2", "category": "sum"},
        {"id": "b", "prompt": "Which town?", "answer": "Rome it is", "category": "town"},
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {name: assemble(config_for(tmp_path, category=name)).verifier.format for name in ("sum", "town")}
    assert found == {"sum": "number", "town": "text"}
