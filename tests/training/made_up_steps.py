"""Episodes for an update, with ratios that were chosen; as plain steps and as lessons."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from plain_grpo import Step, Turns

from hierarchical_reasoning.training.objectives import tempered
from hierarchical_reasoning.training.planner.policy import Decision, EncodedEpisode, Policy
from hierarchical_reasoning.training.planner.update import Lesson, LossSettings, divide, pass_loss
from hierarchical_reasoning.training.sums import Sums
from llm_backends import Message

LABELS = ("Check", "Check the", "check", "检", "Finish thinking")
EPSILON, KL_COEFF = 0.2, 0.3
_N_CHOICES = (3, 1, 2, 2)
_ADVANTAGES = (0.75, -0.3, 1 / 3, -1.25)
_RATIOS = (1.5, 1 + EPSILON + 1e-4, 1 - EPSILON - 1e-4, 0.5, 1.0, 1 + EPSILON - 1e-4, 0.5, 1 - EPSILON + 1e-4)
"""On both sides of the bounds, for advantages of both signs."""


def _conversations() -> Iterator[list[Turns]]:
    """What each choice of an episode is asked with: conversations that grow, of different lengths."""
    rng = random.Random(3)
    for n_choices in _N_CHOICES:
        turns = [("user", f"The sum of {rng.randint(1, 9)}. Which comes next?")]
        asked: list[Turns] = []
        for _ in range(n_choices):
            asked.append(list(turns))
            thought = " ".join(rng.choices(("the", "king", "sum", "two"), k=rng.randint(1, 6)))
            turns += [("assistant", rng.choice(LABELS)), ("user", thought), ("user", "Which comes next?")]
        yield asked


def encode(policy: Policy, prompts: Sequence[Turns]) -> EncodedEpisode:
    return policy.encode(
        [Decision(tuple(Message(*turn) for turn in turns), LABELS) for turns in prompts]  # type: ignore[arg-type]
    )


@torch.no_grad()
def made_up_steps(
    policy: Policy, temperature: float, *, held_to: str = "old", model: Any = None
) -> list[list[Step]]:
    """Episodes of choices; the probabilities of the policy that acted are made up, so that the ratios are `_RATIOS`.

    Args:
        held_to: what the KL is to: "old", a "reference", or "some", which is a reference for every other episode.
    """
    ratios = iter(_RATIOS)
    episodes = []
    for number, (asked, advantage) in enumerate(zip(_conversations(), _ADVANTAGES, strict=True)):
        new_CO = tempered(policy.log_probs([encode(policy, asked)], model), temperature)
        has_reference = held_to == "reference" or (held_to == "some" and number % 2 == 1)
        steps = []
        for turns, log_probs_O in zip(asked, new_CO, strict=True):
            ratio, new = next(ratios), log_probs_O.exp().tolist()
            chosen = max((option for option, p in enumerate(new) if p < 0.9 * ratio), key=lambda o: new[o])
            old_p = new[chosen] / ratio
            rest = 1 - new[chosen]
            old = [
                math.log(old_p if option == chosen else p * (1 - old_p) / rest)
                for option, p in enumerate(new)
            ]
            reference = log_probs_O.flip(-1).tolist() if has_reference else None
            steps.append(Step(turns, LABELS, chosen, advantage, old, reference))
        episodes.append(steps)
    return episodes


def lesson(policy: Policy, steps: Sequence[Step]) -> Lesson:
    references = [step.held_to for step in steps if step.held_to is not None]
    return Lesson(
        encode(policy, [step.turns for step in steps]),
        torch.tensor([step.old for step in steps], dtype=torch.float64),
        torch.tensor([step.chosen for step in steps]),
        steps[0].advantage,
        torch.tensor(references, dtype=torch.float64) if references else None,
    )


def updated(
    policy: Policy, lessons: Sequence[Lesson], temperature: float, tokens_per_pass: int, model: Any = None
) -> tuple[Sums, dict[str, torch.Tensor], int]:
    """Sums, gradients of the mean loss, and how many passes it took."""
    trained = policy.module if model is None else model
    trained.zero_grad()
    totals, parts = Sums(), divide(lessons, tokens_per_pass)
    choices = sum(lesson.n_choices for lesson in lessons)
    for part in parts:
        loss, found = pass_loss(policy, part, LossSettings(EPSILON, KL_COEFF, temperature), model=model)
        (loss / choices).backward()
        totals += found
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in trained.named_parameters()
        if p.requires_grad
    }
    trained.zero_grad()
    return totals, gradients, len(parts)


def farthest(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest difference within a tensor, relative to its largest gradient. A gradient that is zero by symmetry, as
    that of a key's bias, is rounding alone: it is compared with the largest of all."""
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 1e-3
    return max(
        float((found[name] - gradient).abs().max()) / max(float(gradient.abs().max()), 1e-3 * largest)
        for name, gradient in expected.items()
    )
