"""From episodes to a gradient: what an optimizer step learns from, in forward passes that fit the memory.

The loss is the mean over the choices of all lessons, wherever they are computed: how they are divided into passes, and
among processes, changes nothing but the rounding. Thoughts are context: no loss is taken on them. Axes: C choices,
O options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hierarchical_reasoning.training.objectives import clipped_choice_loss, tempered
from hierarchical_reasoning.training.packed.prefix_trie import UniqueTokens, sort_key
from hierarchical_reasoning.training.planner.policy import EncodedEpisode, Policy
from hierarchical_reasoning.training.sums import Sums


@dataclass(frozen=True, eq=False)
class Lesson:
    """One episode as the loss sees it."""

    encoded: EncodedEpisode
    old_log_probs_CO: torch.Tensor
    """By the policy that acted, at the temperature it acted at."""
    chosen_C: torch.Tensor
    advantage: float
    reference_log_probs_CO: torch.Tensor | None = None
    """By the policy that the KL holds to, at the same temperature; None: the one that acted."""

    @property
    def n_choices(self) -> int:
        return len(self.chosen_C)


@dataclass(frozen=True)
class LossSettings:
    """What the loss depends on besides lessons and weights."""

    epsilon: float
    kl_coeff: float
    temperature: float
    """That the policy acted at."""


def divide(lessons: Sequence[Lesson], tokens_per_pass: int) -> list[list[Lesson]]:
    """As many lessons to a forward pass as fit, what they share counted once; a longer one has a pass of its own.

    Lessons that begin alike stand together.
    """
    parts: list[list[Lesson]] = []
    in_part = UniqueTokens()
    for lesson in sorted(lessons, key=lambda lesson: sort_key(lesson.encoded.paths[0])):
        in_part.add(lesson.encoded.paths)
        if parts and in_part.count <= tokens_per_pass:
            parts[-1].append(lesson)
        else:
            parts.append([lesson])
            in_part = UniqueTokens()
            in_part.add(lesson.encoded.paths)
    return parts


def pass_loss(
    policy: Policy, part: Sequence[Lesson], settings: LossSettings, *, model: Any | None = None
) -> tuple[torch.Tensor, Sums]:
    """The loss of one forward pass, summed over its choices and differentiable, and what belongs beside it in a log.

    Args:
        model: what wraps the policy's module; None: the module itself.
    """
    at_one_CO = policy.log_probs([lesson.encoded for lesson in part], model)
    new_CO = tempered(at_one_CO, settings.temperature)
    device, dtype = new_CO.device, new_CO.dtype
    old_CO = torch.cat([lesson.old_log_probs_CO for lesson in part]).to(device, dtype)
    held_to = [
        lesson.old_log_probs_CO if lesson.reference_log_probs_CO is None else lesson.reference_log_probs_CO
        for lesson in part
    ]
    chosen_C = torch.cat([lesson.chosen_C for lesson in part]).to(device)
    advantages_C = torch.cat(
        [torch.full(lesson.chosen_C.shape, lesson.advantage, dtype=dtype) for lesson in part]
    )
    result = clipped_choice_loss(
        new_CO,
        old_CO,
        chosen_C,
        advantages_C.to(device),
        epsilon=settings.epsilon,
        kl_coeff=settings.kl_coeff,
        reference_log_probs_CO=torch.cat(held_to).to(device, dtype),
    )
    loss = result.loss_C.sum()
    gap_C = (new_CO.detach() - old_CO).gather(1, chosen_C.unsqueeze(1)).abs()
    sums = Sums(
        loss=float(loss.detach()),
        kl=float(result.kl_C.detach().sum()),
        clipped=float(result.clipped_C.sum()),
        gap=float(gap_C.sum()),
        acts=len(chosen_C),
        count=len(chosen_C),
        tokens=sum(len(lesson.encoded) for lesson in part),
    )
    return loss, sums
