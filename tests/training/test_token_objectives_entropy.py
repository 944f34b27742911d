"""Entropies set against those of a batch, and what logits say of tokens, against plain loops."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch
from drawn_tokens import Batch, Rows, apart, as_rows, batches
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.training.objectives import (
    EntropyStats,
    adaptive_temperature,
    entropy_against,
    entropy_signal,
    entropy_stats,
    token_entropy,
    token_scores,
)

ENTROPY = st.sampled_from([0.0, 1e-7, 0.5, 2.0]) | st.floats(0, 12)
PIVOT = st.sampled_from([0.0, 0.5, 0.8, 1.0]) | st.floats(0, 1)
LOGIT = st.floats(-30, 30, width=16)
NOTHING = EntropyStats(0.0, 0.0, 0.0, 0.0)


def plain_signal(entropy: Rows, places: list[tuple[int, int]], pivot: float) -> tuple[Rows, list[float]]:
    h_hat = [[0.0] * len(row) for row in entropy]
    logs = {(b, t): math.log(max(entropy[b][t], 1e-6)) for b, t in places}
    if not logs:
        return h_hat, [0.0, 0.0]
    ordered = sorted(logs.values())
    m = ordered[round(pivot * (len(ordered) - 1))]
    s = math.sqrt(sum((value - m) ** 2 for value in ordered) / len(ordered))
    if s == 0:
        return h_hat, [m, 0.0]
    h = {place: (value - m) / s for place, value in logs.items()}
    highest, lowest = max(h.values()), min(h.values())
    for (b, t), value in h.items():
        h_hat[b][t] = value / highest if value > 0 else value / abs(lowest) if value < 0 else 0.0
    return h_hat, [m, s]


@given(batches(ENTROPY), PIVOT)
def test_the_signal_is_that_of_the_formula(batch: Batch, pivot: float) -> None:
    h_hat_BT, stats = entropy_signal(*batch.tensors(), batch.mask, pivot)
    expected, (m, s) = plain_signal(batch.fields[0], batch.places, pivot)
    assert apart(as_rows(h_hat_BT), expected) < 1e-6
    assert (stats.m, stats.s) == pytest.approx((m, s), abs=1e-9)
    assert h_hat_BT.dtype == torch.float64


@given(batches(ENTROPY), PIVOT)
def test_a_batch_in_parts_has_the_signal_of_the_whole(batch: Batch, pivot: float) -> None:
    (entropy_BT,), mask_BT = batch.tensors(), batch.mask
    whole_BT, stats = entropy_signal(entropy_BT, mask_BT, pivot)
    gathered_N = torch.cat([entropy_BT[b][mask_BT[b]] for b in range(len(mask_BT))])
    assert entropy_stats(gathered_N, torch.ones_like(gathered_N), pivot) == stats
    parts = [entropy_against(stats, entropy_BT[b : b + 1], mask_BT[b : b + 1]) for b in range(len(mask_BT))]
    assert torch.equal(torch.cat(parts), whole_BT)


@pytest.mark.parametrize(
    ("entropies", "valid", "m"),
    [([0.5, 2.0], [False, False], 0.0), ([0.5, 2.0], [False, True], math.log(2)), ([2.0] * 4, [True] * 4, math.log(2))],
    ids=["no valid token", "a single token", "equal entropies"],
)  # fmt: skip
def test_where_entropies_do_not_differ_the_signal_is_0(
    entropies: list[float], valid: list[bool], m: float
) -> None:
    h_hat_BT, stats = entropy_signal(
        torch.tensor([entropies], dtype=torch.float64), torch.tensor([valid]), 0.8
    )
    assert h_hat_BT.tolist() == [[0.0] * len(entropies)]
    assert stats == EntropyStats(pytest.approx(m), 0.0, 0.0, 0.0)  # type: ignore[arg-type]
    assert entropy_against(stats, torch.tensor([0.1, 9.0])).tolist() == [0.0, 0.0]


def test_the_sign_is_kept_and_both_ends_are_reached() -> None:
    entropy_BT = torch.tensor([[0.01, 0.1, 1.0, 2.0, 3.0]], dtype=torch.float64)
    h_hat_BT, stats = entropy_signal(entropy_BT, torch.ones(1, 5), 0.5)
    assert h_hat_BT[0, [0, 2, 4]].tolist() == pytest.approx([-1.0, 0.0, 1.0])
    assert -1 < h_hat_BT[0, 1] < 0 < h_hat_BT[0, 3] < 1
    assert EntropyStats(**json.loads(json.dumps(asdict(stats)))) == stats


def test_the_pivot_is_a_value_that_is_there_and_ranks_round_half_to_even() -> None:
    entropy_BT = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    found = [entropy_stats(entropy_BT, torch.ones(1, 4), pivot).m for pivot in (0.0, 0.49, 0.5, 0.51, 1.0)]
    assert [math.exp(m) for m in found] == pytest.approx([1.0, 2.0, 3.0, 3.0, 4.0])
    five = torch.arange(1.0, 7.0, dtype=torch.float64)
    assert math.exp(entropy_stats(five, torch.ones(6), 0.5).m) == pytest.approx(3.0)  # rank 2.5 goes to 2
    nearest = float(five.log().quantile(0.5, interpolation="nearest"))
    assert entropy_stats(five, torch.ones(6), 0.5).m == nearest


@pytest.mark.parametrize("pivot", [-0.1, 1.1, math.nan])
def test_a_pivot_outside_0_to_1_is_refused(pivot: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in 0 to 1, not"):
        entropy_stats(torch.ones(2), torch.ones(2), pivot)


def test_nothing_lies_beyond_a_pivot_at_the_end() -> None:
    stats = entropy_stats(torch.tensor([1.0, 2.0]), torch.ones(2), 1.0)
    assert stats.scale_pos == 0
    assert entropy_against(stats, torch.tensor([5.0, 1.0, 0.1])).tolist() == pytest.approx([0.0, -1.0, -1.0])


def plain_entropy(logits: list[float], temperature: float = 1.0) -> tuple[float, list[float]]:
    """The entropy, and the log probabilities."""
    highest = max(logits) / temperature
    weights = [math.exp(x / temperature - highest) for x in logits]
    total = sum(weights)
    logs = [
        x / temperature - highest - math.log(total) if x > -math.inf else -math.inf
        for x, w in zip(logits, weights, strict=True)
    ]
    return -sum(w / total * log for w, log in zip(weights, logs, strict=True) if w), logs


@given(
    st.lists(st.lists(LOGIT, min_size=4, max_size=4), min_size=1, max_size=6),
    st.floats(0.1, 3),
    st.tuples(st.floats(-5, 3), st.floats(0.1, 3), st.floats(0, 5), st.floats(0, 5)),
    st.floats(0, 0.9),
)
def test_the_temperature_is_that_of_the_formula(
    logits: Rows, temperature: float, numbers: tuple[float, float, float, float], tau: float
) -> None:
    logits_TV = torch.tensor(logits, dtype=torch.float64)
    found = adaptive_temperature(logits_TV, temperature, EntropyStats(*numbers), tau).tolist()
    m, s, scale_pos, scale_neg = numbers
    for row, value in zip(logits, found, strict=True):
        h = (math.log(max(plain_entropy(row)[0], 1e-6)) - m) / s
        h_hat = min(1.0, max(-1.0, h * scale_pos if h > 0 else h * scale_neg))
        assert value == pytest.approx(temperature * (1 + tau * h_hat), abs=1e-6)
        assert temperature * (1 - tau) - 1e-9 <= value <= temperature * (1 + tau) + 1e-9


def test_without_numbers_of_a_batch_the_temperature_stays() -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.float64)
    of_rows = torch.tensor([[0.5, 1.0, 2.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    for stats in (None, NOTHING):
        assert adaptive_temperature(logits, 0.7, stats, 0.05).tolist() == [[0.7] * 3] * 2
        assert torch.equal(adaptive_temperature(logits, of_rows, stats, 0.05), of_rows)


def test_the_temperature_of_each_row_is_adapted_by_itself() -> None:
    logits = torch.tensor([[0.0, 0.0], [9.0, 0.0]], dtype=torch.float64)
    stats = entropy_stats(token_entropy(logits), torch.ones(2), 0.0)
    assert adaptive_temperature(logits, 1.0, stats, 0.05).tolist() == pytest.approx([1.05, 1.0])


@given(
    st.integers(1, 5).flatmap(
        lambda v: st.lists(
            st.tuples(
                st.lists(LOGIT, min_size=v, max_size=v), st.integers(0, v - 1), st.floats(0.2, 3)
            ),
            min_size=1,
            max_size=9,
        )
    ),
    st.integers(1, 20),
)  # fmt: skip
def test_scores_are_those_of_the_formula_however_many_rows_go_together(
    rows: list[tuple[list[float], int, float]], elements_at_once: int
) -> None:
    logits_TV = torch.tensor([logits for logits, _, _ in rows], dtype=torch.float64)
    tokens_T = torch.tensor([token for _, token, _ in rows])
    temperature_T = torch.tensor([temperature for _, _, temperature in rows], dtype=torch.float64)
    log_probs_T, entropy_T = token_scores(
        logits_TV, tokens_T, temperature_T, elements_at_once=elements_at_once
    )
    for i, (logits, token, temperature) in enumerate(rows):
        assert float(log_probs_T[i]) == pytest.approx(plain_entropy(logits, temperature)[1][token], abs=1e-6)
        assert float(entropy_T[i]) == pytest.approx(plain_entropy(logits)[0], abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.6, torch.tensor([0.5, 1.0, 2.0, 0.7, 1.3])])
def test_the_gradient_of_scores_is_right(temperature: float | torch.Tensor) -> None:
    torch.manual_seed(0)
    logits_TV = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    tokens_T = torch.tensor([0, 6, 3, 3, 1])

    def log_probs(logits_TV: torch.Tensor) -> torch.Tensor:
        return token_scores(logits_TV, tokens_T, temperature, elements_at_once=15)[0]

    assert torch.autograd.gradcheck(log_probs, (logits_TV,))
    assert not token_scores(logits_TV, tokens_T)[1].requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_logits_of_half_precision_are_computed_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits_TV = torch.randn(6, 50).to(dtype).requires_grad_()
    tokens_T = torch.randint(50, (6,))
    log_probs_T, entropy_T = token_scores(logits_TV, tokens_T, 0.7)
    assert log_probs_T.dtype == entropy_T.dtype == torch.float32
    expected_T, expected_entropy_T = token_scores(logits_TV.detach().double(), tokens_T, 0.7)
    assert torch.allclose(log_probs_T.double(), expected_T, atol=1e-5)
    assert torch.allclose(entropy_T.double(), expected_entropy_T, atol=1e-5)
    (gradient,) = torch.autograd.grad(log_probs_T.sum(), logits_TV)
    assert gradient.dtype == dtype
    assert torch.equal(token_entropy(logits_TV), entropy_T)
    stats = entropy_stats(entropy_T.to(dtype), torch.ones(6), 0.5)
    assert adaptive_temperature(logits_TV, 0.7, stats, 0.05).dtype == torch.float32
    assert entropy_signal(entropy_T.to(dtype)[None], torch.ones(1, 6), 0.5)[0].dtype == torch.float32


def test_no_second_tensor_of_the_size_of_the_logits_is_kept() -> None:
    logits_TV = torch.randn(64, 1000).to(torch.bfloat16).requires_grad_()
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        token_scores(logits_TV, torch.zeros(64, dtype=torch.long), 0.7, elements_at_once=5000)
    assert [tensor.data_ptr() for tensor in kept if tensor.numel() > 64] == [logits_TV.data_ptr()]


def test_a_logit_of_minus_infinity_is_no_option() -> None:
    logits_TV = torch.tensor([[1.0, -math.inf, 0.5]], dtype=torch.float64, requires_grad=True)
    log_probs_T, entropy_T = token_scores(logits_TV, torch.tensor([0]))
    assert float(entropy_T) == pytest.approx(plain_entropy([1.0, 0.5])[0])
    (gradient,) = torch.autograd.grad(log_probs_T.sum(), logits_TV)
    assert gradient.isfinite().all()
    assert gradient[0, 1] == 0


def test_log_probabilities_have_no_temperature_of_0() -> None:
    with pytest.raises(ValueError, match="must be above 0, not 0"):
        token_scores(torch.zeros(1, 2), torch.tensor([0]), 0.0)
