"""Rollouts against a reasoner behind a real server: what is asked, what it took, and what becomes of failures."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_reasoner import RIGHT, parts, reasoner
from served_reasoner import reply, rolling_out, served, until

from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.training.episode import Episode, failures
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.planner import patience
from hierarchical_reasoning.training.planner.rollouts import Waiting
from llm_backends import AuthenticationError, Sampling, ScriptedBackend, ServerError
from llm_backends.local import LocalBackend
from llm_backends.scripted_server import Call, Reply, ScriptedServer, Status, choice_text

DRAWN = Sampling(temperature=1.0, seed=3)


def taken(episode: Episode) -> tuple[str, ...]:
    return tuple(choice.name for choice in episode.choices)


def bodies(server: ScriptedServer) -> list[str]:
    """What was asked for, but for the seed."""
    return [json.dumps({**call.body, "seed": None}, sort_keys=True) for call in server.calls]


async def test_a_hosted_reasoner_answers_and_what_it_took_is_told(
    tmp_path: Path, planner_model: Path
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(
        '{"as_of": "today", "prices": {"openai": {"scripted": {"input": 100, "output": 1000}}}}'
    )
    with ScriptedServer(reply, key="none") as server:
        made = served(server, tmp_path, planner_model, prices=prices)
        async with rolling_out(made, planner_model) as rollouts:
            collected = await rollouts.collect(made.problems, 3, DRAWN)
    episodes = collected.episodes
    assert [(e.problem_id, e.sample) for e in episodes[:4]] == [("p0", 0), ("p0", 1), ("p0", 2), ("p1", 0)]
    assert all(episode.reward == float(taken(episode)[0] == RIGHT) for episode in episodes)
    used = collected.usage["reasoner"]
    assert (used.calls, used.prompt_tokens, used.completion_tokens) == (
        len(server.calls),
        10 * len(server.calls),
        2 * len(server.calls),
    )
    assert used.cost_usd == pytest.approx(len(server.calls) * (10 * 100 + 2 * 1000) / 1e6)
    assert collected.usage["planner"].cost_usd == 0.0
    assert (collected.attempts_again, collected.waited_seconds) == (0, 0.0)


async def test_at_temperature_0_what_episodes_share_is_asked_for_once(
    tmp_path: Path, planner_model: Path
) -> None:
    with ScriptedServer(reply, first_s=0.02) as server:
        made = served(
            server, tmp_path, planner_model, temperature=0, planner_temperature=1, max_steps_per_episode=3
        )
        async with rolling_out(made, planner_model) as rollouts:
            first = await rollouts.collect(made.problems, 8, DRAWN)
            after_first = len(server.calls)
            again = await rollouts.collect(made.problems, 8, replace(DRAWN, seed=4))
        asked = Counter(bodies(server))
    assert set(asked.values()) == {1}
    used = first.usage["reasoner"]
    assert used.calls - used.from_cache == after_first
    assert used.from_cache > used.calls / 2
    assert after_first < 64 * 2
    assert [taken(e) for e in first.episodes] != [taken(e) for e in again.episodes]


async def test_above_temperature_0_samples_and_updates_draw_other_numbers(
    tmp_path: Path, planner_model: Path
) -> None:
    with ScriptedServer(reply) as server:
        made = served(server, tmp_path, planner_model, temperature=0.5)
        async with rolling_out(made, planner_model) as rollouts:
            for seed in (3, 3, 4):
                await rollouts.collect(made.problems[:1], 2, replace(DRAWN, seed=seed))
            at_first, then = await rollouts.collect(made.problems, 4, DRAWN), len(server.calls)
            later = await rollouts.collect(made.problems, 4, DRAWN, first_sample=4)
            assert len(server.calls) > then
            together = await rollouts.collect(made.problems, 8, DRAWN)
    seeds = {call.body["seed"] for call in server.calls}
    assert {call.body["temperature"] for call in server.calls} == {0.5}
    assert len(seeds) >= 8
    assert [e.sample for e in later.episodes[:4]] == [4, 5, 6, 7]
    in_order = sorted((*at_first.episodes, *later.episodes), key=lambda e: (e.problem_id, e.sample))
    assert tuple(in_order) == together.episodes
    assert together.usage["reasoner"].calls == together.usage["reasoner"].from_cache


async def test_a_judge_can_give_the_reward(tmp_path: Path, planner_model: Path) -> None:
    def judging(call: Call) -> Reply | str:
        return choice_text(call, "correct") if call.choices is not None else reply(call)

    with ScriptedServer(judging, models=("scripted", "judge")) as server:
        made = served(
            server, tmp_path, planner_model, ground_truth_format="judge", high_level_model_name="judge"
        )
        async with rolling_out(made, planner_model) as rollouts:
            collected = await rollouts.collect(made.problems[:2], 2, DRAWN)
    assert [episode.reward for episode in collected.episodes] == [1.0] * 4
    judged = collected.usage["judge"]
    assert judged.calls == 4
    assert {call.body["model"] for call in server.calls} == {"scripted", "judge"}


async def test_a_server_that_comes_back_costs_nothing_but_the_wait(
    tmp_path: Path, planner_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.05)
    waits: list[Waiting] = []
    with ScriptedServer(reply) as undisturbed:
        made = served(undisturbed, tmp_path, planner_model)
        async with rolling_out(made, planner_model) as rollouts:
            expected = await rollouts.collect(made.problems, 4, DRAWN)
    server = ScriptedServer(reply, first_s=0.01)
    server.start()
    made = served(server, tmp_path, planner_model, max_concurrency=4, cache_dir=tmp_path / "other")
    again = ScriptedServer(reply, port=int(server.address.rpartition(":")[2]))
    try:
        async with rolling_out(made, planner_model, waits.append) as rollouts:
            collecting = asyncio.create_task(rollouts.collect(made.problems, 4, DRAWN))
            await until(lambda: len(server.calls) > 30)
            await asyncio.to_thread(server.stop)
            await until(lambda: len(waits) > 1)
            again.start()
            collected = await collecting
    finally:
        server.stop()
        again.stop()
    assert collected.episodes == expected.episodes
    assert not [episode for episode in collected.episodes if episode.error]
    assert collected.attempts_again >= 1
    assert "ConnectionFailedError" in str(waits[0])
    answered = [call for call in server.calls if call.fault is None]
    torn = len(server.calls) - len(answered)
    # Replies that were received are not asked for again, those of episodes that were begun anew included.
    assert len(again.calls) <= len(undisturbed.calls) - len(answered) + torn + made.config.max_concurrency


async def test_a_server_that_stays_away_ends_training_and_says_how_to_go_on(
    tmp_path: Path, planner_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.05)
    waits: list[Waiting] = []
    with ScriptedServer(reply) as server:
        made = served(server, tmp_path, planner_model, reasoner_patience=1.0)
        async with rolling_out(made, planner_model, waits.append) as rollouts:
            await rollouts.collect(made.problems[:1], 1, DRAWN)
            await asyncio.to_thread(server.stop)
            with pytest.raises(
                TrainingError,
                match=r"(?s)reasoner has been failing for .*--reasoner_patience is 1:.*--resume",
            ):
                await rollouts.collect(made.problems[1:2], 2, DRAWN)
    assert waits
    assert sum(wait.seconds for wait in waits) <= 1.0


async def test_waits_grow_while_nothing_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    waits: list[Waiting] = []
    waiting = patience.Patience(100, waits.append)
    error = ServerError("busy")
    for _ in range(3):
        began = await waiting.ready()
        waiting.failed(error, began)
        waiting.failed(error, began)  # beside the first, and no news
    waiting.got_through()
    waiting.failed(error, await waiting.ready())
    assert [wait.seconds for wait in waits] == [0.01, 0.02, 0.04, 0.01]
    assert waiting.waited_s == pytest.approx(0.08)


async def test_without_patience_a_failure_costs_its_episode_alone(
    tmp_path: Path, planner_model: Path
) -> None:
    with ScriptedServer(reply, faults={0: Status(500), 3: Status(503)}) as server:
        made = served(server, tmp_path, planner_model, reasoner_patience=0)
        async with rolling_out(made, planner_model) as rollouts:
            collected = await rollouts.collect(made.problems, 2, DRAWN)
    failed = [episode for episode in collected.episodes if episode.error is not None]
    assert len(failed) == 2
    assert all(e.reward is None and e.outcome is Outcome.ERROR for e in failed)
    assert all("ServerError" in (e.error or "") for e in failed)


async def test_what_is_the_episodes_own_fault_is_not_tried_again(tmp_path: Path, planner_model: Path) -> None:
    with ScriptedServer(reply, max_model_len=40) as server:
        made = served(server, tmp_path, planner_model)
        async with rolling_out(made, planner_model) as rollouts:
            collected = await rollouts.collect(made.problems, 2, DRAWN)
    assert collected.attempts_again == 0
    failed = [episode for episode in collected.episodes if episode.error is not None]
    assert failed
    told = failures(collected.episodes)
    assert f"{len(failed)} of 16 episodes failed: ContextLengthError ({len(failed)})" in told
    assert "lower --max_steps_per_episode" in told


async def test_what_no_episode_could_survive_ends_all_of_them(tmp_path: Path, planner_model: Path) -> None:
    refused: Any = Status(401, "no", "invalid_api_key")
    with ScriptedServer(reply, faults={5: refused}) as server:
        made = served(server, tmp_path, planner_model)
        async with rolling_out(made, planner_model) as rollouts:
            with pytest.raises(AuthenticationError):
                await rollouts.collect(made.problems, 4, DRAWN)


async def test_a_mistake_of_the_program_is_no_failed_episode(tmp_path: Path, planner_model: Path) -> None:
    def broken(request: object) -> str:
        raise ZeroDivisionError("a mistake")

    made = parts(tmp_path, planner_model, {})
    async with LocalBackend(planner_model, dtype="float32") as planner:
        rollouts = made.rollouts(planner, Backends.one(ScriptedBackend(broken)))
        with pytest.raises(ZeroDivisionError):
            await rollouts.collect(made.problems, 2, DRAWN)


async def test_a_step_that_is_forced_names_the_flag_of_training(tmp_path: Path, planner_model: Path) -> None:
    made = parts(tmp_path, planner_model, {"max_steps_per_episode": 2})
    async with LocalBackend(planner_model, dtype="float32") as planner:
        collected = await made.rollouts(planner, Backends.one(reasoner())).collect(made.problems, 2, DRAWN)
    notes = {note for episode in collected.episodes if episode.entry for note in episode.entry.notes}
    assert notes == {"stopped at 2 steps (--max_steps_per_episode); the planner did not choose to"}
