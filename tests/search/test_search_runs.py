"""Searches as runs: the journal, the trees beside it, resuming, what is refused, and what old journals see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scripted_run import config_for, run_with, what_was_said
from scripted_world import World
from small_search import LEARNING, small, trees_file

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.cli.run import run
from hierarchical_reasoning.combinations import check_combinations
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.dry_run import estimate
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry
from hierarchical_reasoning.runner import Finished
from hierarchical_reasoning.search.settings import SEARCHES, SearchSettings
from hierarchical_reasoning.trees import ReasoningTree
from hierarchical_reasoning.trees.file import TreeFile
from llm_backends import BadRequestError, EngineDiedError, ReplyCache, Request

FOUR = LEARNING | {"n_rows": 4}


def trees_of(finished: Finished) -> list[ReasoningTree]:
    return [placed.tree for placed in TreeFile(trees_file(finished))]


def comparable(entry: ResultEntry) -> ResultEntry:
    """An entry without the time it took, and without which replies a cache had."""
    assert entry.search is not None
    replies = {"from_cache": 0, "cost_usd": None, "cost_from_cache_usd": None}
    usage = {role: used.model_copy(update=replies) for role, used in entry.usage.items()}
    search = entry.search.model_copy(update={"seconds": 0.0})
    return what_was_said(entry).model_copy(update={"search": search, "usage": usage})


async def test_a_run_has_its_trees_beside_its_journal(tmp_path: Path) -> None:
    finished = await run_with(small(tmp_path, n_rows=4), World(timing=1))
    entries = {entry.problem_id: entry for entry in finished.results.results}
    trees = trees_of(finished)
    assert {tree.problem_id for tree in trees} == set(entries) == {"p0", "p1", "p2", "p3"}
    for tree in trees:
        entry = entries[tree.problem_id]
        assert entry.search is not None
        assert tree.chosen == entry.search.chosen
        assert tree.chosen is not None
        leaf = tree.node(tree.chosen).leaf
        assert leaf is not None
        assert (leaf.outcome, leaf.extracted) == (entry.outcome, entry.extracted_answer)
        assert tree.node(tree.chosen).text == entry.final_response
        assert sum(used.calls for used in entry.usage.values()) == entry.search.calls
        graded = [node.leaf.outcome for node in tree.nodes.values() if node.leaf]
        assert set(graded) <= {Outcome.CORRECT, Outcome.WRONG}


async def test_the_command_for_trees_reads_them(tmp_path: Path) -> None:
    finished = await run_with(small(tmp_path, n_rows=2), World())
    shown = await asyncio.to_thread(CliRunner().invoke, main, ["trees", str(trees_file(finished))])
    assert shown.exit_code == 0, shown.output
    assert "p0" in shown.output


@pytest.mark.parametrize("search", ["beam", "mcts"])
async def test_the_same_seed_gives_the_same_results_under_any_concurrency(
    tmp_path: Path, search: str
) -> None:
    found = []
    for number, (timing, concurrency) in enumerate([(None, 1), (1, 2), (2, 16)]):
        config = small(
            tmp_path,
            search=search,
            max_concurrency=concurrency,
            cache_dir=tmp_path / str(number),
            **FOUR,
        )
        finished = await run_with(config, World(timing=timing, max_concurrency=concurrency))
        trees = sorted(trees_of(finished), key=lambda tree: tree.problem_id)
        found.append(([comparable(entry) for entry in finished.results.results], trees))
    assert found[0] == found[1] == found[2]
    scores = [
        node.scores for tree in found[0][1][-2:] for node in tree.nodes.values() if node.kind == "thought"
    ]
    assert any(score is not None and score.value is not None for score in scores)  # it has learned by then


class _Stopping(World):
    """Fails for good at a call, as a killed process would end there."""

    def __init__(self, last: int, **options: Any) -> None:
        super().__init__(**options)
        self._last = last

    def _world(self, request: Request) -> Any:
        if self.calls > self._last:
            raise EngineDiedError("killed")
        return super()._world(request)


@pytest.mark.parametrize("last", [3, 40])
async def test_a_run_that_was_cut_off_goes_on_as_if_nothing_had_happened(tmp_path: Path, last: int) -> None:
    undisturbed = World()
    whole = await run_with(small(tmp_path, cache_dir=tmp_path / "undisturbed", **FOUR), undisturbed)
    config = small(tmp_path, max_concurrency=2, **FOUR)
    cache = ReplyCache(tmp_path / "replies.sqlite")
    first = _Stopping(last, cache=cache)
    with pytest.raises(EngineDiedError):
        await run_with(config, first)
    second = World(cache=cache)
    finished = await run_with(config, second, resume=True)
    cache.close()
    assert len(first.requests) - 1 + second.calls <= undisturbed.calls + config.max_concurrency * 20
    assert [*map(comparable, finished.results.results)] == [*map(comparable, whole.results.results)]
    both = [sorted(trees_of(each), key=lambda tree: tree.problem_id) for each in (finished, whole)]
    assert both[0] == both[1]


async def test_with_the_cache_no_reply_is_paid_for_twice(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "replies.sqlite")
    paid = World(cache=cache)
    await run_with(
        small(tmp_path, cache_dir=tmp_path / "one", uncertainty="disagreement", planner="untyped"), paid
    )
    again = World(cache=cache)
    finished = await run_with(
        small(tmp_path, cache_dir=tmp_path / "two", uncertainty="disagreement", planner="untyped"), again
    )
    cache.close()
    assert (paid.calls > 0, again.calls) == (True, 0)
    assert finished.results.summary.n == 6


async def test_what_a_kill_leaves_of_trees_is_dropped_on_resume(tmp_path: Path) -> None:
    config = small(tmp_path, n_rows=2)
    finished = await run_with(config, World())
    path = trees_file(finished)
    whole = path.read_bytes()
    journal = finished.journal.read_bytes().splitlines(keepends=True)
    finished.journal.write_bytes(b"".join(journal[:2]))  # the header, and the first problem
    path.write_bytes(whole + whole.splitlines(keepends=True)[1][:50])
    again = await run_with(config, World(), resume=True)
    assert [(tree.problem_id, tree.sample) for tree in trees_of(again)] == [("p0", 0), ("p1", 0)]
    assert path.read_bytes() == whole


async def test_samples_of_a_problem_search_for_themselves(tmp_path: Path) -> None:
    finished = await run_with(small(tmp_path, n_rows=1, samples=2), World())
    trees = trees_of(finished)
    assert sorted(tree.sample or 0 for tree in trees) == [0, 1]
    texts = [{node.text for node in tree.nodes.values() if node.kind == "thought"} for tree in trees]
    assert not texts[0] & texts[1]


async def test_a_problem_that_fails_has_no_tree_and_the_others_do(tmp_path: Path) -> None:
    class Failing(World):
        def _world(self, request: Request) -> Any:
            if "Problem 1" in request.messages[0].content:
                raise BadRequestError("not this one")
            return super()._world(request)

    finished = await run_with(small(tmp_path, n_rows=3), Failing(max_retries=0))
    outcomes = {entry.problem_id: entry.outcome for entry in finished.results.results}
    assert [name for name, outcome in outcomes.items() if outcome is Outcome.ERROR] == ["p1"]
    assert {tree.problem_id for tree in trees_of(finished)} == {"p0", "p2"}


async def test_a_value_head_that_knows_nothing_yet_is_said_to(tmp_path: Path) -> None:
    world = World()
    await run_with(small(tmp_path, **FOUR), world)
    (note,) = world.notes
    assert "as long as the value head has learned nothing, all places are worth the same" in note
    assert "after every 2 attempts (--learn_every)" in note


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vanilla_baseline": True}, "--search beam .* does not go with --vanilla_baseline"),
        ({"joint": True, "llm_framework": "scripted"}, "--search beam .* does not go with --joint"),
        ({"planner": "fixed", "planner_sequence": "a"}, "--search beam .* does not go with --planner fixed"),
        ({"planner": "teacher"}, "--search beam .* does not go with --planner teacher"),
        ({"planner": "untyped", "temperature": 0}, "--planner untyped .* --temperature 0 all are the same"),
        ({"local_reward": "value", "uncertainty": "none"}, "--local_reward value .* --uncertainty is none"),
        ({"path_reward": "value", "uncertainty": "disagreement"}, "--path_reward value .* disagreement"),
        ({"path_reward": "judge"}, "--path_reward judge .* --high_level_model_name"),
        ({"local_reward": "judge"}, "--local_reward judge .* --high_level_model_name"),
        (
            {"value_features": "states", "llm_framework": "openai", "model_name": "m"},
            "--value_features states",
        ),
        ({"value_features": "embeddings"}, "--embedding_model_name"),
        ({"value_features": "embeddings", "embedding_model_name": "e"}, "come from openai, together, vllm"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_combinations(RunConfig(**{"search": "beam", **given}))


def test_a_check_needs_a_format_that_has_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--path_reward check .* format number do not tell"):
        assemble(small(tmp_path, path_reward="check"))


def test_an_oracle_is_said_to_be_one(tmp_path: Path) -> None:
    (note,) = (note for note in assemble(small(tmp_path, path_reward="verifier")).notes if "ORACLE" in note)
    assert "--path_reward verifier shows the search the ground truth" in note


def test_settings_of_no_search_have_no_effect_and_are_said_to() -> None:
    notes = check_combinations(RunConfig(max_depth=4, mcts_c=2.0))
    assert [note.partition(" has no effect")[0] for note in notes] == ["--max_depth 4", "--mcts_c 2.0"]
    notes = check_combinations(RunConfig(search="beam", max_reasoning_steps=3))
    assert notes == ("--max_reasoning_steps 3 has no effect with --search beam",)


def test_without_a_search_a_run_is_known_by_what_it_was_known_by_before(tmp_path: Path) -> None:
    assert not set(SearchSettings.model_fields) & set(config_for(tmp_path, max_depth=9).affecting_output())
    searching = small(tmp_path).affecting_output()
    assert searching["max_depth"] == 2
    assert small(tmp_path, max_search_calls=9).affecting_output() != searching


@pytest.mark.parametrize("planner", ["model", "untyped", "uniform"])
async def test_a_dry_run_is_a_bound(tmp_path: Path, planner: str) -> None:
    given = {"n_rows": 2, "planner": planner, "num_icl_examples": 0}
    bound = await estimate(small(tmp_path, **given))
    world = World()
    finished = await run_with(small(tmp_path, **given), world)
    used = finished.results.summary.usage
    assert bound.total is not None
    for role, spent in bound.usage.items():
        assert used[role].calls <= spent.calls
    # 2 + 4 thoughts, 4 answers of the deepest; 1 + 2 choices.
    assert bound.usage["reasoner"].calls == 2 * (6 + 4)
    assert bound.usage.get("planner") is None or bound.usage["planner"].calls == 2 * 3


@pytest.mark.parametrize("budget", [{"max_search_calls": 7}, {"max_search_tokens": 900}], ids=str)
async def test_a_dry_run_is_a_bound_whatever_fits_into_a_budget(
    tmp_path: Path, budget: dict[str, int]
) -> None:
    bound = await estimate(small(tmp_path, n_rows=3, **budget))
    finished = await run_with(small(tmp_path, n_rows=3, **budget), World())
    used = finished.results.summary.usage
    for role in used:
        most = bound.usage[role]
        assert 0 < used[role].calls <= most.calls
        assert used[role].prompt_tokens <= most.prompt_tokens
        assert used[role].completion_tokens <= most.completion_tokens
    free = (await estimate(small(tmp_path, n_rows=3))).usage["reasoner"]
    told = bound.usage["reasoner"]
    assert told.calls < free.calls or told.prompt_tokens < free.prompt_tokens


@pytest.mark.parametrize("budget", [{"max_search_calls": 8}, {"max_search_tokens": 900}], ids=str)
@pytest.mark.parametrize("search", SEARCHES)
async def test_a_dry_run_counts_the_answers_of_a_search_that_its_budget_ends(
    tmp_path: Path, search: str, budget: dict[str, int]
) -> None:
    """Where it does not reach the depth at which there is an answer, all thoughts on the way are answered."""
    given = {
        "search": search, "planner": "untyped", "branching_factor": 1, "max_depth": 4, "max_nodes_per_level": 5,
        "verification_threshold": 9, "n_rows": 2, **budget,
    }  # fmt: skip
    bound = (await estimate(small(tmp_path, **given))).usage["reasoner"]
    finished = await run_with(small(tmp_path, **given), World())
    used = finished.results.summary.usage["reasoner"]
    assert used.calls > 2 * (4 + 1)  # thoughts, and the answer that it would come to without a budget
    assert used.calls <= bound.calls
    assert used.prompt_tokens <= bound.prompt_tokens
    assert used.completion_tokens <= bound.completion_tokens


@pytest.mark.parametrize(
    "arguments",
    [
        ["--search", "beams"],
        ["--search", "beam", "--max_depth", "0"],
        ["--search", "beam", "--reward_weights", "0", "0", "0"],
        ["--search", "beam", "--reward_weights", "1", "-1", "0"],
        ["--search", "beam", "--max_search_calls", "1", "--max_search_tokens", "1"],
        ["--search", "beam", "--value_head", "nowhere"],
    ],
)
def test_a_mistake_ends_with_one_message(arguments: Sequence[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(run, ["--n_rows", "1", *arguments])
    assert result.exit_code == 2, result.output
    flag = arguments[-2] if arguments[-2].startswith("--") else "--reward_weights"
    assert flag in result.output
    assert "Traceback" not in result.output
