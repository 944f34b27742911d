"""Many problems, one run: what is written, what a resumed run pays, what ends it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import scripted_run
from scripted_run import (
    check_resumes,
    config_for,
    finished_in,
    number_of,
    process,
    reply,
    run_with,
    wait_until_finished,
    what_was_said,
)

from hierarchical_reasoning import runner, versions
from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import JournalError, JournalLockedError, OutputError, UsageError
from hierarchical_reasoning.journal.file import Journal, read_journal
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry, ResultsFile
from hierarchical_reasoning.trace import FINISH
from llm_backends import (
    AuthenticationError,
    BackendClosedError,
    Completion,
    EngineDiedError,
    FinishReason,
    ModelNotFoundError,
    Request,
    ScriptedBackend,
    ServerError,
)

NAMES_OF_THE_FORMAT = (
    "problem_id",
    "problem",
    "use_hierarchical",
    "label_level",
    "thought_types",
    "thoughts",
    "final_response",
    "extracted_answer",
    "is_correct",
    "ground_truth",
)


async def test_the_results_file_has_the_names_and_values_of_its_format(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path, n_rows=2))
    content = json.loads(finished.path.read_text())
    first, second = content["results"]
    assert tuple(first)[: len(NAMES_OF_THE_FORMAT)] == NAMES_OF_THE_FORMAT
    assert {name: first[name] for name in NAMES_OF_THE_FORMAT} == {
        "problem_id": "p0",
        "problem": "Problem 0: 10 + 0?",
        "use_hierarchical": True,
        "label_level": 3,
        "thought_types": first["thought_types"],
        "thoughts": ["Thought 1 on problem 0.", "Thought 3 on problem 0."],
        "final_response": "So it is \\boxed{10}.",
        "extracted_answer": "10",
        "is_correct": True,
        "ground_truth": "10",
    }
    assert len(first["thought_types"]) == 3
    assert first["thought_types"][-1] == FINISH
    assert (second["is_correct"], second["extracted_answer"], second["outcome"]) == (False, "0", "wrong")
    assert (content["model_name"], content["label_level"]) == ("fake/model", 3)
    assert content["use_hierarchical_reasoning"] is True
    assert content["config"]["seed"] == 42
    assert content["config"]["answer_format"] == "number"
    assert content["summary"]["accuracy"]["value"] == 0.5
    assert ResultsFile.model_validate(content) == finished.results


async def test_files_are_named_for_mode_level_model_and_time(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path, n_rows=1, label_level=5))
    stem = finished.path.stem
    assert stem.startswith("results_hierarchical_level5_fake-model_2")
    assert finished.journal == finished.path.with_suffix(".jsonl")
    vanilla = await run_with(config_for(tmp_path, n_rows=1, vanilla_baseline=True))
    assert vanilla.path.stem.startswith("results_vanilla_level3_fake-model_2")
    (entry,) = vanilla.results.results
    assert (entry.use_hierarchical, entry.thought_types, entry.thoughts) == (False, (), ())
    assert entry.outcome is Outcome.CORRECT


async def test_the_config_of_a_run_runs_it_again(tmp_path: Path) -> None:
    finished = await run_with(config_for(tmp_path))
    recorded = finished.results.config
    again = RunConfig(**{name: recorded[name] for name in RunConfig.model_fields})
    assert assemble(again).settings == assemble(config_for(tmp_path)).settings


async def test_resuming_a_finished_run_asks_nothing(tmp_path: Path) -> None:
    first = await run_with(config_for(tmp_path))
    backend = ScriptedBackend(reply)
    again = await run_with(config_for(tmp_path), backend, resume=True)
    assert backend.calls == 0
    assert again.results.results == first.results.results
    assert again.journal == first.journal
    assert (again.path, again.is_new, first.is_new) == (first.path, False, True)
    assert list(first.path.parent.glob("*.json")) == [first.path]


async def test_where_nothing_is_owed_and_no_file_has_it_the_results_are_written(tmp_path: Path) -> None:
    first = await run_with(config_for(tmp_path))
    first.path.rename(tmp_path / "moved.json")
    again = await run_with(config_for(tmp_path), resume=True)
    assert again.is_new
    assert again.results.results == first.results.results
    again.path.write_text("{}")  # of another version, say
    third = await run_with(config_for(tmp_path), resume=True)
    assert third.is_new
    assert third.path != again.path
    fewer = await run_with(config_for(tmp_path, n_rows=2), resume=True)
    assert fewer.is_new
    assert len(fewer.results.results) == 2


async def test_a_longer_run_before_is_counted_as_far_as_this_run_goes(tmp_path: Path) -> None:
    await run_with(config_for(tmp_path, n_rows=5))
    for n_rows, said in ((2, "2 of 2 problems are done; nothing is owed"), (6, "5 of 6 problems are done")):
        journal, notes = runner.open_journal(assemble(config_for(tmp_path, n_rows=n_rows)), resume=True)
        journal.close()
        assert notes[-1].endswith(f".jsonl: {said}")


class _Counting(Observer):
    def __init__(self) -> None:
        self.before: list[str] = []
        self.now: list[str] = []

    def kept(self, entries: Sequence[ResultEntry]) -> None:
        self.before += [entry.problem_id for entry in entries]

    def finished(self, entry: ResultEntry) -> None:
        self.now.append(entry.problem_id)


async def test_an_observer_hears_of_what_was_done_before(tmp_path: Path) -> None:
    await run_with(config_for(tmp_path, n_rows=4))
    for n_rows, before, now in ((6, "p0 p1 p2 p3", "p4 p5"), (2, "p0 p1", "")):
        observer = _Counting()
        await run_with(config_for(tmp_path, n_rows=n_rows), resume=True, observer=observer)
        assert (observer.before, sorted(observer.now)) == (before.split(), now.split())


async def test_thoughts_that_were_cut_off_are_counted(tmp_path: Path) -> None:
    def cut_off(request: Request) -> Completion | str:
        text = reply(request)
        return Completion(text, FinishReason.LENGTH) if text.startswith("Thought 1") else text

    finished = await run_with(config_for(tmp_path, n_rows=3), ScriptedBackend(cut_off))
    assert finished.results.summary.thoughts_cut_off == 3
    assert [step.truncated for step in finished.results.results[0].steps] == [True, False, False]
    again = await run_with(config_for(tmp_path, n_rows=3), resume=True)
    assert again.results.summary.thoughts_cut_off == 3


async def test_a_journal_from_before_cut_offs_were_recorded_goes_on(tmp_path: Path) -> None:
    run = assemble(config_for(tmp_path))
    first = await run_with(run.config)
    entry = first.results.results[3].model_dump(mode="json")
    for step in entry["steps"]:
        del step["truncated"]
    with Journal.resume(first.journal, settings=run.settings) as journal:
        journal.append("p3", entry)
    backend = ScriptedBackend(reply)
    again = await run_with(run.config, backend, resume=True)
    assert (backend.calls, again.is_new) == (0, False)


async def test_resuming_with_more_problems_pays_for_the_new_ones_alone(tmp_path: Path) -> None:
    await run_with(config_for(tmp_path, n_rows=2))
    backend = ScriptedBackend(reply)
    finished = await run_with(config_for(tmp_path, n_rows=4), backend, resume=True)
    assert {number_of(request) for request in backend.requests} == {2, 3}
    assert [entry.problem_id for entry in finished.results.results] == ["p0", "p1", "p2", "p3"]
    assert finished.results.config["n_rows"] == 4


async def test_errors_are_tried_again_and_nothing_else(tmp_path: Path) -> None:
    def failing(request: Request) -> str:
        if number_of(request) in (1, 4):
            raise ServerError("overloaded")
        return reply(request)

    first = await run_with(config_for(tmp_path), ScriptedBackend(failing, max_retries=0))
    assert Counter(entry.outcome for entry in first.results.results)[Outcome.ERROR] == 2
    assert (first.results.summary.accuracy.n, first.results.summary.accuracy_completed.n) == (6, 4)
    backend = ScriptedBackend(reply)
    again = await run_with(config_for(tmp_path), backend, resume=True)
    assert {number_of(request) for request in backend.requests} == {1, 4}
    untroubled = await run_with(config_for(tmp_path))
    assert [*map(what_was_said, again.results.results)] == [*map(what_was_said, untroubled.results.results)]


@pytest.mark.parametrize(
    "other", [{"seed": 7}, {"label_level": 2}, {"temperature": 0.5}, {"planner": "uniform"}]
)
async def test_other_settings_are_another_run(tmp_path: Path, other: dict[str, Any]) -> None:
    first = await run_with(config_for(tmp_path))
    backend = ScriptedBackend(reply)
    finished = await run_with(config_for(tmp_path, **other), backend, resume=True)
    assert backend.calls > 0
    assert finished.journal != first.journal


async def test_changed_prompts_or_problems_are_another_run(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "think.j2").write_text("Think.")
    config = config_for(tmp_path, prompts_dir=prompts)
    before = assemble(config).settings
    assert assemble(config).settings == before
    (prompts / "think.j2").write_text("Think hard.")
    changed = assemble(config).settings
    assert changed != before
    scripted_run.write_problems(tmp_path / "problems.jsonl", 7)
    assert assemble(config).settings != changed


async def test_speed_and_place_are_the_same_run(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    for other in (
        {"max_concurrency": 1},
        {"max_retries": 9},
        {"cache_dir": tmp_path / "other"},
        {"n_rows": 3},
    ):
        assert assemble(config_for(tmp_path, **other)).settings == assemble(config).settings


async def test_a_damaged_journal_of_this_run_stops_it(tmp_path: Path) -> None:
    first = await run_with(config_for(tmp_path))
    lines = first.journal.read_bytes().split(b"\n")
    damaged = lines[2].replace(b"Thought", b"Fraught")
    first.journal.write_bytes(b"\n".join([*lines[:2], damaged, *lines[3:]]))
    with pytest.raises(JournalError, match=r"line 3 is damaged.*sed -i 3d.*--resume"):
        runner.open_journal(assemble(config_for(tmp_path)), resume=True)
    assert list(first.journal.parent.glob("*.jsonl")) == [first.journal]
    first.journal.write_bytes(b"\n".join([*lines[:2], *lines[3:]]))  # as the message says
    backend = ScriptedBackend(reply)
    await run_with(config_for(tmp_path), backend, resume=True)
    assert len({number_of(request) for request in backend.requests}) == 1


async def test_journals_of_other_runs_and_without_header_are_passed_over_and_said(tmp_path: Path) -> None:
    first = await run_with(config_for(tmp_path))
    other = await run_with(config_for(tmp_path, seed=7))
    other.journal.write_bytes(other.journal.read_bytes().replace(b"Thought", b"Fraught"))
    headless = first.journal.with_name("results_headless.jsonl")
    headless.write_bytes(b"no header\n")
    journal, notes = runner.open_journal(assemble(config_for(tmp_path)), resume=True)
    journal.close()
    assert journal.path == first.journal
    assert "passed over results_headless.jsonl" in notes[0]
    assert "line 1" in notes[0]
    expected = f"1 journal; the most alike, {other.journal.name}, has seed: 7 before, 42 now"
    assert notes[1] == f"--resume: not resumed, as settings differ: {expected}"
    assert "6 of 6 problems are done" in notes[2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"of_an_older_schema": 1}, "of_an_older_schema: Extra inputs are not permitted"),
        ({"is_correct": None}, "the whole of it: .*is_correct must be"),
    ],
)
async def test_an_entry_of_another_version_stops_a_resumed_run(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    run = assemble(config_for(tmp_path))
    first = await run_with(run.config)
    entry = first.results.results[3].model_dump(mode="json")
    with Journal.resume(first.journal, settings=run.settings) as journal:
        journal.append("p3", entry | change)
    with pytest.raises(JournalError, match=rf"problem 'p3' .*{said}.*without --resume") as caught:
        runner.open_journal(run, resume=True)
    assert str(first.journal) in str(caught.value)
    Journal.resume(first.journal, settings=run.settings).close()  # no lock is left


class _Wide(ScriptedBackend):
    """Replies after a moment that differs from call to call, and notes how many calls overlapped."""

    def __init__(self) -> None:
        super().__init__(reply)
        self.now = 0
        self.most = 0

    async def _complete(self, request: Request) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001 * (7 - number_of(request)))
        self.now -= 1
        return await super()._complete(request)


@pytest.mark.parametrize("planner", ["model", "uniform"])
async def test_concurrency_changes_nothing_but_time(tmp_path: Path, planner: str) -> None:
    narrow, wide = _Wide(), _Wide()
    one = await run_with(config_for(tmp_path, planner=planner, max_concurrency=1), narrow)
    many = await run_with(config_for(tmp_path, planner=planner, max_concurrency=16), wide)
    assert [*map(what_was_said, one.results.results)] == [*map(what_was_said, many.results.results)]
    assert (narrow.most, wide.most) == (1, 6)
    order = [record.problem_id for record in read_journal(many.journal).records]
    assert sorted(order) == [f"p{i}" for i in range(6)]


FATAL: list[Callable[[str], Exception]] = [
    AuthenticationError,
    ModelNotFoundError,
    EngineDiedError,
    BackendClosedError,
    UsageError,
]


@pytest.mark.parametrize("error", FATAL)
async def test_what_no_problem_could_survive_ends_the_run(
    tmp_path: Path, error: Callable[[str], Exception]
) -> None:
    # A problem takes six calls, and one is worked on at a time: two are finished, the third dies.
    backend = ScriptedBackend(reply, fail_at={14: error("no further")}, delay_s=0.001)
    with pytest.raises(type(error("")), match="no further"):
        await run_with(config_for(tmp_path, max_concurrency=1), backend)
    assert backend.calls <= 16  # the next problem may have begun
    (journal,) = (tmp_path / "cache").glob("*.jsonl")
    assert [record.problem_id for record in read_journal(journal).records] == ["p0", "p1"]
    assert not list((tmp_path / "cache").glob("*.json"))
    rest = ScriptedBackend(reply)
    finished = await run_with(config_for(tmp_path), rest, resume=True)
    assert {number_of(request) for request in rest.requests} == {2, 3, 4, 5}
    assert len(finished.results.results) == 6


async def test_a_bug_in_one_problem_is_that_problems_error(tmp_path: Path) -> None:
    backend = ScriptedBackend(reply, fail_at={3: ZeroDivisionError("a bug")})
    results = (await run_with(config_for(tmp_path, max_concurrency=1), backend)).results.results
    assert [entry.outcome for entry in results[:2]] == [Outcome.ERROR, Outcome.WRONG]
    assert results[0].error is not None
    assert results[0].error.type == "ZeroDivisionError"
    assert results[0].reason == "ZeroDivisionError: a bug"


async def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    journal, _ = runner.open_journal(assemble(config), resume=False)
    with journal, pytest.raises(JournalLockedError):
        await run_with(config, resume=True)


def test_where_nothing_can_be_written_it_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = config_for(tmp_path, cache_dir=tmp_path / "file" / "below")
    with pytest.raises(OutputError, match="--cache_dir"):
        runner.open_journal(assemble(config), resume=False)
    with pytest.raises(OutputError, match="--cache_dir"):
        assemble(config_for(tmp_path, cache_dir=tmp_path / "file" / "below", num_icl_examples=1))


def test_a_machine_without_git_has_an_unknown_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = versions.versions()
    assert found["commit"] == "unknown"
    assert found["python"].startswith("3.")


@pytest.mark.parametrize("flag", ["--thinking_verbose", "--prompt_verbose"])
def test_when_nobody_reads_on_the_run_ends_quietly_and_goes_on_later(tmp_path: Path, flag: str) -> None:
    with process(tmp_path, flag, delay=0.1) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        wait_until_finished(tmp_path, 2, running)
        running.stdout.close()
        complaints = running.stderr.read()
        status = running.wait(timeout=60)
    assert (status, complaints) == (1, "")
    finished = finished_in(tmp_path)
    with process(tmp_path, "--resume") as running:
        said, complaints = running.communicate(timeout=120)
    assert (running.returncode, complaints) == (0, "")
    assert f"{len(finished)} of 6 problems are done" in " ".join(said.split())
    assert finished_in(tmp_path, at_most=6) == {f"p{i}" for i in range(6)}


def test_a_killed_run_resumes_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    with process(tmp_path, delay=0.1) as running:
        wait_until_finished(tmp_path, 2, running)
        running.kill()
        assert running.wait(timeout=60) == -signal.SIGKILL
    finished = finished_in(tmp_path)
    assert not list(tmp_path.glob("cache/*.json"))
    check_resumes(tmp_path, finished)
