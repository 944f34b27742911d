"""The planner's policy and its loss, written out slowly: no caches, no masks, no batches, nothing of the project.

A label's probability is the product, over its tokens and the one that ends it, of the softmax over the tokens that
still lead to some label. Each prefix of a label takes a forward pass of its own, on the whole of its sequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tiny_planners import END_OF_TURN

Turns = Sequence[tuple[str, str]]
"""Role and content."""
Numbers = Sequence[float]


@dataclass(frozen=True)
class Step:
    """One choice of an episode."""

    turns: Turns
    labels: Sequence[str]
    chosen: int
    advantage: float
    old: Numbers
    """Log probabilities by the policy that acted, at the temperature it acted at."""
    held_to: Numbers | None = None
    """Of the policy that the KL is to; None: the one that acted."""


def prompt_ids(tokenizer: Any, turns: Turns) -> list[int]:
    conversation = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def label_ids(tokenizer: Any, label: str) -> list[int]:
    ids: list[int] = tokenizer(label, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.convert_tokens_to_ids(END_OF_TURN)]


def log_probs(
    model: Callable[..., Any], tokenizer: Any, turns: Turns, labels: Sequence[str]
) -> list[torch.Tensor]:
    """Of each label, at temperature 1; differentiable."""
    prompt = prompt_ids(tokenizer, turns)
    certain = torch.zeros((), dtype=torch.float64)
    sequences = [label_ids(tokenizer, label) for label in labels]
    after: dict[tuple[int, ...], dict[int, torch.Tensor]] = {}
    for sequence in sequences:
        for length in range(len(sequence)):
            before = tuple(sequence[:length])
            if before in after:
                continue
            open_tokens = sorted({other[length] for other in sequences if tuple(other[:length]) == before})
            if len(open_tokens) == 1:
                after[before] = {open_tokens[0]: certain}
                continue
            logits_V = model(input_ids=torch.tensor([[*prompt, *before]]), use_cache=False).logits[0, -1]
            at_open = logits_V[open_tokens].log_softmax(0)
            after[before] = dict(zip(open_tokens, at_open, strict=True))
    return [
        torch.stack([after[tuple(sequence[:place])][token] for place, token in enumerate(sequence)]).sum()
        for sequence in sequences
    ]


def at_temperature(log_probs_O: Sequence[torch.Tensor], temperature: float) -> list[torch.Tensor]:
    """log of p^(1/T), made to sum to 1 again."""
    powers = [(log_prob / temperature).exp() for log_prob in log_probs_O]
    total = torch.stack(powers).sum()
    return [(power / total).log() for power in powers]


def step_loss(
    new: Sequence[torch.Tensor], step: Step, *, epsilon: float, kl_coeff: float
) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Loss, KL, and whether the clip took the gradient of the advantage away."""
    ratio = (new[step.chosen] - step.old[step.chosen]).exp()
    at_ratio = float(ratio.detach())
    bounded = min(max(at_ratio, 1 - epsilon), 1 + epsilon)
    clipped = bounded * step.advantage < at_ratio * step.advantage
    gain = bounded * step.advantage if clipped else ratio * step.advantage
    held_to = step.old if step.held_to is None else step.held_to
    kl = torch.stack([math.exp(h) * (h - n) for h, n in zip(held_to, new, strict=True)]).sum()
    return kl_coeff * kl - gain, kl, clipped


@dataclass(frozen=True)
class Result:
    """Means over the steps, and the gradient of the mean loss."""

    loss: float
    kl: float
    clipped: float
    gap: float
    """|log ratio|."""
    gradients: dict[str, torch.Tensor]


def update(
    model: Any,
    tokenizer: Any,
    steps: Sequence[Step],
    *,
    temperature: float,
    epsilon: float,
    kl_coeff: float,
) -> Result:
    """Step by step; gradients of the parameters that are trained."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    loss = kl = clipped = gap = 0.0
    for step in steps:
        new = at_temperature(log_probs(model, tokenizer, step.turns, step.labels), temperature)
        step_value, step_kl, step_clipped = step_loss(new, step, epsilon=epsilon, kl_coeff=kl_coeff)
        found = torch.autograd.grad(step_value / len(steps), list(named.values()))
        for name, gradient in zip(named, found, strict=True):
            gradients[name] += gradient
        loss += float(step_value.detach()) / len(steps)
        kl += float(step_kl.detach()) / len(steps)
        clipped += step_clipped / len(steps)
        gap += abs(float(new[step.chosen].detach()) - step.old[step.chosen]) / len(steps)
    return Result(loss, kl, clipped, gap, gradients)
