"""A study that is killed twenty times, against a server that outlives it and counts."""

from __future__ import annotations

import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from killing import asked, driver, settled, some_moment
from scripted_run import write_problems
from scripted_study import begun, results_of, told, varying

from hierarchical_reasoning.compare.merging import merge
from hierarchical_reasoning.compare.work import run_shard
from llm_backends.scripted_server import Call, ScriptedServer

KILLS = 20
PROBLEMS = 20
IN_FLIGHT = 4


def killed_again_and_again(study: Path, server: ScriptedServer) -> list[tuple[Call, ...]]:
    """The calls of each session; the last ones were left alone."""
    rng = random.Random(0)
    sessions = []
    with driver(Path(__file__).with_name("study_kill_driver.py"), str(study)) as running:
        for number in range(KILLS + 1):
            first = len(server.calls)
            if number == KILLS:
                assert running.session("1/1") == 0
            else:
                # Whoever goes on divides the study as it likes.
                shard = rng.choice(["1/1", "1/2", "2/2"])
                assert running.session(shard, kill_when=some_moment(server, rng)) in (-signal.SIGKILL, 0)
            sessions.append(settled(server, first))
    return sessions


async def test_a_study_killed_twenty_times_is_the_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    with ScriptedServer(varying, first_s=0.002) as server:
        arms = ("vanilla", "1", "2", "maj@3")
        begun(tmp_path, server.base_url, *arms, n=PROBLEMS, max_concurrency=IN_FLIGHT)
        sessions = killed_again_and_again(tmp_path / "study", server)
        killed = merge(tmp_path / "study")
        times = Counter(asked(call) for session in sessions for call in session)
        first = len(server.calls)
        begun(tmp_path, server.base_url, *arms, n=PROBLEMS, name="undisturbed", max_concurrency=IN_FLIGHT)
        await run_shard(tmp_path / "undisturbed")
        undisturbed = merge(tmp_path / "undisturbed")
        alone = Counter(asked(call) for call in server.calls[first:])
    assert sum(bool(session) for session in sessions) > KILLS / 2
    assert set(times) == set(alone)
    assert set(alone.values()) == {1}
    for number, session in enumerate(sessions):
        later = Counter(asked(call) for other in sessions[number + 1 :] for call in other)
        # Asked again is only what was in flight when the kill came, so that no reply was received.
        assert sum(later[asked(call)] > 0 for call in session) <= IN_FLIGHT
    assert killed.is_finished
    assert killed.matched == undisturbed.matched
    assert killed.statistics.comparisons == undisturbed.statistics.comparisons
    for arm in undisturbed.arms:
        assert told(results_of(tmp_path / "study", arm.name)) == told(
            results_of(tmp_path / "undisturbed", arm.name)
        )
