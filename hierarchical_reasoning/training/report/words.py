"""What a report calls what was trained, and what that did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Of one kind of training."""

    trained: str
    act: str
    acts: str
    """What a rollout is made of, which the loss is taken on."""
    length: str
    """What `EvaluationRecord.steps` counts."""
    entropy: str
    """What the figure of it shows."""
    always_alike: str
    """What an entropy near 0 says."""
    raise_for_spread: str
    """The flags that make rollouts differ."""
    stronger: str
    """What to take where no rollout is right."""


PLANNER = Words(
    trained="planner",
    act="choice",
    acts="choices",
    length="choices",
    entropy="Of a choice, over the options, in nats at temperature 1. Near 0 the planner always chooses alike.",
    always_alike="The entropy of a choice is {entropy} nats at the end: the planner as good as always chooses alike.",
    raise_for_spread="--num_rollouts_per_prompt or --temperature",
    stronger="a stronger reasoner",
)
LANGUAGE_MODEL = Words(
    trained="model",
    act="token",
    acts="tokens",
    length="characters",
    entropy="Mean −log p of the tokens drawn, in nats at temperature 1: the entropy over the vocabulary, as far as "
    "tokens were drawn at temperature 1 and none were cut off. Near 0 the model as good as always writes the same.",
    always_alike="−log p of the tokens drawn is {entropy} nats on average at the end: the model as good as always "
    "writes the same.",
    raise_for_spread="--num_rollouts_per_prompt, the number of branches or --temperature",
    stronger="a stronger model",
)
