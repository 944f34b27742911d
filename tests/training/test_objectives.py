"""The pure functions of GRPO, against the same formulas written out in plain Python."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchical_reasoning.training.objectives import (
    brevity_reward,
    clipped_choice_loss,
    entropy,
    group_advantage,
    tempered,
)

REWARD = st.sampled_from([0.0, 1.0]) | st.floats(0, 2, allow_nan=False, width=32)
REWARDS = st.lists(st.tuples(st.integers(-1, 2), REWARD), min_size=1, max_size=12)


def plain_advantages(rewards: list[float], groups: list[int], kind: str) -> list[float]:
    found = []
    for reward, group in zip(rewards, groups, strict=True):
        of_group = [r for r, g in zip(rewards, groups, strict=True) if g == group]
        if max(of_group) == min(of_group):
            found.append(0.0)
            continue
        centred = reward - statistics.fmean(of_group)
        found.append(centred if kind == "binary" else centred / max(statistics.pstdev(of_group), 1e-6))
    return found


@given(REWARDS, st.sampled_from(["binary", "mean"]))
@settings(deadline=None)
def test_advantages_are_those_of_the_formula(drawn: list[tuple[int, float]], kind: str) -> None:
    groups, rewards = [group for group, _ in drawn], [reward for _, reward in drawn]
    found = group_advantage(torch.tensor(rewards, dtype=torch.float64), torch.tensor(groups), kind)  # type: ignore[arg-type]
    assert found.tolist() == pytest.approx(plain_advantages(rewards, groups, kind), abs=1e-8, rel=1e-8)
    for group in set(groups):
        rows = torch.tensor(groups) == group
        assert float(found[rows].sum()) == pytest.approx(0.0, abs=1e-8)
        if kind == "mean" and float(torch.tensor(rewards)[rows].std(correction=0)) > 1e-5:
            assert float(found[rows].square().mean()) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("kind", ["binary", "mean"])
def test_a_group_without_spread_has_advantages_of_exactly_zero(kind: str) -> None:
    rewards_B = torch.tensor([0.1, 0.1, 0.1, 1.0, 0.0, 0.7], dtype=torch.float64)
    advantages = group_advantage(rewards_B, torch.tensor([5, 5, 5, 2, 2, 9]), kind)  # type: ignore[arg-type]
    assert advantages[[0, 1, 2, 5]].tolist() == [0.0] * 4
    assert advantages[3] == -advantages[4] > 0


def plain_loss(
    new: list[float], old: list[float], chosen: int, advantage: float, epsilon: float, beta: float
) -> tuple[float, float]:
    ratio = math.exp(new[chosen] - old[chosen])
    clipped = min(max(ratio, 1 - epsilon), 1 + epsilon)
    kl = sum(math.exp(o) * (o - n) for o, n in zip(old, new, strict=True))
    return -min(ratio * advantage, clipped * advantage) + beta * kl, kl


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_that_of_the_formula(seed: int) -> None:
    torch.manual_seed(seed)
    new_CO = torch.randn(40, 6, dtype=torch.float64).log_softmax(-1)
    old_CO = (new_CO + 0.4 * torch.randn(40, 6, dtype=torch.float64)).log_softmax(-1)
    chosen_C, advantages_C = torch.randint(6, (40,)), torch.randn(40, dtype=torch.float64)
    found = clipped_choice_loss(new_CO, old_CO, chosen_C, advantages_C, epsilon=0.2, kl_coeff=0.3)
    for c in range(40):
        loss, kl = plain_loss(
            new_CO[c].tolist(), old_CO[c].tolist(), int(chosen_C[c]), float(advantages_C[c]), 0.2, 0.3
        )
        assert float(found.loss_C[c]) == pytest.approx(loss, abs=1e-6)
        assert float(found.kl_C[c]) == pytest.approx(kl, abs=1e-6)
    assert 0 < int(found.clipped_C.sum()) < 40


@pytest.mark.parametrize(
    ("ratio", "advantage", "clipped"),
    [(1.5, 1.0, True), (1.5, -1.0, False), (0.5, -1.0, True), (0.5, 1.0, False), (1.1, 1.0, False)],
)
def test_a_clipped_choice_has_no_gradient(ratio: float, advantage: float, clipped: bool) -> None:
    old_CO = torch.tensor([[0.4, 0.6]]).log()
    new_CO = torch.tensor([[0.4 * ratio, 1 - 0.4 * ratio]]).log().requires_grad_()
    found = clipped_choice_loss(
        new_CO, old_CO, torch.tensor([0]), torch.tensor([advantage]), epsilon=0.2, kl_coeff=0.0
    )
    (gradient,) = torch.autograd.grad(found.loss_C.sum(), new_CO)
    assert bool(found.clipped_C) is clipped
    assert bool((gradient == 0).all()) is clipped


def test_where_old_and_new_agree_the_kl_and_its_gradient_are_zero() -> None:
    logits_CO = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    new_CO = logits_CO.log_softmax(-1)
    found = clipped_choice_loss(
        new_CO, new_CO.detach(), torch.zeros(3, dtype=torch.long), torch.zeros(3), epsilon=0.2, kl_coeff=1.0
    )
    (gradient,) = torch.autograd.grad(found.loss_C.sum(), logits_CO)
    assert found.kl_C.tolist() == [0.0] * 3
    assert gradient.abs().max() < 1e-12


def test_temperature_and_entropy_are_those_of_the_options() -> None:
    probabilities = [0.7, 0.2, 0.1]
    log_probs_CO = torch.tensor([probabilities], dtype=torch.float64).log()
    powers = [p ** (1 / 0.5) for p in probabilities]
    expected = [p / sum(powers) for p in powers]
    assert tempered(log_probs_CO, 0.5).exp().tolist()[0] == pytest.approx(expected)
    assert tempered(log_probs_CO, 1.0) is log_probs_CO
    assert float(entropy(log_probs_CO)) == pytest.approx(-sum(p * math.log(p) for p in probabilities))


def test_the_reward_is_one_for_a_correct_answer_and_something_for_brevity() -> None:
    assert brevity_reward(99, 0.0) == 0.0
    assert brevity_reward(99, 0.5) == pytest.approx(0.005)
    assert brevity_reward(0, 0.5) == 0.5
