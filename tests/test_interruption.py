"""Ctrl-C and SIGTERM, sent to the real command in a process of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from scripted_run import (
    check_resumes,
    config_for,
    finished_in,
    process,
    reply,
    run_with,
    wait_until_finished,
    what_was_said,
)

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.results.records import ResultEntry, ResultsFile
from hierarchical_reasoning.stopping import Stop, StopCause
from llm_backends import AuthenticationError, Request, ScriptedBackend


def wait_for_words(running: subprocess.Popen[str], words: str) -> str:
    """What was said up to the line with `words`."""
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def begun(directory: Path) -> set[str]:
    """The problems that a model replied to."""
    return set((directory / "calls").read_text().split())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_once_finishes_what_is_in_flight_and_writes_what_is_there(
    tmp_path: Path, sent: signal.Signals
) -> None:
    with process(tmp_path, delay=0.15) as running:
        wait_until_finished(tmp_path, 2, running)
        running.send_signal(sent)
        said = wait_for_words(running, "interrupt again")
        rest, complaints = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "in flight, then writing what is there" in said
    finished = finished_in(tmp_path)
    assert finished == begun(tmp_path)  # and so what was in flight, and no more
    n = len(finished)
    assert complaints.strip() == f"Error: interrupted; {6 - n} of 6 are owed, go on with --resume"
    assert f"these results are partial: {6 - n} of 6 problems missing (interrupted)" in " ".join(rest.split())
    (partial,) = tmp_path.glob("cache/*.partial.json")
    results = ResultsFile.model_validate_json(partial.read_text())
    assert {entry.problem_id for entry in results.results} == finished
    assert (results.summary.missing, results.summary.stopped) == (6 - n, "interrupted")
    check_resumes(tmp_path, finished)


def test_twice_ends_at_once_and_loses_no_more_than_what_is_in_flight(tmp_path: Path) -> None:
    with process(tmp_path, delay=0.15) as running:
        wait_until_finished(tmp_path, 2, running)
        running.send_signal(signal.SIGINT)
        wait_for_words(running, "interrupt again")
        finished = finished_in(tmp_path)
        running.send_signal(signal.SIGINT)
        _, complaints = running.communicate(timeout=60)
    assert running.returncode == 130
    assert complaints.startswith("Error: interrupted; what is finished is in")
    assert "--resume" in complaints
    assert "Traceback" not in complaints
    assert finished_in(tmp_path) == finished
    assert not list(tmp_path.glob("cache/*.json"))
    with process(tmp_path, "--resume") as running:
        _, complaints = running.communicate(timeout=120)
    assert (running.returncode, complaints) == (0, "")
    assert finished_in(tmp_path, at_most=6) == {f"p{i}" for i in range(6)}


class StopAfter(Observer):
    """Asks for a stop when so many problems are finished."""

    def __init__(self, n: int) -> None:
        self.stop = Stop()
        self._left = n

    def finished(self, entry: ResultEntry) -> None:
        self._left -= 1
        if self._left == 0:
            self.stop.request(StopCause.INTERRUPTED, "interrupted")


async def test_partial_results_make_way_for_later_ones(tmp_path: Path) -> None:
    config = config_for(tmp_path, max_concurrency=1)
    for n, so_far in ((2, 2), (1, 3)):
        watching = StopAfter(n)
        stopped = await run_with(config, resume=True, observer=watching, stop=watching.stop)
        assert stopped.stopped is StopCause.INTERRUPTED
        assert len(stopped.results.results) == so_far
        assert [path.name for path in (tmp_path / "cache").glob("*.json")] == [
            f"{stopped.journal.stem}.partial.json"
        ]
    whole = await run_with(config, resume=True)
    assert (whole.stopped, whole.head.summary.missing, whole.head.summary.alarms) == (None, 0, ())
    assert [*(tmp_path / "cache").glob("*.json")] == [whole.path]
    undisturbed = await run_with(config_for(tmp_path, cache_dir=tmp_path / "other"))
    assert [*map(what_was_said, whole.results.results)] == [*map(what_was_said, undisturbed.results.results)]


async def test_a_stop_after_the_last_problem_leaves_nothing_missing(tmp_path: Path) -> None:
    watching = StopAfter(6)
    finished = await run_with(config_for(tmp_path), observer=watching, stop=watching.stop)
    assert finished.stopped is StopCause.INTERRUPTED
    assert (finished.head.summary.missing, finished.head.summary.stopped) == (0, None)
    assert finished.path.suffixes == [".json"]


async def test_what_unfinished_problems_spent_is_counted(tmp_path: Path) -> None:
    """The third problem is under way when the run breaks off; its two calls were paid for."""
    config = config_for(tmp_path, max_concurrency=1)
    backend = ScriptedBackend(reply, fail_at={14: AuthenticationError("refused")})
    with pytest.raises(AuthenticationError):
        await run_with(config, backend)
    finished = await run_with(config, resume=True)
    summary = finished.head.summary
    earlier = summary.usage_of_earlier_attempts
    assert sum(used.calls for used in earlier.values()) == 2
    assert sum(used.calls for used in summary.usage.values()) == 6 * 6
    assert summary.sessions == 2
    assert summary.wall_seconds is not None
    assert summary.wall_seconds > 0


async def test_wall_time_adds_up_over_sessions(tmp_path: Path) -> None:
    def slow(request: Request) -> str:
        return reply(request)

    config = config_for(tmp_path, max_concurrency=1, n_rows=3)
    totals = []
    for n in (1, 1, 1):
        watching = StopAfter(n)
        backend = ScriptedBackend(slow, delay_s=0.01)
        finished = await run_with(config, backend, resume=True, observer=watching, stop=watching.stop)
        totals.append(finished.head.summary.wall_seconds or 0.0)
        assert finished.head.summary.sessions == len(totals)
    assert totals[0] > 0.06
    assert totals[1] > totals[0] + 0.06
    assert totals[2] > totals[1] + 0.06
    assert assemble(config).settings == assemble(config_for(tmp_path, fail_on_error="3", samples=2)).settings
