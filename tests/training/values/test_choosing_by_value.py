"""Samples among which a value head chooses: what it values, what that takes, how it goes on, and what is refused."""

from __future__ import annotations

import asyncio
import csv
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from careful_and_rough import SAMPLES, reply, sampled
from click.testing import CliRunner, Result
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scripted_run import config_for, number_of, run_with, what_was_said, write_problems

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.compare.beginning import Asked, begin
from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.dry_run import estimate
from hierarchical_reasoning.errors import UsageError, ValueHeadError
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.runner import Finished
from hierarchical_reasoning.training.values.config import ValuesConfig
from hierarchical_reasoning.training.values.run import train_values
from hierarchical_reasoning.values.base import Place
from hierarchical_reasoning.values.encoders import HashedWords
from hierarchical_reasoning.values.learned import LearnedValue
from llm_backends import BadRequestError, ContextLengthError, Request, ScriptedBackend
from llm_backends.scripted_server import Call, Reply, ScriptedServer

N = 8
"""Problems; four in ten of the samples are right, and written otherwise than the wrong ones."""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    config = ValuesConfig(
        files=(sampled(folder),), output_dir=folder / "head", value_features="words", n_members=2
    )
    asyncio.run(train_values(config))
    return folder / "head"


def chosen(folder: Path, head: Path, answer: Any = reply, **settings: Any) -> Finished:
    usual = {
        "vanilla_baseline": True, "samples": SAMPLES, "temperature": 0.7, "n_rows": N, "value_head": head,
        "value_features": "words",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    config = config_for(folder, **{**usual, **settings})
    return asyncio.run(run_with(config, ScriptedBackend(answer), resume=True))


@pytest.mark.parametrize(
    "mode", [{}, {"vanilla_baseline": False, "planner": "untyped", "max_reasoning_steps": 1}]
)
def test_it_chooses_the_right_samples_where_the_majority_is_wrong(
    tmp_path: Path, head: Path, mode: dict[str, Any]
) -> None:
    finished = chosen(tmp_path, head, n_rows=6, **mode)
    sampling = finished.results.summary.sampling
    assert sampling is not None
    assert sampling.valued is not None
    assert (sampling.majority.correct, sampling.valued.best.correct, sampling.valued.weighted.correct) == (
        0,
        6,
        6,
    )
    assert [answer.answer for answer in sampling.valued.best_answers] == [str(10 + n) for n in range(6)]
    known = asyncio.run(LearnedValue.load(head, HashedWords()))
    for entry in finished.results.results:
        thoughts = () if not mode else entry.thoughts
        place = Place(
            Problem(entry.problem_id, entry.problem, None, None, {}), (*thoughts, entry.final_response)
        )
        assert [entry.value] == [each.value for each in asyncio.run(known.estimate([place]))]


def test_a_run_that_goes_on_values_as_one_that_was_never_stopped(tmp_path: Path, head: Path) -> None:
    whole = chosen(tmp_path / "whole", head)
    failing = True

    def answer(request: Request) -> str:
        if failing and number_of(request) > 2:
            raise BadRequestError("no")
        return reply(request)

    first = chosen(tmp_path / "parts", head, answer)
    assert {entry.value is None for entry in first.results.results if entry.error is not None} == {True}
    failing = False
    parts = chosen(tmp_path / "parts", head, answer)
    assert [what_was_said(entry) for entry in parts.results.results] == [
        what_was_said(entry) for entry in whole.results.results
    ]
    assert parts.results.summary.sampling == whole.results.summary.sampling


def test_another_head_is_another_run(tmp_path: Path, head: Path) -> None:
    other = tmp_path / "other"
    config = ValuesConfig(
        files=(sampled(tmp_path),), output_dir=other, value_features="words", n_members=2, seed=1
    )
    asyncio.run(train_values(config))
    runs = [chosen(tmp_path / "run", path) for path in (head, other)]
    assert runs[0].journal != runs[1].journal
    with_it, without = (
        dict(assemble(config_for(tmp_path, value_head=path, value_features="words")).settings)
        for path in (head, None)
    )
    assert with_it.keys() - without.keys() == {"value_head_sha256", "value_features"}


def test_it_is_shown_and_exported(tmp_path: Path, head: Path) -> None:
    finished = chosen(tmp_path, head, n_rows=2)
    table = tmp_path / "entries.csv"
    told = CliRunner().invoke(main, ["results", str(finished.path), "--export", str(table)])
    assert told.exit_code == 0, told.output
    with table.open(newline="") as lines:
        values = [float(row["value"]) for row in csv.DictReader(lines)]
    assert values == [entry.value for entry in finished.results.results]
    shown = " ".join(CliRunner().invoke(main, ["results", str(finished.path)]).output.split())
    assert f"best of {SAMPLES} (--value_head)" in shown
    assert f"majority of {SAMPLES}" in shown
    told = CliRunner().invoke(main, ["results", str(finished.path), "--trace", "p1"])
    assert f"value: {finished.results.results[SAMPLES].value:.3f}" in told.output


def test_a_dry_run_asks_no_head(tmp_path: Path, head: Path) -> None:
    settings = {"vanilla_baseline": True, "samples": 2, "n_rows": 2, "value_features": "words"}
    with_head, without = (
        asyncio.run(estimate(config_for(tmp_path, value_head=path, **settings))) for path in (head, None)
    )
    assert with_head.usage == without.usage


def test_what_is_embedded_is_paid_by_its_attempt_and_once(tmp_path: Path) -> None:
    results = sampled(tmp_path)

    def answered(call: Call) -> Reply:
        right = says_right(call)
        return Reply("Carefully: \\boxed{12}." if right else "Roughly: \\boxed{0}.")

    with ScriptedServer(answered, dialect="vllm", models=("scripted", "embedder")) as server:
        served = (
            "--llm_framework",
            "vllm",
            "--base_url",
            server.base_url,
            "--embedding_model_name",
            "embedder",
        )
        seen = ("--value_features", "embeddings", "--cache_dir", tmp_path / "served")
        told = command(
            "train", "values", results, "--output_dir", tmp_path / "head", "--n_members", 2, *served, *seen
        )
        assert told.exit_code == 0, told.output
        before = len(server.calls)
        run = (
            *("run", "--input_file", tmp_path / "problems.jsonl", "--n_rows", 3, "--vanilla_baseline"),
            *("--samples", 2, "--temperature", 0.7, "--model_name", "scripted", *served, *seen),
            *("--value_head", tmp_path / "head"),
        )
        told = command(*run)
        assert told.exit_code == 0, told.output
        assert "best of 2 (--value_head)" in told.output
        seen_before = " ".join(told.output.partition("best of 2")[2].split())
        assert "ATTENTION SEEN: --value_head" in seen_before  # beside the figures, not only at the beginning
        assert "has no effect" not in told.output
        embedded = [
            tuple(call.body["input"]) for call in server.calls[before:] if call.path.endswith("/embeddings")
        ]
        assert len(embedded) == len(set(embedded))  # each answer once, whatever was in flight
        (path,) = (tmp_path / "served").glob("results_*.json")
        entries = json.loads(path.read_text())["results"]
        answers = [(f"{one['problem']}\n{one['final_response']}", one["final_response"]) for one in entries]
        assert set(answers) <= set(embedded)
        assert all(entry["usage"]["value head"]["calls"] > 0 for entry in entries)
        path.unlink()
        asked = len(server.calls)
        for journal in (tmp_path / "served").glob("*.jsonl"):
            journal.unlink()
        told = command(*run)
        assert told.exit_code == 0, told.output
        assert [call for call in server.calls[asked:] if not call.path.endswith("/models")] == []


def says_right(call: Call) -> bool:
    """Depends on what is asked alone."""
    return zlib.crc32(json.dumps([call.messages, call.body.get("seed")]).encode()) % 2 == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"value_head": Path("nowhere")}, "nowhere holds no value head"),
        ({"value_head": Path(__file__)}, "is a file; give the folder that it is in"),
        (
            {"value_features": "embeddings", "embedding_model_name": "e", "llm_framework": "vllm"},
            "learned from hashed words, and here it would see embeddings of e; give --value_features words",
        ),
        ({"value_features": "states"}, "--value_features states are those of a model in this process"),
        ({"value_features": "embeddings"}, "--embedding_model_name"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(
    tmp_path: Path, head: Path, settings: dict[str, Any], said: str
) -> None:
    given = {"value_head": head, "value_features": "words", "vanilla_baseline": True, **settings}
    with pytest.raises(UsageError, match=said):
        assemble(config_for(tmp_path, **given))


def test_a_head_for_other_vectors_is_refused(tmp_path: Path, head: Path) -> None:
    other = tmp_path / "head"
    other.mkdir()
    path = head / "value_head.safetensors"
    with safe_open(path, "np") as file:
        header = file.metadata()
    tensors = load_file(path)
    tensors["probe"] = tensors["probe"] + 1
    save_file(tensors, other / path.name, metadata=header)
    with pytest.raises(ValueHeadError, match="take the model that it was trained with, or another head"):
        chosen(tmp_path / "run", other)


def test_an_answer_that_cannot_be_valued_counts_all_the_same(
    tmp_path: Path, head: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the majority, and in accuracy; the head chooses among the others."""
    known = HashedWords.encode

    async def encode(words: HashedWords, places: Sequence[Place]) -> Any:
        if any(place.texts[-1].startswith("Roughly") and "Problem 1:" in place.texts[0] for place in places):
            raise ContextLengthError("the text is too long")
        return await known(words, places)

    without = chosen(tmp_path / "without", head, value_head=None).results.summary
    monkeypatch.setattr(HashedWords, "encode", encode)
    finished = chosen(tmp_path / "with", head)
    summary = finished.results.summary
    assert (summary.outcomes, summary.accuracy) == (without.outcomes, without.accuracy)
    assert summary.sampling is not None
    assert without.sampling is not None
    assert summary.sampling.majority == without.sampling.majority
    assert summary.sampling.valued is not None
    assert summary.sampling.valued.not_valued == 3
    notes = [entry.notes for entry in finished.results.results if entry.notes]
    assert notes == [("not valued: ContextLengthError: the text is too long (--value_head)",)] * 3


def test_problems_that_the_head_was_fitted_to_are_told(tmp_path: Path) -> None:
    """Not those that it was measured by, which it knows as little as new ones."""
    known = sampled(tmp_path)
    write_problems(tmp_path / "problems.jsonl", 40)
    for share, fitted in ((0.0, 30), (0.2, 24)):
        head = tmp_path / f"{share:g}"
        told = command(
            *("train", "values", known, "--output_dir", head, "--value_features", "words"),
            *("--n_members", 2, "--test_share", share),
        )
        assert told.exit_code == 0, told.output
        run = assemble(config_for(tmp_path, value_head=head, value_features="words", samples=2, n_rows=40))
        assert [note for note in run.notes if note.startswith("SEEN")] == [
            f"SEEN: --value_head {head} was fitted to {fitted} of the 40 problems here, so what it chooses for them "
            "holds for no others"
        ]
    config = config_for(tmp_path, value_head=tmp_path / "0", value_features="words", samples=2, n_rows=3)
    assert "was fitted to all 3 problems here" in " ".join(assemble(config).notes)
    new = {"value_head": tmp_path / "0", "value_features": "words", "samples": 2, "sample_id": ("p35", "p36")}
    assert not any("SEEN" in note for note in assemble(config_for(tmp_path, **new)).notes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problems": 5}, "is no value head that can be read"),
        ({"problems": [[1]]}, "its problems are no digests"),
    ],
)
def test_a_head_whose_problems_cannot_be_read_is_refused(
    tmp_path: Path, head: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueHeadError, match=said):
        assemble(config_for(tmp_path, value_head=rewritten(head, tmp_path, changes), value_features="words"))


def test_a_head_of_the_version_before_is_used_and_its_problems_are_said_to_be_unknown(
    tmp_path: Path, head: Path
) -> None:
    older = rewritten(head, tmp_path / "older", {"version": 1}, without="problems")
    run = assemble(config_for(tmp_path, value_head=older, value_features="words", samples=2))
    assert [note.startswith("SEEN? --value_head") for note in run.cautions] == [True]
    read = asyncio.run(LearnedValue.load(older, HashedWords()))
    assert read.problems is None
    asyncio.run(read.save(tmp_path / "again"))
    assert asyncio.run(LearnedValue.load(tmp_path / "again", HashedWords())).problems is None


def rewritten(head: Path, folder: Path, changes: dict[str, Any], without: str = "") -> Path:
    """A head whose header says something else."""
    folder.mkdir(exist_ok=True)
    path = head / "value_head.safetensors"
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["value_head"]) | changes
    header.pop(without, None)
    save_file(load_file(path), folder / path.name, metadata={"value_head": json.dumps(header)})
    return folder


def test_one_sample_leaves_nothing_to_choose_and_that_is_said(tmp_path: Path, head: Path) -> None:
    run = assemble(config_for(tmp_path, value_head=head, value_features="words"))
    assert (
        "--value_head values each answer, and with --samples 1 there is nothing to choose from" in run.notes
    )


def test_in_a_study_the_head_of_all_is_for_those_that_search(tmp_path: Path, head: Path) -> None:
    config_for(tmp_path)
    asked = Asked(
        arms=("vanilla", "untyped", {"name": "tree", "search": "beam", "planner": "untyped", "max_depth": 1}),
        settings={
            "input_file": tmp_path / "problems.jsonl", "llm_framework": "scripted", "model_name": "fake/model",
            "num_icl_examples": 0, "value_head": head, "value_features": "words", "temperature": 0.7,
        },
        matched=False,
    )  # fmt: skip
    begun = begin(StudyFiles(tmp_path / "study"), asked)
    heads = {arm.name: begun.plan.config(arm).value_head for arm in begun.plan.arms}
    assert heads == {"vanilla": None, "untyped": None, "tree": head}
    unused = "--value_head has no effect without an arm that searches, or chooses by it"
    assert unused not in begun.notes
    without = begin(StudyFiles(tmp_path / "without"), replace(asked, arms=asked.arms[:2]))
    assert unused in without.notes


def test_settings_of_a_search_still_have_no_effect_without_one(tmp_path: Path, head: Path) -> None:
    run = assemble(config_for(tmp_path, value_head=head, value_features="words", learn_every=3))
    assert [note for note in run.notes if "has no effect" in note] == [
        "--learn_every 3 has no effect with no --search"
    ]


@pytest.mark.model
def test_the_bundled_model_values_its_own_answers(tmp_path: Path) -> None:
    shared = (
        "--n_rows",
        6,
        "--samples",
        4,
        "--vanilla_baseline",
        "--temperature",
        1,
        "--cache_dir",
        tmp_path,
    )
    told = command("run", *shared)
    assert told.exit_code == 0, told.output
    (results,) = tmp_path.glob("results_*.json")
    told = command("train", "values", results, "--output_dir", tmp_path / "head", "--n_members", 2)
    assert told.exit_code == 0, told.output
    assert (
        "choose among samples with it, and the settings of the traces: --vanilla_baseline --temperature 1.0 "
        f"--samples 8 --value_head {tmp_path / 'head'}\n" in told.output
    )
    told = command("run", *shared, "--value_head", tmp_path / "head")
    assert told.exit_code == 0, told.output
    assert "best of 4 (--value_head)" in told.output
    (valued,) = set(tmp_path.glob("results_*.json")) - {results}
    entries = json.loads(valued.read_text())["results"]
    assert len({entry["value"] for entry in entries}) > 6


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])
