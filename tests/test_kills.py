"""A run that is killed a hundred times, against a server that outlives it and counts."""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kill_driver
import pytest
from killing import asked, driver, settled, some_moment
from scripted_run import write_problems
from test_hosted_runs import reply

from hierarchical_reasoning.journal.file import read_journal
from hierarchical_reasoning.results.records import ResultEntry, ResultsFile
from llm_backends.scripted_server import Call, ScriptedServer

KILLS = 100
PROBLEMS = 200
IN_FLIGHT = 4
CALLS_A_PROBLEM = 6


@dataclass(frozen=True)
class Session:
    """One that was killed, or the last one."""

    finished_before: frozenset[str]
    calls: tuple[Call, ...]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with ScriptedServer(reply, first_s=0.002) as server:
        yield server


def problem_of(call: Call) -> str:
    match = re.search(r"Problem (\d+)", call.messages[0][1])
    assert match is not None
    return f"p{match[1]}"


def finished_in(directory: Path) -> list[str]:
    return [
        record.problem_id for path in directory.glob("cache/*.jsonl") for record in read_journal(path).read()
    ]


def killed_again_and_again(directory: Path, server: ScriptedServer) -> list[Session]:
    rng = random.Random(0)
    sessions = []
    with driver(Path(__file__).with_name("kill_driver.py"), str(directory), server.base_url) as running:
        for number in range(KILLS + 1):
            before, first = frozenset(finished_in(directory)), len(server.calls)
            kill_when = some_moment(server, rng) if number < KILLS else None
            assert running.session(kill_when=kill_when) == (-signal.SIGKILL if number < KILLS else 0)
            sessions.append(Session(before, settled(server, first)))
    return sessions


def check_nothing_was_asked_in_vain(sessions: list[Session]) -> None:
    times_asked = Counter(asked(call) for session in sessions for call in session.calls)
    assert len(times_asked) == PROBLEMS * CALLS_A_PROBLEM
    for session in sessions:
        assert not session.finished_before & {problem_of(call) for call in session.calls}
        by_problem: dict[str, list[str]] = defaultdict(list)
        for call in session.calls:
            by_problem[problem_of(call)].append(asked(call))
        lost = 0
        for questions in by_problem.values():
            for question in questions:
                times_asked[question] -= 1
                if times_asked[
                    question
                ]:  # it will be asked again: the kill came before the reply was received
                    assert question == questions[-1]
                    lost += 1
        assert lost <= IN_FLIGHT


def without_times_and_cache(entry: ResultEntry) -> ResultEntry:
    received_before = {"from_cache": 0, "cost_usd": None, "cost_from_cache_usd": None}
    usage = {role: used.model_copy(update=received_before) for role, used in entry.usage.items()}
    return entry.model_copy(update={"seconds": 0.0, "memory": None, "usage": usage})


def results_in(directory: Path) -> ResultsFile:
    (path,) = directory.glob("*.json")
    return ResultsFile.model_validate_json(path.read_text())


def test_a_run_killed_a_hundred_times_loses_nothing(tmp_path: Path, server: ScriptedServer) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    sessions = killed_again_and_again(tmp_path, server)
    check_nothing_was_asked_in_vain(sessions)
    assert sum(bool(session.calls) for session in sessions) > KILLS / 2
    assert sorted(finished_in(tmp_path)) == sorted(f"p{i}" for i in range(PROBLEMS))
    killed = results_in(tmp_path / "cache")
    assert len(killed.results) == PROBLEMS

    config = kill_driver.config_of(tmp_path, server.base_url, cache_dir=tmp_path / "undisturbed")
    asyncio.run(kill_driver.session(config))
    undisturbed = results_in(tmp_path / "undisturbed")
    assert [*map(without_times_and_cache, killed.results)] == [
        *map(without_times_and_cache, undisturbed.results)
    ]
    assert killed.summary.accuracy == undisturbed.summary.accuracy
    assert killed.summary.sessions > KILLS / 4
