"""Studies against a real HTTP server: what is asked, what is paid once, and what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_run import run_with, write_problems
from scripted_study import N, begun, is_vanilla, results_of, settings_for, told, varying

from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.compare import compare, open_study, rounds
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.matching import spent
from hierarchical_reasoning.compare.merging import merge
from hierarchical_reasoning.compare.plan import read_plan
from hierarchical_reasoning.compare.status import study_status
from hierarchical_reasoning.compare.work import run_shard
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError, JournalLockedError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultsFile
from llm_backends.scripted_server import ScriptedServer, Status


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", 12)
    with ScriptedServer(varying) as server:
        yield server


def asked(server: ScriptedServer, first: int = 0) -> Counter[str]:
    return Counter(json.dumps(call.body, sort_keys=True) for call in server.calls[first:])


async def main_run(directory: Path, base_url: str, **settings: object) -> ResultsFile:
    """What the main command makes of an arm by itself."""
    config = RunConfig(**settings_for(directory, base_url, cache_dir=directory / "alone", **settings))
    async with make_backends(config) as backends:
        return (await run_with(config, backends=backends)).results


async def test_arms_are_what_the_main_command_makes_of_them(tmp_path: Path, server: ScriptedServer) -> None:
    study = await compare(
        tmp_path / "study",
        ["vanilla", "1", "untyped", "maj@5"],
        matched=False,
        **settings_for(tmp_path, server.base_url),
    )
    for arm, settings in {
        "vanilla": {"vanilla_baseline": True},
        "1": {"label_level": 1},
        "untyped": {"planner": "untyped"},
    }.items():
        alone = await main_run(tmp_path, server.base_url, **settings)
        assert told(study.entries(arm)) == told(alone.results)
    voting = await main_run(tmp_path, server.base_url, vanilla_baseline=True, samples=5)
    assert voting.summary.sampling is not None
    votes = [(vote.answer, vote.is_correct) for vote in voting.summary.sampling.votes]
    assert [(entry.extracted_answer, entry.is_correct) for entry in study.entries("maj@5")] == votes
    assert 0 < sum(is_correct is True for _, is_correct in votes) <= N
    found = next(arm for arm in study.record.statistics.arms if arm.name == "maj@5")
    assert found.accuracy.correct == voting.summary.sampling.majority.correct


async def test_twins_take_at_least_what_their_arms_took(tmp_path: Path, server: ScriptedServer) -> None:
    study = await compare(tmp_path / "study", ["0", "2", "maj@3"], **settings_for(tmp_path, server.base_url))
    assert [arm.name for arm in study.arms][:4] == ["vanilla", "0", "2", "maj@3"]
    samples = results_of(tmp_path / "study", "vanilla")
    for name in ("0", "2"):
        match = study.record.matched.arms[name]
        arm = sum(spent(entry, "tokens") for entry in study.entries(name))
        one = sum(spent(entry, "tokens") for entry in samples)
        assert match.votes is not None
        assert (match.votes - 1) * one < arm <= match.votes * one
        assert match.twin == f"maj@{match.votes}"
        assert study.record.arm(name).twin == match.twin
        assert sum(spent(entry, "tokens") for entry in study.entries(match.twin)) >= arm
    most = max(match.votes or 0 for match in study.record.matched.arms.values())
    vanilla = [call for call in server.calls if is_vanilla(call)]
    assert len(vanilla) == N * max(most, 3)
    assert set(asked(server).values()) == {1}
    pairs = {(one.arm, one.baseline) for one in study.record.statistics.comparisons}
    twin = study.record.matched.arms["2"].twin
    assert {("0", "vanilla"), ("2", "vanilla"), ("2", twin), (twin, "vanilla"), ("maj@3", "vanilla")} <= pairs
    assert study.record.is_finished


async def test_too_many_votes_are_refused_until_they_are_allowed(
    tmp_path: Path, server: ScriptedServer
) -> None:
    begun(tmp_path, server.base_url, "2", most_votes=2)
    await run_shard(tmp_path / "study")
    record = merge(tmp_path / "study")
    match = record.matched.arms["2"]
    assert match.twin is None
    assert match.votes is not None
    assert f"--most_votes {match.votes}" in match.reason
    assert match.reason in (tmp_path / "study" / "summary.md").read_text()
    begun(tmp_path, server.base_url, most_votes=64)
    await run_shard(tmp_path / "study")
    assert merge(tmp_path / "study").matched.arms["2"].twin == f"maj@{match.votes}"


async def test_shards_in_any_order_and_number_are_one_study(tmp_path: Path, server: ScriptedServer) -> None:
    whole = await compare(tmp_path / "whole", ["vanilla", "1"], **settings_for(tmp_path, server.base_url))
    first = len(server.calls)
    plan = begun(tmp_path, server.base_url, "vanilla", "1").plan
    assert rounds(plan) == 2
    study = tmp_path / "study"
    finished = await run_shard(study, Shard(3, 3), changes={"cache_dir": tmp_path / "another"})
    assert finished.waiting == ("1",)
    assert not merge(study).is_finished
    status = study_status(study)
    assert [(arm.name, arm.done, arm.owed) for arm in status.arms] == [("vanilla", 2, 4), ("1", 2, 4)]
    for shard in (Shard(1, 2), Shard(2, 2), Shard(1, 2), Shard(2, 2)):
        finished = await run_shard(study, shard)
    assert (finished.waiting, study_status(study).owed) == ((), 0)
    again = len(server.calls)
    await run_shard(study, Shard(1, 2))
    await run_shard(study, Shard(4, 7))
    assert len(server.calls) == again
    merged = merge(study)
    assert merged.is_finished
    assert [arm.name for arm in merged.arms] == [arm.name for arm in whole.arms]
    for arm in whole.arms:
        assert told(results_of(study, arm.name)) == told(whole.entries(arm.name))
    assert merged.statistics.comparisons == whole.record.statistics.comparisons
    assert asked(server, first) == asked(server) - asked(server, first)
    states = {str(one.shard): one.state for one in study_status(study).shards}
    assert states == {"3/3": "waiting", "1/2": "finished", "2/2": "finished", "4/7": "finished"}


async def test_errors_are_tried_again_the_next_time_and_not_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", N)
    with ScriptedServer(varying, faults={3: Status(400)}) as server:
        begun(tmp_path, server.base_url, "vanilla", "1", matched=False, max_concurrency=1)
        await run_shard(tmp_path / "study")
        record = merge(tmp_path / "study")
        assert sum(arm.errors for arm in record.statistics.arms) == 1
        assert "1 errors" in (tmp_path / "study" / "summary.md").read_text()
        begun(tmp_path, server.base_url, retry_errors=False)
        before = len(server.calls)
        await run_shard(tmp_path / "study")
        assert len(server.calls) == before
        begun(tmp_path, server.base_url, retry_errors=True)
        await run_shard(tmp_path / "study")
        assert sum(arm.errors for arm in merge(tmp_path / "study").statistics.arms) == 0


async def test_arms_are_added_and_settings_are_not_contradicted(
    tmp_path: Path, server: ScriptedServer
) -> None:
    begun(tmp_path, server.base_url, "vanilla", matched=False)
    await run_shard(tmp_path / "study")
    first = len(server.calls)
    assert begun(tmp_path, server.base_url, "0", "vanilla").added == ("0",)
    await run_shard(tmp_path / "study")
    assert not any(is_vanilla(call) for call in server.calls[first:])
    merge(tmp_path / "study")
    assert [arm.name for arm in open_study(tmp_path / "study").arms] == ["vanilla", "0"]
    with pytest.raises(ConfigError, match=r"--temperature: 0\.1 before, 0\.5 now"):
        begun(tmp_path, server.base_url, temperature=0.5)
    with pytest.raises(ConfigError, match=r"--n_rows: 6 before, 7 now"):
        begun(tmp_path, server.base_url, n=7)
    with pytest.raises(ConfigError, match=r"another arm 0: .* before, .* now"):
        begun(tmp_path, server.base_url, {"name": "0", "level": 1})
    begun(tmp_path, server.base_url, max_concurrency=9)
    assert read_plan(StudyFiles(tmp_path / "study")).common.max_concurrency == 9
    write_problems(tmp_path / "problems.jsonl", 11)
    with pytest.raises(ConfigError, match="are not those that the study was begun with"):
        begun(tmp_path, server.base_url, "1")
    (tmp_path / "study" / "arms" / "vanilla" / "journal-1-of-1.jsonl").unlink()
    with pytest.raises(ConfigError, match="are not those that the study was begun with"):
        await run_shard(tmp_path / "study", Shard(2, 2))


async def test_one_process_a_shard(tmp_path: Path, server: ScriptedServer) -> None:
    begun(tmp_path, server.base_url, "vanilla", matched=False)
    files = StudyFiles(tmp_path / "study")
    holder, holds = os.pipe()
    done, doing = os.pipe()
    child = os.fork()
    if child == 0:
        with files.doing(Shard(1, 2)):
            os.write(holds, b"x")
            os.read(done, 1)
        os._exit(0)
    os.read(holder, 1)
    try:
        assert files.is_being_done(Shard(1, 2))
        with pytest.raises(JournalLockedError, match="another process does shard 1/2"):
            await run_shard(files.directory, Shard(1, 2))
        await run_shard(files.directory, Shard(2, 2))
    finally:
        os.write(doing, b"x")
        os.waitpid(child, 0)  # noqa: ASYNC222 - it ends at once
    assert not files.is_being_done(Shard(1, 2))
    await run_shard(files.directory, Shard(1, 2))
    assert study_status(files.directory).is_complete


async def test_several_samples_and_frames(tmp_path: Path, server: ScriptedServer) -> None:
    study = await compare(
        tmp_path / "study", ["vanilla", "1", "maj@2"], **settings_for(tmp_path, server.base_url, samples=2)
    )
    samples = study.samples()
    assert samples.groupby("arm").size()["maj@2"] == 2 * N
    assert set(samples["arm"]) == {arm.name for arm in study.arms}
    assert list(study.usage()["arm"]) == [arm.name for arm in study.arms]
    assert len(study.comparisons()) == len(study.record.statistics.comparisons)
    assert set(study.steps()["arm"]) == {"1"}
    for entry in study.entries("maj@2"):
        assert entry.outcome in (Outcome.CORRECT, Outcome.WRONG)
    with pytest.raises(ConfigError, match="no arm of the study; there are vanilla, 1, maj@2"):
        study.entries("7")


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = "print([name for name in sys.modules if 'compare.' in name])"
    code = f"import sys, hierarchical_reasoning.compare as compare; {loaded}; compare.rounds"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
