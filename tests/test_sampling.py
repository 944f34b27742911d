"""Several samples a problem: the numbers against their definitions, and whole runs."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_run import config_for, number_of, reply, run_with, what_was_said

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.intervals import Accuracy, Estimate, bootstrap_interval, wilson_interval
from hierarchical_reasoning.results.sampling import Sampled, majority_vote, pass_at_k, summarize_samples
from hierarchical_reasoning.runner import Finished
from hierarchical_reasoning.verifiers.number import NumberVerifier
from llm_backends import Request, ScriptedBackend, ServerError

BALLOTS = st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=9)


@given(flags=st.lists(st.booleans(), min_size=1, max_size=8), k=st.integers(1, 8))
def test_pass_at_k_is_the_share_of_the_sets_with_a_right_one(flags: list[bool], k: int) -> None:
    k = min(k, len(flags))
    expected = mean(any(chosen) for chosen in combinations(flags, k))
    assert pass_at_k(len(flags), sum(flags), k) == pytest.approx(expected)


@given(n=st.integers(1, 300), data=st.data())
def test_pass_at_k_grows_with_k_from_the_share_to_certainty(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    values = [pass_at_k(n, correct, k) for k in range(1, n + 1)]
    assert values[0] == pytest.approx(correct / n)
    assert values[-1] == (correct > 0)
    assert values == sorted(values)


def test_impossible_counts_are_refused() -> None:
    for n, correct, k in ((0, 0, 1), (3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)):
        with pytest.raises(ValueError):
            pass_at_k(n, correct, k)


@given(ballots=BALLOTS, seed=st.text(max_size=3), data=st.data())
def test_the_most_votes_win_whatever_the_order(
    ballots: list[str | None], seed: str, data: st.DataObject
) -> None:
    vote = majority_vote(ballots, seed=seed)
    given_votes = Counter(ballot for ballot in ballots if ballot is not None)
    if vote is None:
        assert not given_votes
        return
    most = max(given_votes.values())
    won = ballots[vote.winner]
    assert won not in ballots[: vote.winner]
    assert (given_votes[won or ""], vote.votes, vote.cast) == (most, most, given_votes.total())
    assert vote.tied == (sum(count == most for count in given_votes.values()) > 1)
    other = data.draw(st.permutations(ballots))
    again = majority_vote(other, seed=seed)
    assert again is not None
    assert other[again.winner] == won


def test_ties_are_drawn_evenly_and_by_the_seed() -> None:
    votes = [majority_vote(["a", "b", None], seed=str(seed)) for seed in range(400)]
    assert all(vote is not None and vote.tied for vote in votes)
    assert 150 < sum(vote.winner for vote in votes if vote is not None) < 250


PAIRS = st.dictionaries(
    st.integers(1, 5).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 30),
    max_size=6,
)


@given(pairs=PAIRS, seed=st.integers(0, 99))
def test_a_bootstrap_interval_stays_in_range_and_repeats(
    pairs: dict[tuple[float, float], int], seed: int
) -> None:
    low, high = bootstrap_interval(pairs, seed=seed)
    assert 0 <= low <= high <= 1
    assert bootstrap_interval(pairs, seed=seed) == (low, high)
    found = Estimate.of(pairs, seed)
    assert found.value is None or low - 1e-9 <= found.value <= high + 1e-9


def test_the_bootstrap_of_single_samples_is_about_wilsons() -> None:
    found = bootstrap_interval({(1, 1): 130, (0, 1): 70}, seed=0)
    assert found == pytest.approx(wilson_interval(130, 200), abs=0.02)
    assert bootstrap_interval({(3, 3): 20}, seed=0) == wilson_interval(20, 20)
    assert bootstrap_interval({(0, 3): 20}, seed=0) == wilson_interval(0, 20)
    assert bootstrap_interval({}, seed=0) == (0.0, 1.0)


def test_the_bootstrap_holds_the_truth_as_often_as_it_says() -> None:
    """Problems of very different difficulty, five samples each: Wilson's interval over samples would be too narrow."""
    rng = random.Random(0)
    within = wilson_within = 0
    for trial in range(200):
        pairs: Counter[tuple[float, float]] = Counter()
        for _ in range(60):
            share = rng.choice((0.0, 0.1, 0.9, 1.0))
            pairs[sum(rng.random() < share for _ in range(5)), 5] += 1
        low, high = bootstrap_interval(pairs, seed=trial)
        within += low <= 0.5 <= high
        low, high = wilson_interval(int(sum(c * n for (c, _), n in pairs.items())), 300)
        wilson_within += low <= 0.5 <= high
    assert 0.9 <= within / 200 <= 0.99
    assert wilson_within / 200 < 0.8


def sampled(answer: str | None, is_correct: bool | None, *, has_truth: bool = True) -> Sampled:
    return Sampled(answer, answer, is_correct, has_truth)


def test_numbers_of_all_problems() -> None:
    problems = {
        "most": [sampled("1", True), sampled("2", False), sampled("1", True)],
        "none": [sampled(None, False)] * 3,
        "error": [sampled(None, None), sampled("7", True), sampled(None, None)],
        "unknown": [sampled("x", None, has_truth=False)] * 3,
    }
    found = summarize_samples(problems, samples=3, seed=0)
    assert found.mean_at_k.value == pytest.approx((2 + 0 + 1) / 9)
    assert [found.pass_at_k[k].value for k in (1, 2, 3)] == pytest.approx([1 / 3, (1 + 2 / 3) / 3, 2 / 3])
    assert found.majority == Accuracy.of(2, 3)
    assert (found.ties, found.no_answer) == (0, 1)
    assert [(vote.answer, vote.votes, vote.cast, vote.is_correct) for vote in found.votes] == [
        ("1", 2, 3, True),
        (None, 0, 0, False),
        ("7", 1, 1, True),
        ("x", 3, 3, None),
    ]
    problems["most"].pop()
    assert summarize_samples(problems, samples=3, seed=0).mean_at_k.n == 2


VALUED = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    min_size=1,
    max_size=6,
)


@given(st.lists(VALUED, min_size=1, max_size=6))
def test_values_choose_the_best_sample_and_weigh_the_votes(
    drawn: list[list[tuple[str | None, float]]],
) -> None:
    """The answer "a" is right."""
    problems = {
        f"p{number}": [Sampled(answer, answer, answer == "a", True, value) for answer, value in samples]
        for number, samples in enumerate(drawn)
    }
    found = summarize_samples(problems, samples=6, seed=0).valued
    assert found is not None
    for samples, best, weighted in zip(drawn, found.best_answers, found.weighted_answers, strict=True):
        answered = [(answer, value) for answer, value in samples if answer is not None]
        if not answered:
            assert (best.answer, best.value, weighted.answer, weighted.value) == (None, None, None, None)
            assert (best.is_correct, weighted.is_correct) == (False, False)
            continue
        most = max(value for _, value in answered)
        assert (best.answer, best.value) == next(pair for pair in answered if pair[1] == most)
        totals = {answer: sum(v for a, v in answered if a == answer) for answer, _ in answered}
        assert weighted.answer is not None
        assert totals[weighted.answer] == weighted.value == max(totals.values())
    assert found.best == Accuracy.of(sum(one.answer == "a" for one in found.best_answers), len(drawn))
    assert found.weighted == Accuracy.of(sum(one.answer == "a" for one in found.weighted_answers), len(drawn))


def test_without_values_nothing_is_chosen_by_them() -> None:
    problems = {"one": [sampled("1", True), sampled("2", False)]}
    assert summarize_samples(problems, samples=2, seed=0).valued is None


def test_what_was_not_graded_is_not_counted_among_what_values_chose() -> None:
    problems = {
        "unknown": [Sampled("x", "x", None, False, 0.5)],
        "known": [Sampled("y", "y", True, True, 0.1)],
    }
    found = summarize_samples(problems, samples=1, seed=0).valued
    assert found is not None
    assert found.best == found.weighted == Accuracy.of(1, 1)
    assert [one.is_correct for one in found.best_answers] == [None, True]


def test_numbers_are_ballots_by_value() -> None:
    ballot = NumberVerifier().ballot
    assert len({ballot(text) for text in ("1,000", "1000.0", "$1000", "2000/2")}) == 1
    assert len({ballot(text) for text in ("50%", "50", "0.5", "none")}) == 4


def by_sample(request: Request) -> str:
    """Right for every problem in sample 0, for the even ones in sample 1, and for none in sample 2."""
    text = reply(request)
    if "boxed" not in text:
        return f"{text} Take {request.sample_index}." if request.choices is None else text
    right = request.sample_index == 0 or (request.sample_index == 1 and number_of(request) % 2 == 0)
    return f"So it is \\boxed{{{10 + number_of(request) if right else 0}}}."


async def sampled_run(directory: Path, n: int = 3, **options: object) -> Finished:
    return await run_with(config_for(directory, samples=n), ScriptedBackend(by_sample), **options)  # type: ignore[arg-type]


async def test_a_run_has_an_entry_a_sample_and_the_numbers(tmp_path: Path) -> None:
    finished = await sampled_run(tmp_path)
    entries = finished.results.results
    assert [(entry.problem_id, entry.sample) for entry in entries] == [
        (f"p{i}", sample) for i in range(6) for sample in range(3)
    ]
    assert [entry.is_correct for entry in entries[:6]] == [True, True, False, True, False, False]
    summary = finished.head.summary
    assert summary.sampling is not None
    assert (summary.n, summary.accuracy.correct, summary.accuracy.n) == (18, 9, 18)
    assert summary.accuracy.value == summary.sampling.mean_at_k.value == 0.5
    assert [*map(len, (summary.sampling.pass_at_k, summary.sampling.votes))] == [3, 6]
    assert summary.sampling.pass_at_k[3].value == 1
    assert summary.sampling.majority == Accuracy.of(3, 6)
    assert summary.tokens_per_problem is not None
    assert summary.tokens_per_problem * 6 == sum(
        used.prompt_tokens + used.completion_tokens for used in summary.usage.values()
    )
    assert json.loads(finished.path.read_text())["summary"]["sampling"]["votes"][0]["answer"] == "10"


async def test_more_samples_later_pay_for_the_new_ones_alone(tmp_path: Path) -> None:
    await sampled_run(tmp_path, 1)
    backend = ScriptedBackend(by_sample)
    finished = await run_with(config_for(tmp_path, samples=3), backend, resume=True)
    assert {request.sample_index for request in backend.requests} == {1, 2}
    at_once = await run_with(
        config_for(tmp_path, samples=3, cache_dir=tmp_path / "other"), ScriptedBackend(by_sample)
    )
    assert [*map(what_was_said, finished.results.results)] == [*map(what_was_said, at_once.results.results)]
    fewer = await run_with(config_for(tmp_path, samples=2), resume=True)
    assert len(fewer.results.results) == 12


async def test_samples_that_end_in_errors_count_as_not_solved(tmp_path: Path) -> None:
    def failing(request: Request) -> str:
        if request.sample_index == 0:
            raise ServerError("overloaded")
        return by_sample(request)

    finished = await run_with(config_for(tmp_path, samples=2), ScriptedBackend(failing, max_retries=0))
    summary = finished.head.summary
    assert summary.sampling is not None
    assert summary.outcomes[Outcome.ERROR] == 6
    assert (summary.accuracy.n, summary.accuracy_completed.n) == (12, 6)
    assert summary.sampling.mean_at_k.value == 0.25
    assert summary.sampling.majority.value == 0.5


def test_samples_that_would_all_be_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--samples 2 with --temperature 0 .* the same.*above 0"):
        assemble(config_for(tmp_path, samples=2, temperature=0))
    assemble(config_for(tmp_path, samples=1, temperature=0))
    assemble(config_for(tmp_path, samples=2, temperature=0, planner="uniform"))


async def test_planners_that_draw_differ_from_sample_to_sample(tmp_path: Path) -> None:
    config = config_for(tmp_path, samples=4, planner="uniform", n_rows=1)
    entries = (await run_with(config)).results.results
    assert len({entry.thought_types for entry in entries}) > 1
    assert math.isclose(sum(entry.sample for entry in entries), 6)
