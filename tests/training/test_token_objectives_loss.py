"""The clipped objective of tokens, its bounds and its averages, against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from drawn_tokens import Batch, Rows, apart, as_rows, batches
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.training.objectives import (
    Clip,
    KlTerm,
    Totals,
    adaptive_clip,
    aggregated,
    clipped_objective,
    importance_ratio,
)

AGGREGATIONS = ("token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")
LOG_PROB = st.floats(-4, 0)
ADVANTAGE = st.sampled_from([0.0, 1.0, -1.0]) | st.floats(-3, 3)
WEIGHT = st.sampled_from([0.0, 1.0, 2.0]) | st.floats(0.01, 5)
H_HAT = st.sampled_from([0.0, -1.0, 1.0]) | st.floats(-1, 1)
LOSS = st.floats(-5, 5)
ESTIMATORS = {"k1": lambda d: d, "k2": lambda d: d * d / 2, "k3": lambda d: math.exp(-d) - 1 + d}


def plain_loss(
    new: float, old: float, a: float, low: float, high: float, dual: float | None
) -> tuple[float, bool, bool]:
    ratio = math.exp(min(20.0, max(-20.0, new - old)))
    clipped = min(max(ratio, 1 - low), 1 + high)
    loss = max(-ratio * a, -clipped * a)
    is_clipped = -clipped * a > -ratio * a
    if dual is not None and a < 0 and loss > -a * dual:
        return -a * dual, is_clipped, True
    return loss, is_clipped, False


def plain_aggregated(loss: Rows, weight: Rows, valid: list[list[bool]], how: str) -> float:
    rows = [
        [(x, w) for x, w, ok in zip(*row, strict=True) if ok] for row in zip(loss, weight, valid, strict=True)
    ]
    rows = [row for row in rows if row]
    sums = [sum(x * w for x, w in row) for row in rows]
    weights = [sum(w for _, w in row) for row in rows]
    if not rows:
        return 0.0
    if how == "token-mean":
        return sum(sums) / sum(weights) if sum(weights) else 0.0
    if how == "seq-mean-token-mean":
        sums = [s / w if w else 0.0 for s, w in zip(sums, weights, strict=True)]
    if how == "seq-mean-token-sum-norm":
        sums = [s / len(loss[0]) for s in sums]
    return sum(sums) / len(rows)


@given(
    batches(LOG_PROB, LOG_PROB, ADVANTAGE, LOG_PROB, WEIGHT, st.floats(0, 0.9), st.floats(0, 2)),
    st.sampled_from(AGGREGATIONS),
    st.sampled_from([None, 1.5, 3.0]),
    st.sampled_from([None, "k1", "k2", "k3"]),
    st.booleans(),
)
def test_the_loss_is_that_of_the_formula(
    batch: Batch, how: str, dual: float | None, estimator: str | None, per_token: bool
) -> None:
    new, old, advantage, reference, weight, low, high = batch.fields
    new_BT, old_BT, advantage_BT, reference_BT, weights_BT, low_BT, high_BT = batch.tensors()
    found = clipped_objective(
        new_BT,
        old_BT,
        advantage_BT,
        batch.mask,
        Clip(low_BT, high_BT, dual) if per_token else Clip(0.2, 0.28, dual),
        aggregation=how,  # type: ignore[arg-type]
        weights_BT=weights_BT,
        kl=None if estimator is None else KlTerm(reference_BT, 0.3, estimator),  # type: ignore[arg-type]
    )
    losses, kls = ([[0.0] * len(row) for row in new] for _ in range(2))
    clipped, dual_clipped = ([[False] * len(row) for row in new] for _ in range(2))
    for b, t in batch.places:
        c_low, c_high = (low[b][t], high[b][t]) if per_token else (0.2, 0.28)
        loss, clipped[b][t], dual_clipped[b][t] = plain_loss(
            new[b][t], old[b][t], advantage[b][t], c_low, c_high, dual
        )
        if estimator is not None:
            kls[b][t] = ESTIMATORS[estimator](new[b][t] - reference[b][t])
        losses[b][t] = loss + 0.3 * kls[b][t]
    assert found.loss.dtype == torch.float64
    assert apart(as_rows(found.loss_BT), losses) < 1e-6
    assert apart(as_rows(found.kl_BT), kls) < 1e-6
    expected = plain_aggregated(losses, weight, batch.valid, how)
    assert float(found.loss) == pytest.approx(expected, abs=1e-6, rel=1e-6)
    differ = found.clipped_BT ^ torch.tensor(clipped) | found.dual_clipped_BT ^ torch.tensor(dual_clipped)
    assert not (differ & batch.mask & far_from_bounds(batch, per_token, dual)).any()


def far_from_bounds(batch: Batch, per_token: bool, dual: float | None) -> torch.Tensor:
    """Where rounding cannot decide whether a ratio is beyond a bound."""
    new_BT, old_BT, _, _, _, low_BT, high_BT = (torch.tensor(f, dtype=torch.float64) for f in batch.fields)
    ratio_BT = (new_BT - old_BT).exp()
    bounds = [1 - low_BT, 1 + high_BT] if per_token else [torch.tensor(0.8), torch.tensor(1.28)]
    return torch.stack([(ratio_BT - bound).abs() > 1e-6 for bound in (*bounds, dual or 3.0)]).all(0)


@given(st.sampled_from(AGGREGATIONS), batches(LOSS, WEIGHT))
def test_the_losses_of_parts_add_up_to_that_of_the_whole(aggregation: str, batch: Batch) -> None:
    (loss_BT, weights_BT), mask_BT = batch.tensors(), batch.mask
    totals = Totals.of(mask_BT, weights_BT)
    how = {"aggregation": aggregation}
    whole = aggregated(loss_BT, mask_BT, **how, weights_BT=weights_BT)  # type: ignore[arg-type]
    parts = [
        aggregated(loss_BT[b : b + 1], mask_BT[b : b + 1], **how, weights_BT=weights_BT[b : b + 1], totals=totals)  # type: ignore[arg-type]
        for b in range(len(mask_BT))
    ]  # fmt: skip
    assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-9)
    assert float(whole) == pytest.approx(plain_aggregated(*batch.fields, batch.valid, aggregation), abs=1e-6)


def test_a_token_of_weight_3_counts_as_three() -> None:
    loss_BT, mask_BT = torch.tensor([[2.0, 4.0]]), torch.ones(1, 2)
    found = aggregated(loss_BT, mask_BT, weights_BT=torch.tensor([[3.0, 1.0]]))
    assert found == aggregated(torch.tensor([[2.0, 2.0, 2.0, 4.0]]), torch.ones(1, 4)) == 2.5


def test_an_aggregation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no aggregation 'mean'; choose one of token-mean, seq-"):
        aggregated(torch.zeros(1, 1), torch.ones(1, 1), "mean")  # type: ignore[arg-type]


@given(batches(H_HAT), st.floats(0, 1), st.floats(0, 1), st.floats(0, 2))
def test_the_clip_ranges_are_those_of_the_formula(
    batch: Batch, low: float, high: float, alpha: float
) -> None:
    low_BT, high_BT = adaptive_clip(torch.tensor(batch.fields[0], dtype=torch.float64), low, high, alpha)
    lows = [[low * (1 - alpha * h) if h <= 0 else low for h in row] for row in batch.fields[0]]
    highs = [[high * (1 + alpha * h) if h > 0 else high for h in row] for row in batch.fields[0]]
    assert apart(as_rows(low_BT), lows) < 1e-6
    assert apart(as_rows(high_BT), highs) < 1e-6


def gradient_at(ratio: float, advantage: float, clip: Clip) -> tuple[float, bool, bool]:
    """d loss / d ratio, and which of the two clips act."""
    new_BT = torch.tensor([[ratio]], dtype=torch.float64).log().requires_grad_()
    with torch.no_grad():
        exact_BT = torch.zeros_like(new_BT)
    a_BT = torch.tensor([[advantage]], dtype=torch.float64)
    found = clipped_objective(new_BT, exact_BT, a_BT, torch.ones(1, 1), clip)
    (gradient,) = torch.autograd.grad(found.loss, new_BT)
    return float(gradient) / ratio, bool(found.clipped_BT), bool(found.dual_clipped_BT)


@pytest.mark.parametrize(
    ("ratio", "advantage", "gradient", "clipped", "dual_clipped"),
    [
        (2.0, 1.0, -1.0, False, False),
        (2.001, 1.0, 0.0, True, False),
        (2.001, -1.0, 1.0, False, False),
        (0.5, -1.0, 1.0, False, False),
        (0.499, -1.0, 0.0, True, False),
        (0.499, 1.0, -1.0, False, False),
        (4.0, -1.0, 1.0, False, False),
        (4.001, -1.0, 0.0, False, True),
    ],
)
def test_exactly_on_a_bound_the_gradient_is_whole_and_beyond_it_is_0(
    ratio: float, advantage: float, gradient: float, clipped: bool, dual_clipped: bool
) -> None:
    # exp(log(x)) is x for these powers of 2, so the bounds are met exactly.
    found = gradient_at(ratio, advantage, Clip(0.5, 1.0, 4.0))
    assert found == (pytest.approx(gradient), clipped, dual_clipped)


def test_without_a_dual_clip_the_loss_of_a_bad_token_has_no_bound() -> None:
    assert gradient_at(50.0, -1.0, Clip(dual=None))[0] == pytest.approx(1.0)
    assert gradient_at(50.0, -1.0, Clip())[0] == 0.0
    for dual in (1.0, 0.5, math.nan):
        with pytest.raises(ValueError, match="the dual clip must be above 1"):
            Clip(dual=dual)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("estimator", [None, "k1", "k2", "k3"])
def test_gradients_are_right(aggregation: str, estimator: str | None) -> None:
    torch.manual_seed(1)
    new_BT, old_BT, reference_BT, advantage_BT = torch.randn(4, 3, 5, dtype=torch.float64)
    mask_BT = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    weights_BT = torch.rand(3, 5, dtype=torch.float64)
    kl = None if estimator is None else KlTerm(reference_BT, 0.5, estimator)  # type: ignore[arg-type]

    def loss(new_BT: torch.Tensor) -> torch.Tensor:
        return clipped_objective(
            new_BT, old_BT, advantage_BT, mask_BT, aggregation=aggregation, weights_BT=weights_BT, kl=kl  # type: ignore[arg-type]
        ).loss  # fmt: skip

    assert torch.autograd.gradcheck(loss, (new_BT.requires_grad_(),))


@given(
    batches(LOG_PROB, LOG_PROB, ADVANTAGE, LOG_PROB, WEIGHT),
    st.sampled_from(AGGREGATIONS),
    st.sampled_from(["k1", "k2", "k3"]),
)
def test_padding_reaches_neither_the_loss_nor_a_gradient(batch: Batch, how: str, estimator: str) -> None:
    found = []
    for hidden in batch.tensors(), tuple(torch.tensor(f, dtype=torch.float64) for f in batch.fields):
        new_BT = hidden[0].requires_grad_()
        loss = clipped_objective(
            new_BT, hidden[1], hidden[2], batch.mask, aggregation=how, weights_BT=hidden[4],  # type: ignore[arg-type]
            kl=KlTerm(hidden[3], 0.1, estimator),  # type: ignore[arg-type]
        ).loss  # fmt: skip
        found.append((loss, *torch.autograd.grad(loss, new_BT)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][1].masked_select(~batch.mask).eq(0).all()


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_without_a_valid_token_loss_and_gradient_are_0(aggregation: str) -> None:
    new_BT = torch.full((2, 3), math.nan, requires_grad=True)
    found = clipped_objective(new_BT, new_BT, new_BT, torch.zeros(2, 3), aggregation=aggregation)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(found.loss, new_BT)
    assert found.loss == 0
    assert gradient.eq(0).all()


def test_a_ratio_that_would_overflow_is_held_and_has_no_gradient() -> None:
    new_BT = torch.tensor([[0.0, 0.0]], requires_grad=True)
    old_BT, mask_BT = torch.tensor([[-200.0, -200.0]]), torch.ones(1, 2)
    ratio_BT = importance_ratio(new_BT, old_BT, mask_BT)
    assert ratio_BT.flatten().tolist() == pytest.approx([math.exp(20)] * 2)
    found = clipped_objective(new_BT, old_BT, torch.tensor([[0.0, -1.0]]), mask_BT, Clip(dual=None))
    (gradient,) = torch.autograd.grad(found.loss, new_BT)
    assert gradient.eq(0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    half = [tensor.to(dtype) for tensor in torch.randn(3, 4, 6)]
    new_BT, mask_BT = half[0].requires_grad_(), torch.rand(4, 6) > 0.3
    clips = [torch.full((4, 6), 0.2).to(dtype)] * 2
    found = clipped_objective(new_BT, half[1], half[2], mask_BT, Clip(*clips), kl=KlTerm(half[1], 0.1))
    exact = [tensor.detach().double() for tensor in (*half, *clips)]
    expected = clipped_objective(*exact[:3], mask_BT, Clip(*exact[3:]), kl=KlTerm(exact[1], 0.1))
    assert found.loss.dtype == found.loss_BT.dtype == torch.float32
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    assert torch.autograd.grad(found.loss, new_BT)[0].dtype == dtype
    assert {x.dtype for x in adaptive_clip(half[2], 0.2, 0.2, 1.0)} == {torch.float32}
    assert aggregated(half[1], mask_BT).dtype == torch.float32


def test_where_new_and_old_agree_the_gradient_is_that_of_the_advantage() -> None:
    new_BT = torch.tensor([[-1.0, -2.0, -3.0]], dtype=torch.float64, requires_grad=True)
    advantage_BT = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    found = clipped_objective(new_BT, new_BT, advantage_BT, torch.tensor([[1, 1, 0]]))
    gradient, of_advantage = torch.autograd.grad(found.loss, (new_BT, advantage_BT), allow_unused=True)
    assert gradient.tolist() == [[-0.5, 1.0, 0.0]]
    assert of_advantage is None
