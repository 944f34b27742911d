"""What the packed loss is held against: one path a row, batch 1, token after token, as the formulas have it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hierarchical_reasoning.trees import ReasoningTree


@dataclass(frozen=True)
class Row:
    """A sequence that has one advantage."""

    tokens: list[int]
    """From the first of the prompt."""
    drawn: list[int]
    """Their places."""
    advantage: float


@dataclass(frozen=True)
class Objective:
    temperature: float = 1.0
    aggregation: str = "token-mean"
    horizon: int = 100
    low: float = 0.2
    high: float = 0.2
    dual: float = 3.0
    kl: float = 0.0
    alpha: float | None = None
    beta: float | None = None
    pivot: float = 0.8


@dataclass(frozen=True)
class Result:
    loss: torch.Tensor
    clipped: int
    dual_clipped: int
    redistributed: int
    kl: float
    """Mean."""


def rows_of_paths(tree: ReasoningTree, estimator: str) -> list[Row]:
    """Outcome credit."""
    leaves = [leaf for leaf, reward in tree.rewards().items() if reward is not None]
    drawn = [_drawn(tree, leaf, tree.path(leaf)) for leaf in leaves]
    rewards = [float(tree.rewards()[leaf] or 0.0) for leaf in leaves]
    advantages = _advantages(rewards, [len(places) for places in drawn], estimator)
    return [
        Row(list(tree.path_tokens(leaf)), places, advantage)
        for leaf, places, advantage in zip(leaves, drawn, advantages, strict=True)
    ]


def rows_of_nodes(tree: ReasoningTree, estimator: str = "centred") -> list[Row]:
    """Credit by the mean over descendant leaves."""
    rows = []
    for parent in tree.nodes:
        graded = [
            (child, [r for leaf in tree.descendant_leaves(child) if (r := tree.rewards()[leaf]) is not None])
            for child in tree.children(parent)
        ]
        graded = [(child, rewards) for child, rewards in graded if rewards]
        means = [sum(rewards) / len(rewards) for _, rewards in graded]
        drawn = [_drawn(tree, child, [child]) for child, _ in graded]
        advantages = _advantages(means, [len(places) for places in drawn], estimator)
        for (child, _), places, advantage in zip(graded, drawn, advantages, strict=True):
            rows.append(Row(list(tree.path_tokens(child)), places, advantage))
    return rows


def plain_loss(new: Any, old: Any, start: Any, rows: Sequence[Row], objective: Objective) -> Result:
    rows = [row for row in rows if row.drawn]
    before = [_scored(old, row, objective.temperature) for row in rows]
    held_to = [_scored(start, row, objective.temperature) for row in rows]
    h_hat = _h_hat([entropies for _, entropies in before], objective.pivot)
    counts = {"clipped": 0, "dual": 0, "redistributed": 0}
    divergence = 0.0
    totals: list[torch.Tensor] = []
    for row, (olds, _), (references, _), hats in zip(rows, before, held_to, h_hat, strict=True):
        news, _ = _scored(new, row, objective.temperature, grad=True)
        losses = []
        for log_p, old_log_p, reference, hat in zip(news, olds, references, hats, strict=True):
            ratio = (log_p - old_log_p).exp()
            low, high = objective.low, objective.high
            if objective.alpha is not None and hat > 0:
                high = high * (1 + objective.alpha * hat)
            elif objective.alpha is not None:
                low = low * (1 - objective.alpha * hat)
            advantage = row.advantage
            if objective.beta is not None:
                neutral = 1 - low / 2 < float(ratio.detach()) < 1 + high / 2
                if neutral != (hat > 0):
                    advantage *= 1 + objective.beta * hat
                    counts["redistributed"] += hat != 0
            loss = torch.maximum(-ratio * advantage, -ratio.clamp(1 - low, 1 + high) * advantage)
            counts["clipped"] += bool((loss > -ratio * advantage).detach())
            if advantage < 0 and float(loss.detach()) > -objective.dual * advantage:
                counts["dual"] += 1
                loss = torch.zeros_like(loss) - objective.dual * advantage
            k3 = (reference - log_p).exp() - 1 - (reference - log_p)
            divergence += float(k3.detach())
            losses.append(loss + objective.kl * k3)
        total = torch.stack(losses).sum()
        if objective.aggregation == "seq-mean-token-mean":
            total = total / len(losses)
        elif objective.aggregation == "seq-mean-token-sum-norm":
            total = total / objective.horizon
        totals.append(total)
    n_tokens = sum(len(row.drawn) for row in rows)
    by = n_tokens if objective.aggregation == "token-mean" else len(rows)
    return Result(
        torch.stack(totals).sum() / by,
        counts["clipped"],
        counts["dual"],
        counts["redistributed"],
        divergence / n_tokens,
    )


def gradient_of(module: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    module.zero_grad()
    loss.backward()
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in module.named_parameters()
    }
    module.zero_grad()
    return found


def farthest(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest difference within a tensor, relative to its largest gradient; where that is nearly 0, to a thousandth
    of the largest of all."""
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 1e-6
    return max(
        float((found[name] - gradient).abs().max()) / max(float(gradient.abs().max()), 1e-3 * largest)
        for name, gradient in expected.items()
    )


def _drawn(tree: ReasoningTree, last: int, nodes: Sequence[int]) -> list[int]:
    places, at = [], 0
    for node_id in tree.path(last):
        node = tree.node(node_id)
        if node_id in nodes:
            places += range(at + node.given, at + len(node.tokens))
        at += len(node.tokens)
    return places


def _scored(
    module: Any, row: Row, temperature: float, *, grad: bool = False
) -> tuple[list[torch.Tensor], list[float]]:
    with torch.set_grad_enabled(grad):
        logits_TV = module(input_ids=torch.tensor([row.tokens]), use_cache=False).logits[0]
        tempered_TV = (logits_TV / temperature).log_softmax(-1)
        log_probs = [tempered_TV[place - 1, row.tokens[place]] for place in row.drawn]
    p_TV = logits_TV.detach().softmax(-1)
    return log_probs, [-float((p_TV[place - 1] * p_TV[place - 1].log()).sum()) for place in row.drawn]


def _h_hat(entropies: Sequence[Sequence[float]], pivot: float) -> list[list[float]]:
    logs = [[math.log(max(entropy, 1e-6)) for entropy in row] for row in entropies]
    everything = sorted(log for row in logs for log in row)
    middle = everything[round(pivot * (len(everything) - 1))]
    s = math.sqrt(statistics.fmean((log - middle) ** 2 for log in everything))
    most, least = (max(everything) - middle) / s, abs(min(everything) - middle) / s

    def scaled(log: float) -> float:
        h = (log - middle) / s
        return h / most if h > 0 else h / least if h < 0 else 0.0

    return [[scaled(log) for log in row] for row in logs]


def _advantages(rewards: list[float], lengths: list[int], estimator: str) -> list[float]:
    if len(rewards) < 2 or max(rewards) == min(rewards):
        return [0.0] * len(rewards)
    if estimator == "hapo":
        tokens = [reward for reward, length in zip(rewards, lengths, strict=True) for _ in range(length)]
        mean, std = statistics.fmean(tokens), statistics.pstdev(tokens)
        found = [(reward - mean) / (std + 1e-6) for reward in rewards]
        assert max(map(abs, found)) < 5, "the fallback has tests of its own"
        return found
    mean = statistics.fmean(rewards)
    std = statistics.pstdev(rewards) if estimator == "scaled" else 1.0
    return [(reward - mean) / std for reward in rewards]
