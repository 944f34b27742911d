"""Heads that learn online: what they learn, that they do so exactly, where they are unsure, and their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_places import ReadsNumbers, exclusive_or, place_at
from safetensors.numpy import load_file, save_file

from hierarchical_reasoning.errors import ConfigError, OutputError, ValueHeadError
from hierarchical_reasoning.values import HEAD_KINDS, UNKNOWN, Estimate, HeadKind, HeadSettings
from hierarchical_reasoning.values.head_files import FILE, VERSION, digest_of
from hierarchical_reasoning.values.learned import LearnedValue

SMALL = {"hidden_size": 32, "n_models": 3, "n_bootstrap": 3}


async def taught(kind: HeadKind, *, calls: int = 10, seed: int = 0, **settings: int) -> LearnedValue:
    value = LearnedValue(ReadsNumbers(), HeadSettings(kind=kind, seed=seed, **(SMALL | settings)))  # type: ignore[arg-type]
    places, rewards = exclusive_or(20 * calls, seed=5)
    for start in range(0, len(places), 20):
        await value.learn(places[start : start + 20], rewards[start : start + 20])
    return value


@pytest.mark.parametrize("kind", HEAD_KINDS)
async def test_learns_what_no_line_can_tell_apart(kind: HeadKind) -> None:
    value = await taught(kind, calls=20)
    places, rewards = exclusive_or(300, seed=6)
    estimates = await value.estimate(places)
    right = [(e.value > 0.5) == (r > 0.5) for e, r in zip(estimates, rewards, strict=True)]
    assert np.mean(right) > 0.75
    assert all(e.uncertainty > 0 for e in estimates)
    assert value.calibration is not None
    assert value.calibration.n == 380  # all but the first 20, which nothing foretold
    assert value.calibration.brier < 0.25  # of the value 0.5 for every place


@pytest.mark.parametrize("kind", ["ensemble", "bootstrap"])
async def test_members_agree_where_pairs_are_and_not_elsewhere(kind: HeadKind) -> None:
    value = LearnedValue(ReadsNumbers(), HeadSettings(kind=kind))
    spread = 0.1 * np.random.default_rng(1).normal(size=(40, 4))
    centres = [(1, 1, 0, 0), (-1, -1, 0, 0)]
    places = [place_at((np.array(centres[i % 2]) + spread[i]).tolist()) for i in range(40)]
    for _ in range(5):
        await value.learn(places, [float(i % 2) for i in range(40)])
    near = await value.estimate(places)
    away = await value.estimate([place_at([1, -1, 3, -3]), place_at([-1, 1, -3, 3])])
    assert max(e.uncertainty for e in near) < min(e.uncertainty for e in away) / 2


@pytest.mark.parametrize("kind", HEAD_KINDS)
async def test_the_same_order_of_learning_gives_the_same_estimates(kind: HeadKind) -> None:
    places, _ = exclusive_or(30, seed=9)
    first = await (await taught(kind)).estimate(places)
    assert await (await taught(kind)).estimate(places) == first
    assert await (await taught(kind, seed=1)).estimate(places) != first


async def test_an_estimate_depends_neither_on_its_company_nor_on_threads() -> None:
    places, _ = exclusive_or(30, seed=9)
    value = await taught("ensemble")
    together = await value.estimate(places)
    assert [(await value.estimate([place]))[0] for place in places] == together
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert await (await taught("ensemble")).estimate(places) == together
    finally:
        torch.set_num_threads(threads)


async def test_says_once_that_it_has_not_learned_yet() -> None:
    value = LearnedValue(ReadsNumbers())
    places = [place_at([number]) for number in range(10)]
    assert await value.estimate(places[:2]) == [UNKNOWN, UNKNOWN]
    await value.learn(places[:7], [0.0, 1.0] * 3 + [1.0])
    assert not value.is_trained
    assert await value.estimate(places) == [UNKNOWN] * 10
    assert len(value.notes) == 1
    await value.learn(places[7:8], [1.0])
    assert value.is_trained
    assert UNKNOWN not in await value.estimate(places)
    assert value.calibration is None


async def test_equal_rewards_alone_teach_nothing() -> None:
    value = LearnedValue(ReadsNumbers())
    await value.learn([place_at([number]) for number in range(20)], [1.0] * 20)
    assert not value.is_trained


async def test_forgets_the_oldest_pairs() -> None:
    settings = HeadSettings(max_pairs=100, **SMALL)  # type: ignore[arg-type]
    value = LearnedValue(ReadsNumbers(), settings)
    points = np.random.default_rng(0).normal(size=(100, 4))
    places = [place_at(point.tolist()) for point in points]
    rewards = [float(point[0] > 0) for point in points]
    await value.learn(places, [1 - reward for reward in rewards])
    for _ in range(12):
        await value.learn(places, rewards)  # the opposite of what it had learned
    estimates = await value.estimate(places)
    assert np.mean([(e.value > 0.5) == (r > 0.5) for e, r in zip(estimates, rewards, strict=True)]) > 0.9
    assert value.n_pairs == 1300


async def test_vectors_are_made_once() -> None:
    encoder = ReadsNumbers()
    value = LearnedValue(encoder, HeadSettings(**SMALL))  # type: ignore[arg-type]
    places, rewards = exclusive_or(20, seed=1)
    await value.learn(places, rewards)
    await value.estimate([*places, *places])
    await value.learn(places, rewards)
    assert len(encoder.encoded) == 20


async def test_a_copy_learns_for_itself() -> None:
    value = await taught("bootstrap")
    places, rewards = exclusive_or(40, seed=11)
    before = await value.estimate(places)
    copied = value.copy()
    assert await copied.estimate(places) == before
    await copied.learn(places, rewards)
    assert await value.estimate(places) == before
    assert await copied.estimate(places) != before
    await value.learn(places, rewards)
    assert await value.estimate(places) == await copied.estimate(places)


@pytest.mark.parametrize("kind", HEAD_KINDS)
async def test_what_is_read_goes_on_as_if_it_had_never_been_written(kind: HeadKind, tmp_path: Path) -> None:
    value = await taught(kind)
    places, rewards = exclusive_or(40, seed=12)
    await value.save(tmp_path / "head")
    read = await LearnedValue.load(tmp_path / "head", ReadsNumbers())
    assert read.settings == value.settings
    assert read.calibration == value.calibration
    assert await read.estimate(places) == await value.estimate(places)
    for own in (read, value):
        await own.learn(places, rewards)
    assert await read.estimate(places) == await value.estimate(places)


async def test_it_remembers_the_problems_that_it_learned_from(tmp_path: Path) -> None:
    value = LearnedValue(ReadsNumbers(), HeadSettings(**SMALL))  # type: ignore[arg-type]
    places, rewards = exclusive_or(60, seed=2, n_problems=60)
    await value.learn(places[:50], rewards[:50])
    await value.estimate(places)
    learned_from = {digest_of(place.problem) for place in places[:50]}
    assert value.problems == value.copy().problems == learned_from
    await value.save(tmp_path)
    read = await LearnedValue.load(tmp_path, ReadsNumbers())
    await read.learn(places[50:], rewards[50:])
    assert value.problems == learned_from
    assert read.problems == {digest_of(place.problem) for place in places}


async def test_wide_vectors_are_projected_and_their_file_keeps_how(tmp_path: Path) -> None:
    encoder = ReadsNumbers(width=700)
    value = LearnedValue(encoder, HeadSettings(**SMALL))  # type: ignore[arg-type]
    places, rewards = exclusive_or(60, seed=2)
    await value.learn(places, rewards)
    await value.save(tmp_path)
    read = await LearnedValue.load(tmp_path, encoder)
    assert await read.estimate(places) == await value.estimate(places)


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (ReadsNumbers(name="letters"), "the encoder here is letters, with 4"),
        (
            ReadsNumbers(width=3),
            "learned from numbers, 4 numbers a place; the encoder here is numbers, with 3",
        ),
        (ReadsNumbers(scale=1.5), "other weights"),
    ],
    ids=["name", "width", "weights"],
)
async def test_a_head_of_another_encoder_is_refused(encoder: ReadsNumbers, said: str, tmp_path: Path) -> None:
    await (await taught("ensemble")).save(tmp_path)
    with pytest.raises(ValueHeadError, match=said) as caught:
        await LearnedValue.load(tmp_path, encoder)
    assert "--value_head" in str(caught.value)


async def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueHeadError, match=f"no {FILE}"):
        await LearnedValue.load(tmp_path, ReadsNumbers())
    (tmp_path / FILE).write_bytes(b"not safetensors")
    with pytest.raises(ValueHeadError, match="can be read"):
        await LearnedValue.load(tmp_path, ReadsNumbers())
    await (await taught("ensemble", calls=2)).save(tmp_path)
    tensors = load_file(tmp_path / FILE)
    header = {"version": 99}
    save_file(tensors, tmp_path / FILE, metadata={"value_head": json.dumps(header)})
    with pytest.raises(ValueHeadError, match="version 99"):
        await LearnedValue.load(tmp_path, ReadsNumbers())
    save_file(tensors, tmp_path / FILE, metadata={"value_head": json.dumps({"version": VERSION})})
    with pytest.raises(ValueHeadError, match="it has no encoder"):
        await LearnedValue.load(tmp_path, ReadsNumbers())
    header = {
        "version": VERSION,
        "encoder": "numbers",
        "problems": [],
        "settings": {},
        "temperature": 1.0,
        "n_calls": 1,
        "n_seen": 1,
    }
    save_file({"probe": tensors["probe"]}, tmp_path / FILE, metadata={"value_head": json.dumps(header)})
    with pytest.raises(ValueHeadError, match="not what was written"):
        await LearnedValue.load(tmp_path, ReadsNumbers())


async def test_what_has_not_learned_or_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueHeadError, match="not learned yet"):
        await LearnedValue(ReadsNumbers()).save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        await (await taught("ensemble", calls=2)).save(tmp_path / "file")


@pytest.mark.parametrize("rewards", [[1.5], [-0.1], [float("nan")], [], [0.0, 1.0]])
async def test_rewards_that_are_none_are_refused(rewards: list[float]) -> None:
    with pytest.raises(ValueError, match="reward"):
        await LearnedValue(ReadsNumbers()).learn([place_at([1])], rewards)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "laplace"}, "ensemble, dropout, bootstrap"),
        ({"n_models": 1}, "n_models .* 2 or more"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
        ({"max_pairs": 3}, "max_pairs .* 8 or more"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_settings_that_are_not_allowed_say_what_is(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        HeadSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [(1.1, 0.0), (0.0, -0.1), (float("nan"), 0.0)])
def test_an_estimate_is_in_units_of_path_reward(numbers: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Estimate(*numbers)
