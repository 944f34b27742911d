"""Arms in which a value head chooses among samples, against a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scripted_run import run_with, write_problems
from scripted_study import begun, is_vanilla, results_of, settings_for, told
from test_hosted_runs import reply

from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.compare import compare
from hierarchical_reasoning.compare.dry_run import estimate_study
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.merging import merge, write_report
from hierarchical_reasoning.compare.plan import read_plan
from hierarchical_reasoning.compare.status import study_status
from hierarchical_reasoning.compare.work import run_shard
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import ResultsFile
from hierarchical_reasoning.values.assembly import encoder_of
from hierarchical_reasoning.values.base import Place
from hierarchical_reasoning.values.encoders import Encoder, HashedWords
from hierarchical_reasoning.values.fitting import fit
from hierarchical_reasoning.values.settings import HeadSettings
from llm_backends import ContextLengthError, ServerError
from llm_backends.scripted_server import Answer, Call, Reply, ScriptedServer, Status

N, K = 6, 5
RIGHT, WRONG = "Carefully, digit by digit: \\boxed{{{}}}.", "Roughly, at a glance: \\boxed{{0}}."


def answering(call: Call) -> Answer:
    """A final answer is right for two of five seeds, and then written with other words than one that is wrong."""
    if call.choices is not None or (not is_vanilla(call) and "final" not in call.messages[-1][1]):
        return reply(call)
    match = re.search(r"Problem (\d+)", call.messages[0][1])
    assert match is not None
    number = int(match[1])
    return RIGHT.format(10 + number) if (int(call.body["seed"]) * 7919 + number) % 5 < 2 else WRONG


KNOWN = [Problem(f"k{n}", f"Known {n}?", None, None, {}) for n in range(20)]
"""Nobody asks them here."""


async def make_head(
    folder: Path, problems: Sequence[Problem] = KNOWN, encoder: Encoder | None = None
) -> Path:
    """One that tells careful answers from rough ones."""
    pairs = [
        (Place(problem, (text.format(n),)), float(text is RIGHT))
        for n, problem in enumerate(problems)
        for text in (RIGHT, WRONG)
    ]
    places, rewards = zip(*pairs, strict=True)
    fitted = await fit(places, rewards, encoder or HashedWords(), HeadSettings(n_models=2))
    await fitted.estimator.save(folder)
    return folder


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_head(tmp_path_factory.mktemp("head")))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", N)
    with ScriptedServer(answering) as server:
        yield server


def asked(server: ScriptedServer) -> Counter[str]:
    return Counter(json.dumps(call.body, sort_keys=True) for call in server.calls)


async def main_run(directory: Path, base_url: str, **settings: object) -> ResultsFile:
    config = RunConfig(**settings_for(directory, base_url, cache_dir=directory / "alone", **settings))
    async with make_backends(config) as backends:
        return (await run_with(config, backends=backends)).results


async def test_it_is_the_choice_of_the_main_command_and_asks_nothing_twice(
    tmp_path: Path, server: ScriptedServer, head: Path
) -> None:
    """Its samples are those of vanilla and of majority votes; its baseline and its twin are these."""
    given = settings_for(tmp_path, server.base_url, value_head=head, value_features="words")
    study = await compare(tmp_path / "study", ["vanilla", f"best@{K}"], **given)
    assert set(asked(server).values()) == {1}
    assert sum(is_vanilla(call) for call in server.calls) == N * K
    alone = await main_run(
        tmp_path, server.base_url, vanilla_baseline=True, samples=K, value_head=head, value_features="words"
    )
    sampling = alone.summary.sampling
    assert sampling is not None
    assert sampling.valued is not None
    chosen = list(study.entries(f"best@{K}"))
    assert [(one.extracted_answer, one.is_correct) for one in chosen] == [
        (best.answer, best.is_correct) for best in sampling.valued.best_answers
    ]
    solvable = {one.problem_id for one in alone.results if one.is_correct}
    assert {one.problem_id for one in chosen if one.is_correct} == solvable
    assert sampling.majority.correct < len(solvable) <= N
    for one in chosen:
        samples = [each for each in alone.results if each.problem_id == one.problem_id]
        best = max(each.value or 0.0 for each in samples)
        assert one.notes == (f"choice by value: {best:.3f}, the highest of {K} values among {K} samples",)
        assert one.usage["reasoner"].calls == K
    match = study.record.matched.arms[f"best@{K}"]
    assert (match.votes, match.twin) == (K, f"maj@{K}")
    voted = [one.is_correct for one in study.entries(f"maj@{K}")]
    assert sum(each is True for each in voted) == sampling.majority.correct
    pairs = {(one.arm, one.baseline) for one in study.record.statistics.comparisons}
    best_arm = f"best@{K}"
    assert pairs == {(best_arm, "vanilla"), (best_arm, f"maj@{K}"), (f"maj@{K}", "vanilla")}
    info = study.record.arm(best_arm)
    assert (info.kind, info.label, info.votes, info.run) == ("best", f"best of {K}", K, best_arm)
    assert any(sentence.startswith(f"Best of {K} ") for sentence in study.record.sentences)
    written = json.loads(StudyFiles(tmp_path / "study").results(best_arm).read_text())["config"]
    assert (written["votes"], written["chosen_by"], written["samples"]) == (K, "value", 1)
    status = study_status(tmp_path / "study")
    assert [(arm.label, arm.n, arm.owed) for arm in status.arms] == [
        ("vanilla", N * K, 0),
        (f"samples for best of {K}", N * K, 0),
    ]
    report = write_report(tmp_path / "study")
    assert f"best of {K}" in report.html.read_text()


async def test_it_is_added_to_a_finished_study_and_done_in_shards(
    tmp_path: Path, server: ScriptedServer, head: Path
) -> None:
    whole = await compare(
        tmp_path / "whole",
        ["vanilla", f"maj@{K}", f"best@{K}"],
        matched=False,
        **settings_for(tmp_path, server.base_url, value_head=head, value_features="words"),
    )
    study = tmp_path / "study"
    begun(tmp_path, server.base_url, "vanilla", f"maj@{K}", matched=False)
    await run_shard(study)
    first = len(server.calls)
    arm = {"best_of": K, "vanilla_baseline": True, "value_head": head, "value_features": "words"}
    begun(tmp_path, server.base_url, {"name": f"best@{K}", **arm}, matched=False)
    await run_shard(study, Shard(2, 3))
    assert not merge(study).is_finished
    for shard in (Shard(3, 3), Shard(1, 3)):
        await run_shard(study, shard)
    assert merge(study).is_finished
    assert len(server.calls) == first  # the samples were there
    assert told(results_of(study, f"best@{K}")) == told(whole.entries(f"best@{K}"))


async def test_any_arm_without_a_search_may_choose(
    tmp_path: Path, server: ScriptedServer, head: Path
) -> None:
    study = await compare(
        tmp_path / "study",
        [
            "vanilla",
            {
                "name": "untyped-best",
                "planner": "untyped",
                "best_of": 3,
                "value_head": head,
                "value_features": "words",
            },
        ],
        max_reasoning_steps=2,
        **settings_for(tmp_path, server.base_url),
    )
    alone = await main_run(
        tmp_path, server.base_url, planner="untyped", samples=3, value_head=head, value_features="words",
        max_reasoning_steps=2,
    )  # fmt: skip
    assert alone.summary.sampling is not None
    assert alone.summary.sampling.valued is not None
    best = alone.summary.sampling.valued.best_answers
    assert [one.extracted_answer for one in study.entries("untyped-best")] == [one.answer for one in best]
    match = study.record.matched.arms["untyped-best"]
    assert match.votes is not None
    assert match.votes > 3  # thoughts take more than one answer does
    assert study.record.arm("untyped-best").label == "untyped-best"


async def test_a_dry_run_counts_its_samples_once(tmp_path: Path, server: ScriptedServer, head: Path) -> None:
    arms = ("vanilla", "maj@3", f"best@{K}")
    plan = begun(tmp_path, server.base_url, *arms, value_head=head, value_features="words").plan
    estimated = await estimate_study(plan)
    assert not any("--samples 1" in note for note in estimated.notes)
    found = {one.name: one.usage.calls for one in estimated.arms}
    assert found == {"vanilla": N, "maj@3": 2 * N, f"best@{K}": 2 * N}
    assert server.calls == []


async def test_embeddings_are_paid_and_matched_by_more_votes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", N)

    def answered(call: Call) -> Answer:
        said = answering(call)
        return said if isinstance(said, Reply) else Reply(str(said))

    with ScriptedServer(answered, models=("scripted", "embedder")) as server:
        given = settings_for(tmp_path, server.base_url)
        seen = {"value_features": "embeddings", "embedding_model_name": "embedder"}
        head = await embedding_head(tmp_path / "head", given, seen)
        study = await compare(tmp_path / "study", ["vanilla", f"best@{K}"], value_head=head, **given, **seen)
        entries = list(study.entries(f"best@{K}"))
        own = sum(
            one.usage["reasoner"].prompt_tokens + one.usage["reasoner"].completion_tokens for one in entries
        )
        embedded = sum(one.usage["value head"].prompt_tokens for one in entries)
        match = study.record.matched.arms[f"best@{K}"]
        assert embedded > 0
        assert match.votes == -(-K * (own + embedded) // own)
        assert match.votes > K


async def embedding_head(folder: Path, given: Mapping[str, Any], seen: Mapping[str, Any]) -> Path:
    config = RunConfig(**given, **seen, search="beam", cache_dir=folder / "cache")
    async with make_backends(config) as backends:
        return await make_head(folder, encoder=encoder_of(config, backends))


async def test_what_cannot_be_valued_is_not_chosen_and_that_is_told(
    tmp_path: Path, server: ScriptedServer, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer is asked again the next time; a text that is too long never is."""
    known = HashedWords.encode
    failure: type[Exception] = ServerError

    async def encode(words: HashedWords, places: Sequence[Place]) -> Any:
        if any("Problem 2:" in place.texts[0] for place in places):
            raise failure("not now")
        return await known(words, places)

    monkeypatch.setattr(HashedWords, "encode", encode)
    study = tmp_path / "study"
    begun(tmp_path, server.base_url, "vanilla", "best@3", value_head=head, value_features="words")
    await run_shard(study)
    record = merge(study)
    said = "best of 3: 3 of 18 samples ended in an error, and cannot be chosen"
    assert (record.cautions, said in (study / "summary.md").read_text()) == ((said,), True)
    assert record.matched.arms["best@3"].twin == "maj@3"
    calls, failure = len(server.calls), ContextLengthError
    await run_shard(study, changes={"retry_errors": True})
    record = merge(study)
    assert record.cautions == ("best of 3: 3 of 18 answers could not be valued, and cannot be chosen",)
    (entry,) = [one for one in results_of(study, "best@3") if one.problem_id == "p2"]
    assert (entry.extracted_answer, entry.outcome) == (None, Outcome.NO_ANSWER)
    assert entry.notes[0] == "choice by value: none of 3 samples gave an answer that was valued"
    assert len(server.calls) == calls  # the samples were there


async def test_a_sample_that_ended_in_an_error_leaves_the_others_to_choose_from(
    tmp_path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", N)

    def failing(call: Call) -> Answer:
        drawn = zlib.crc32(json.dumps([call.messages, call.body["seed"]]).encode())
        return Status(400) if drawn % 4 == 0 else answering(call)

    with ScriptedServer(failing) as server:
        study = await compare(
            tmp_path / "study",
            [f"best@{K}"],
            value_head=head,
            value_features="words",
            **settings_for(tmp_path, server.base_url),
        )
    status = {arm.name: arm for arm in study_status(tmp_path / "study").arms}
    errors = status[f"best@{K}"].errors
    assert 0 < errors < N * K / 2
    assert set(study.record.cautions) == {
        f"{what} of {K}: {errors} of {N * K} samples ended in an error, and cannot be chosen"
        for what in ("best", "majority")
    }
    match = study.record.matched.arms[f"best@{K}"]
    assert (match.problems, match.votes, match.twin) == (N, K, f"maj@{K}")
    for one in study.entries(f"best@{K}"):
        assert one.error is None
        (said, failed) = one.notes if len(one.notes) == 2 else (*one.notes, "0 samples")
        assert f"values among {K} samples" in said
        assert one.usage["reasoner"].calls == K - int(failed.split()[0])


async def test_a_head_that_was_fitted_to_the_problems_is_told_where_results_are_read(
    tmp_path: Path, server: ScriptedServer
) -> None:
    problems = [Problem(f"p{n}", f"Problem {n}: 10 + {n}?", None, None, {}) for n in range(20)]
    head = await make_head(tmp_path / "head", problems)
    study = await compare(
        tmp_path / "study",
        ["vanilla", "best@3"],
        value_head=head,
        value_features="words",
        **settings_for(tmp_path, server.base_url),
    )
    (said,) = study.record.cautions
    assert said.startswith("best of 3: SEEN: ")
    assert "was fitted to all 6 problems here" in said
    report = write_report(tmp_path / "study")
    for path in (tmp_path / "study" / "summary.md", report.html, report.summary):
        assert "SEEN: " in path.read_text()


async def test_a_head_for_choices_may_come_later(tmp_path: Path, server: ScriptedServer, head: Path) -> None:
    study = tmp_path / "study"
    begun(tmp_path, server.base_url, "vanilla", matched=False)
    given = {"matched": False, "value_head": head, "value_features": "words"}
    later = begun(tmp_path, server.base_url, "best@3", **given)
    assert (later.added, later.plan.common.value_head) == (("best@3",), None)
    assert begun(tmp_path, server.base_url, "best@3", **given).added == ()
    with pytest.raises(ConfigError, match="begun with other settings"):
        begun(tmp_path, server.base_url, "vanilla", matched=False, value_head=head)
    await run_shard(study)
    assert merge(study).is_finished


async def test_arms_that_choose_among_the_same_have_them_embedded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", N)
    with ScriptedServer(answering, models=("scripted", "embedder"), first_s=0.02) as server:
        given = settings_for(tmp_path, server.base_url)
        seen = {"value_features": "embeddings", "embedding_model_name": "embedder"}
        head = await embedding_head(tmp_path / "head", given, seen)
        first = len(server.calls)
        await compare(
            tmp_path / "study", ["best@3", "best@5"], matched=False, value_head=head, **given, **seen
        )
        embedded = [json.dumps(call.body) for call in server.calls[first:] if "input" in call.body]
    assert len(embedded) == len(set(embedded)) > N


@pytest.mark.parametrize(
    ("arm", "settings", "said"),
    [
        ("best@20000", {"head": True}, "a choice needs 2 samples or more, and 10,000 at most"),
        ("best@3000", {"head": True, "samples": 4}, "3,000 times --samples are 12,000 samples of a problem"),
        ({"name": "maj@1", "best_of": 4, "vanilla_baseline": True}, {"head": True}, "give it another"),
        ({"name": "best@1", "best_of": 1, "vanilla_baseline": True}, {"head": True}, "give it another"),
        (
            "best@4",
            {},
            "arm best@4: what is chosen is what a value head values most; give one with --value_head",
        ),
        ("best@1", {"head": True}, "a choice needs 2 samples or more, and 10,000 at most"),
        ("best@4", {"head": True, "temperature": 0}, "there is nothing to choose from"),
        ({"best_of": 4, "search": "beam"}, {"head": True}, "a search (beam) has a tree instead"),
        ({"best_of": 4, "votes": 3}, {"head": True}, "votes and best_of are two ways to choose"),
        (
            {"best_of": "many"},
            {"head": True},
            "best_of is 'many'; it must be a whole number from 1 to 10,000",
        ),
        ({"name": "best@3", "best_of": 4, "vanilla_baseline": True}, {"head": True}, "give it another"),
        ({"bestof": 4}, {"head": True}, "'bestof' is no setting; did you mean best_of?"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, head: Path, arm: str | dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    write_problems(tmp_path / "problems.jsonl", N)
    given = {key: value for key, value in settings.items() if key != "head"}
    if settings.get("head"):
        given |= {"value_head": head, "value_features": "words"}
    one = arm if isinstance(arm, str) else {"name": "an-arm", **arm}
    with pytest.raises(ConfigError, match=re.escape(said)):
        begun(tmp_path, "http://127.0.0.1:9/v1", one, matched=False, **given)


def test_from_the_command_line(tmp_path: Path, server: ScriptedServer, head: Path) -> None:
    told = CliRunner().invoke(
        main,
        [
            *(
                "compare",
                "--output",
                str(tmp_path / "study"),
                "--arms",
                "vanilla,maj@3,best@3",
                "--no_matched",
            ),
            *("--input_file", str(tmp_path / "problems.jsonl"), "--llm_framework", "openai"),
            *("--model_name", "scripted", "--base_url", server.base_url, "--n_rows", "4"),
            *("--value_head", str(head), "--value_features", "words", "--no_report"),
        ],
    )
    assert told.exit_code == 0, told.output
    assert "best of 3" in told.output
    assert "has no effect" not in told.output
    assert [arm.name for arm in read_plan(StudyFiles(tmp_path / "study")).arms] == [
        "vanilla",
        "maj@3",
        "best@3",
    ]
