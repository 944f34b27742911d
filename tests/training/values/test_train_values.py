"""A value head from finished runs: what it learns, what is said of it, what a search has of it, and what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from careful_and_rough import PROBLEMS, SAMPLES, reply, sampled, saying
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from scripted_run import config_for, number_of, run_with, write_problems
from sklearn.metrics import roc_auc_score

from hierarchical_reasoning.assets import TRAIN_PROBLEMS
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.values.attempts import Attempt, read_attempts
from hierarchical_reasoning.training.values.config import ValuesConfig
from hierarchical_reasoning.training.values.measures import measure
from hierarchical_reasoning.training.values.run import train_values
from hierarchical_reasoning.values.base import Place
from hierarchical_reasoning.values.encoders import HashedWords
from hierarchical_reasoning.values.learned import LearnedValue
from llm_backends import BadRequestError, Request, ScriptedBackend
from llm_backends.scripted_server import Reply, ScriptedServer


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "values", *map(str, arguments)])


def test_it_learns_to_choose_and_says_how_well(tmp_path: Path) -> None:
    results = sampled(tmp_path)
    lines: list[str] = []
    config = ValuesConfig(files=(results,), output_dir=tmp_path / "head", value_features="words")
    trained = asyncio.run(train_values(config, lines.append))
    assert lines == [
        f"{results}: --vanilla_baseline --temperature 0.7, problems of {tmp_path / 'problems.jsonl'}",
        "150 traces on 30 problems, 60 right",
    ]
    measured = trained.measured
    assert measured is not None
    assert (measured.problems, measured.attempts, measured.right) == (6, 30, 12)
    assert measured.auc == measured.auc_within == 1.0
    assert (measured.best.correct, measured.majority.correct, measured.any.correct) == (6, 0, 6)
    record = json.loads((tmp_path / "head" / "measured.json").read_text())
    assert record["measured"] == measured.model_dump(mode="json")
    assert record["learned_from"] + record["validated_on"] == 24 * SAMPLES
    head = asyncio.run(LearnedValue.load(tmp_path / "head", HashedWords()))
    problem = Problem("new", "Problem 77: 10 + 77?", None, None, {})
    said = ("Carefully, digit by digit: \\boxed{87}.", "Roughly, at a glance: \\boxed{0}.")
    careful, rough = asyncio.run(head.estimate([Place(problem, (text,)) for text in said]))
    assert careful.value > 0.7 > 0.3 > rough.value


def test_the_same_files_give_the_same_head(tmp_path: Path) -> None:
    results = sampled(tmp_path)
    for name in ("one", "two"):
        asyncio.run(
            train_values(
                ValuesConfig(
                    files=(results,), output_dir=tmp_path / name, value_features="words", n_members=2
                )
            )
        )
    one, two = ((tmp_path / name / "value_head.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_search_goes_by_it(tmp_path: Path) -> None:
    """Of two answers that both look well to agreement, the one is taken that the head values."""
    results = sampled(tmp_path)
    told = command(
        results, "--output_dir", tmp_path / "head", "--value-features", "words", "--uncertainty", "bootstrap"
    )
    assert told.exit_code == 0, told.output
    assert (
        f"search with it: --search beam --value_head {tmp_path / 'head'} --uncertainty bootstrap "
        "--value_features words --local_reward value" in told.output
    )

    def thinking(request: Request) -> str:
        if request.sampling.max_tokens == 20:  # a thought
            return "Carefully." if reply(request).startswith("Carefully") else "Roughly."
        careful = any(message.content == "Carefully." for message in request.messages)
        return saying(number_of(request), careful)

    searching = {
        "search": "beam", "planner": "untyped", "max_depth": 1, "branching_factor": 4, "fixed_branching": True,
        "no_pruning": True, "verification_threshold": 9, "temperature": 0.7, "max_thought_tokens": 20,
        "max_answer_tokens": 40, "uncertainty": "bootstrap", "value_features": "words", "n_rows": 10,
    }  # fmt: skip
    (tmp_path / "search").mkdir()
    write_problems(tmp_path / "search" / "problems.jsonl", 10)
    right = {}
    for name, more in (
        ("agreement", {}),
        ("value", {"value_head": tmp_path / "head", "path_reward": "value", "local_reward": "value"}),
    ):
        config = config_for(tmp_path / "search", cache_dir=tmp_path / name, **searching, **more)
        finished = asyncio.run(run_with(config, ScriptedBackend(thinking)))
        right[name] = finished.results.summary.accuracy.correct
    assert right["value"] > right["agreement"]


def test_what_says_nothing_of_right_and_wrong_is_left_out_and_told(tmp_path: Path) -> None:
    def failing(request: Request) -> str:
        if number_of(request) % 6 == 0:
            raise BadRequestError("no")
        return reply(request)

    results = sampled(tmp_path, failing)
    attempts = read_attempts([results])
    assert sum(attempts.left_out.values()) == PROBLEMS // 6 * SAMPLES
    told = command(
        results, "--output_dir", tmp_path / "head", "--value_features", "words", "--max_pairs", "60"
    )
    assert told.exit_code == 0, told.output
    assert "note: 25 attempts left out, which ended as error" in told.output
    assert "note: 60 of 100 places are learned from (--max_pairs)" in told.output


def test_a_journal_will_do_and_places_are_the_beginnings_of_traces(tmp_path: Path) -> None:
    finished = asyncio.run(run_with(config_for(tmp_path, n_rows=2)))
    attempts = read_attempts([finished.journal])
    assert attempts == read_attempts([finished.path])
    assert [len(attempt.places) for attempt in attempts.graded] == [3, 3]
    entry = finished.results.results[0]
    assert attempts.graded[0].places[-1].thoughts == (
        *(step.thought for step in entry.steps[:-1]),
        entry.final_response,
    )
    assert attempts.graded[0].problem.answer is None


def test_an_attempt_that_stands_in_several_files_counts_once(tmp_path: Path) -> None:
    finished = asyncio.run(run_with(config_for(tmp_path, n_rows=6)))
    twice = read_attempts([finished.path, finished.journal, finished.path])
    assert twice.graded == read_attempts([finished.path]).graded
    assert twice.repeated == 12
    results = sampled(tmp_path)
    told = command(results, results, "--output_dir", tmp_path / "head", "--value_features", "words")
    assert told.exit_code == 0, told.output
    assert "150 traces on 30 problems, 60 right" in told.output
    assert "note: 150 attempts in several of the files, which count once" in told.output


def test_equal_answers_vote_together_however_they_are_written(tmp_path: Path) -> None:
    def answered(request: Request) -> str:
        return f"\\boxed{{{('12', '12.0', '0', '0', '12')[request.sample_index]}}}"

    results = sampled(tmp_path, answered, n_rows=3)
    assert [each.answer for each in read_attempts([results]).graded[:5]] == ["12", "12", "0", "0", "12"]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.sampled_from([0.1, 0.4, 0.5, 0.9])),
        min_size=1,
        max_size=30,
    )
)
def test_measures_against_plain_counting(drawn: list[tuple[int, bool, float]]) -> None:
    attempts = [
        Attempt(Problem(f"p{n}", f"problem {n}", None, None, {}), ("said",), str(right), right) for n, right, _ in drawn
    ]  # fmt: skip
    values = [value for _, _, value in drawn]
    found = measure(attempts, values, seed=0)
    rights = [right for _, right, _ in drawn]
    if len(set(rights)) == 2:
        assert found.auc == pytest.approx(roc_auc_score(rights, values))
    else:
        assert found.auc is None
    pairs = [
        (a > b) + (a == b) / 2
        for n, right, a in drawn
        for m, other, b in drawn
        if n == m and right and not other
    ]
    assert found.auc_within == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)
    groups = [[(right, value) for n, right, value in drawn if n == m] for m in {n for n, _, _ in drawn}]
    several = [group for group in groups if len(group) > 1]
    assert found.best.n == len(several)
    assert found.any.correct == sum(any(right for right, _ in group) for group in several)
    assert found.best.correct == sum(max(group, key=lambda each: each[1])[0] for group in several)
    assert found.first.correct == sum(group[0][0] for group in several)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.json"], "nowhere.json cannot be read"),
        (["{results}", "--test_share", "1"], "--test_share"),
        (["{results}", "--n_members", "1"], "--n_members"),
        (["{results}", "--value_features", "states"], "--value_features states are those of a model in this process"),
        (["{results}", "--value_features", "embeddings"], "--embedding_model_name"),
        (["{results}", "--output_dir", "{head}"], "holds a value head already; choose another one"),
        (["{one}", "--value_features", "words"], "graded attempts on 1 problem, and 3 are the fewest"),
        (["{one}", "--value_features", "words", "--test_share", "0"], "1 problem, and 2 are the fewest"),
        (["{two}", "--value_features", "words"], "or --test_share 0, with which 2 are the fewest"),
        (["{results}", "--output_dir", "/proc/none"], "cannot be written to /proc/none"),
    ],
)  # fmt: skip
def test_a_mistake_ends_with_one_message(tmp_path: Path, arguments: list[str], said: str) -> None:
    results = sampled(tmp_path)
    one, two = sampled(tmp_path, n_rows=1), sampled(tmp_path, n_rows=2)
    head = tmp_path / "head"
    head.mkdir()
    (head / "value_head.safetensors").write_bytes(b"mine")
    filled = [text.format(results=results, one=one, two=two, head=head) for text in arguments]
    if "--output_dir" not in filled:
        filled += ["--output_dir", str(tmp_path / "new")]
    told = command(*filled)
    assert told.exit_code == 2, told.output
    assert said in told.output
    assert "Traceback" not in told.output
    assert (head / "value_head.safetensors").read_bytes() == b"mine"


def test_traces_of_several_models_need_a_word_which_one_is_to_see_them(tmp_path: Path) -> None:
    results = [sampled(tmp_path, model_name=name) for name in ("fake/one", "fake/two")]
    told = command(*results, "--output_dir", tmp_path / "head")
    assert told.exit_code == 2
    assert "the traces are of several models (fake/one, fake/two)" in told.output
    assert "--model_name" in told.output
    told = command(*results, "--output_dir", tmp_path / "head", "--value_features", "words")
    assert told.exit_code == 0, told.output


def test_traces_of_one_model_through_several_backends_need_a_word_which_one(tmp_path: Path) -> None:
    recorded = json.loads(sampled(tmp_path).read_text())
    results = [tmp_path / f"{name}.json" for name in ("openai", "vllm")]
    for path in results:
        recorded["config"]["llm_framework"] = path.stem
        path.write_text(json.dumps(recorded))
    told = command(*results, "--output_dir", tmp_path / "head")
    assert told.exit_code == 2
    assert "of fake/model through several backends (openai, vllm)" in told.output
    told = command(*results, "--output_dir", tmp_path / "head", "--llm_framework", "vllm")
    assert told.exit_code == 0, told.output
    assert "seen as hashed words" in told.output


def test_embeddings_ask_the_model_that_makes_them_alone(tmp_path: Path) -> None:
    results = [sampled(tmp_path, model_name=name) for name in ("fake/one", "fake/two")]
    with ScriptedServer(lambda call: Reply(""), dialect="vllm", models=("embedder",)) as server:
        told = command(
            *results, "--output_dir", tmp_path / "head", "--value_features", "embeddings", "--n_members", "2",
            "--embedding_model_name", "embedder", "--llm_framework", "vllm", "--base_url", server.base_url,
            "--cache_dir", tmp_path / "cache",
        )  # fmt: skip
        assert {call.path.rpartition("/")[2] for call in server.calls} <= {"embeddings", "models"}
    assert told.exit_code == 0, told.output
    assert "seen as embeddings of embedder" in told.output
    assert "--value_features embeddings --embedding_model_name embedder --local_reward value" in told.output


def test_there_is_no_head_without_what_was_measured(tmp_path: Path) -> None:
    head = tmp_path / "head"
    (head / "measured.json").mkdir(parents=True)
    told = command(sampled(tmp_path), "--output_dir", head, "--value_features", "words", "--n_members", "2")
    assert told.exit_code != 0
    assert "measured.json cannot be written" in told.output
    assert [path.name for path in head.iterdir()] == ["measured.json"]


@pytest.mark.model
def test_the_bundled_model_sees_its_own_traces(tmp_path: Path) -> None:
    ran = bundled(
        *("--input_file", TRAIN_PROBLEMS, "--n_rows", "6", "--samples", "4", "--planner", "untyped"),
        *("--temperature", "1", "--cache_dir", tmp_path, "--max_concurrency", "24"),
    )
    assert ran.exit_code == 0, ran.output
    (results,) = tmp_path.glob("results_*.json")
    head = tmp_path / "head"
    told = command(results, "--output_dir", head, "--n_members", "2", "--test_share", "0.4")
    assert told.exit_code == 0, told.output
    searched = bundled(
        *("--n_rows", "1", "--search", "mcts", "--max_depth", "6", "--max_search_calls", "20"),
        *("--value_head", head, "--path_reward", "value", "--planner", "untyped", "--temperature", "0.7"),
        *("--cache_dir", tmp_path / "search"),
    )
    assert searched.exit_code == 0, searched.output
    assert "all places are worth the same" not in searched.output


def bundled(*arguments: object) -> Result:
    """A run of the main command."""
    return CliRunner().invoke(main, ["run", *map(str, arguments)])
