"""Advantages of tokens, against plain loops."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from drawn_tokens import Batch, Rows, apart, as_rows, batches
from hypothesis import assume, given
from hypothesis import strategies as st

from hierarchical_reasoning.training.objectives import (
    redistribute_advantage,
    token_level_group_advantage,
)

REWARD = st.sampled_from([0.0, 1.0]) | st.floats(-20, 20, width=16)
ADVANTAGE = st.floats(-5, 5)
H_HAT = st.sampled_from([0.0, -1.0, 1.0]) | st.floats(-1, 1)
RATIO = st.sampled_from([0.9, 1.0, 1.1, 1.14]) | st.floats(0, 3)
CLIP = st.sampled_from([0.2, 0.28]) | st.floats(0, 0.9)


def plain_group_advantage(
    rewards: list[float], valid: list[list[bool]], groups: list[int], *, normalize: bool
) -> tuple[Rows, float]:
    """The advantages, and the one of a valid token that comes closest to 5."""
    found = [[0.0] * len(row) for row in valid]
    closest = 0.0
    for group in groups:
        members = [i for i, g in enumerate(groups) if g == group]
        of_tokens = [rewards[i] for i in members for ok in valid[i] if ok]
        if not of_tokens or max(of_tokens) == min(of_tokens):
            continue
        mean, std = statistics.fmean(of_tokens), statistics.pstdev(of_tokens)
        token_level = {i: (rewards[i] - mean) / (std + 1e-6 if normalize else 1) for i in members}
        of_valid = [abs(token_level[i]) for i in members if any(valid[i])]
        closest = min([closest, *of_valid], key=lambda a: abs(a - 5))
        if max(of_valid) >= 5:
            of_sequences = [rewards[i] for i in members]
            mean, std = statistics.fmean(of_sequences), statistics.stdev(of_sequences)
            token_level = {i: (rewards[i] - mean) / (std + 1e-6 if normalize else 1) for i in members}
        for i in members:
            found[i] = [token_level[i] if ok else 0.0 for ok in valid[i]]
    return found, closest


@given(st.data(), st.booleans())
def test_group_advantages_are_those_of_the_formula(data: st.DataObject, normalize: bool) -> None:
    valid = data.draw(batches()).valid
    n = len(valid)
    rewards = data.draw(st.lists(REWARD, min_size=n, max_size=n))
    groups = data.draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))
    expected, closest = plain_group_advantage(rewards, valid, groups, normalize=normalize)
    assume(abs(closest - 5) > 1e-9)
    found_BT = token_level_group_advantage(
        torch.tensor(rewards, dtype=torch.float64),
        torch.tensor(valid),
        torch.tensor(groups),
        normalize=normalize,
    )
    assert found_BT.dtype == torch.float64
    assert apart(as_rows(found_BT), expected) < 1e-6


def of_lengths(lengths: list[int]) -> torch.Tensor:
    """(B, T) mask of sequences of these lengths."""
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def test_long_sequences_weigh_more() -> None:
    rewards_B = torch.tensor([1.0, 0.0], dtype=torch.float64)
    advantage_BT = token_level_group_advantage(rewards_B, of_lengths([3, 1]), torch.zeros(2), normalize=False)
    assert advantage_BT.tolist() == [[0.25, 0.25, 0.25], [-0.75, 0.0, 0.0]]


def test_from_5_on_a_group_has_advantages_of_sequences() -> None:
    rewards_B = torch.tensor([8.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    found_BT = token_level_group_advantage(
        rewards_B, of_lengths([1, 3, 1, 3]), torch.tensor([0, 0, 1, 1]), normalize=False
    )
    assert found_BT[:, 0].tolist() == [
        4.0,
        -4.0,
        -1.5,
        0.5,
    ]  # by tokens 6 and -2; the other group keeps its own


def test_exactly_5_falls_back_and_what_masked_tokens_would_have_plays_no_part() -> None:
    rewards_B = torch.tensor([5.0, 15.0, 5.0, 15.0], dtype=torch.float64)
    groups_B = torch.zeros(4)
    found_BT = token_level_group_advantage(rewards_B, of_lengths([1, 1, 2, 2]), groups_B)
    by_tokens, by_sequences = 5 / (5 + 1e-6), 5 / (math.sqrt(100 / 3) + 1e-6)
    assert found_BT[:, 0].tolist() == pytest.approx([-by_tokens, by_tokens] * 2)  # a masked 0 would be at -2
    for largest, size in ((by_tokens, by_sequences), (math.nextafter(by_tokens, 2), by_tokens)):
        found_BT = token_level_group_advantage(rewards_B, of_lengths([1, 1, 2, 2]), groups_B, largest=largest)
        assert found_BT[:, 0].tolist() == pytest.approx([-size, size] * 2)


def test_a_sequence_without_tokens_does_not_make_its_group_fall_back() -> None:
    rewards_B = torch.tensor([0.0, 1.0, 50.0], dtype=torch.float64)
    found_BT = token_level_group_advantage(rewards_B, of_lengths([1, 3, 0]), torch.zeros(3), normalize=False)
    assert found_BT.tolist() == [[-0.75, 0.0, 0.0], [0.25, 0.25, 0.25], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_equal_rewards_have_advantages_of_exactly_0(dtype: torch.dtype) -> None:
    rewards_B = torch.tensor([0.7, 0.7, 0.7, 1.0, 0.3, 0.3, 0.3, 1.0, 0.9], dtype=dtype)
    mask_BT = of_lengths(
        [2, 5, 4, 0, 2, 5, 4, 0, 3]
    )  # as plain sums, 0.7 and 0.3 would not be their own means
    found_BT = token_level_group_advantage(rewards_B, mask_BT, torch.tensor([0] * 4 + [1] * 4 + [2]))
    assert found_BT.eq(0).all()
    assert found_BT.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def plain_redistributed(a: float, h: float, ratio: float, low: float, high: float, beta: float) -> float:
    neutral = 1 - low / 2 < ratio < 1 + high / 2
    if h > 0:
        return a if neutral else a * (1 + beta * h)
    return a * (1 + beta * h) if neutral else a


@given(batches(ADVANTAGE, H_HAT, RATIO, CLIP, CLIP), st.floats(0, 2), st.booleans())
def test_redistribution_is_that_of_the_formula(batch: Batch, beta: float, per_token: bool) -> None:
    advantage, h_hat, ratio, low, high = batch.fields
    tensors = [torch.tensor(field, dtype=torch.float64) for field in batch.fields]
    clips = tensors[3:] if per_token else [0.2, 0.28]
    found = as_rows(redistribute_advantage(*tensors[:3], *clips, beta))
    for b, row in enumerate(advantage):
        for t, a in enumerate(row):
            c_low, c_high = (low[b][t], high[b][t]) if per_token else (0.2, 0.28)
            expected = plain_redistributed(a, h_hat[b][t], ratio[b][t], c_low, c_high, beta)
            assert found[b][t] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("h_hat", "ratio", "changed"),
    [
        (0.5, 1 - 0.2 / 2, True),
        (0.5, 1 + 0.4 / 2, True),
        (0.5, 1.0, False),
        (-0.5, 1 - 0.2 / 2, False),
        (-0.5, 1 + 0.4 / 2, False),
        (-0.5, 1.0, True),
    ],
)
def test_a_ratio_exactly_on_a_bound_is_not_neutral(h_hat: float, ratio: float, changed: bool) -> None:
    one = [torch.tensor([[value]], dtype=torch.float64) for value in (2.0, h_hat, ratio)]
    found = float(redistribute_advantage(*one, 0.2, 0.4, 1.0))
    assert found == (2.0 * (1 + h_hat) if changed else 2.0)


def test_what_padding_holds_stays_where_it_is_and_no_gradient_passes() -> None:
    bad = float("nan")
    ratio_BT = torch.tensor([[1.0, bad]], requires_grad=True)
    found_BT = redistribute_advantage(
        torch.tensor([[1.0, bad]]), torch.tensor([[-0.5, bad]]), ratio_BT, 0.2, 0.2, 1.0
    )
    assert found_BT[0, 0] == 0.5
    assert not found_BT.requires_grad


def test_half_precision_is_computed_in_float32() -> None:
    half = [torch.tensor([[value]], dtype=torch.bfloat16) for value in (1.0, -0.5, 1.0)]
    found_BT = redistribute_advantage(*half, *(torch.tensor([[0.2]]).bfloat16(),) * 2, 1.0)
    assert found_BT.dtype == torch.float32
    assert found_BT.item() == 0.5
