"""How many children a node gets, and which: the options of the planner that are followed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.planners.base import Choice
from hierarchical_reasoning.planners.option_draws import draw_options, draw_with_replacement
from hierarchical_reasoning.search.grown import Grown
from hierarchical_reasoning.search.settings import SearchSettings
from hierarchical_reasoning.trace import FINISH


@dataclass(frozen=True)
class Branch:
    """One child that is to be made."""

    name: str
    """Of its thought type, or "Finish thinking"."""
    prior: float | None = None
    """The planner's probability of it."""
    copy: int = 0
    """Which of several children of this type it is."""
    choice: Choice | None = None
    """What it was drawn from; None where no planner was asked."""


def width(grown: Grown, node: int, settings: SearchSettings) -> int:
    """Children of a node: 1 + round((branching_factor - 1) · clamp(promise + 2 uncertainty, 0, 1)).

    So a node gets all where it promises much, or nothing is known of it, and one where it surely leads nowhere.
    """
    most = settings.branching_factor
    if settings.fixed_branching:
        return most
    return 1 + round((most - 1) * min(1.0, max(0.0, grown.exploration(node))))


def drawn(
    choice: Choice, n: int, temperature: float, uniform: Callable[[str], float], *, repeat_types: bool
) -> list[Branch]:
    """At most `n` options, by a planner's probabilities; other arguments as of `draw_options`.

    Args:
        repeat_types: a thought type may come again, for another sample of the thought.
    """
    assert choice.probabilities is not None, "drawn from probabilities"
    probabilities = choice.probabilities
    if not repeat_types:
        names = draw_options(probabilities, n, temperature, uniform)
        return [Branch(name, probabilities[name], choice=choice) for name in names]
    found: dict[tuple[str, int], Branch] = {}
    copies = Counter[str]()
    draws = draw_with_replacement(
        probabilities, n, temperature, lambda draw: lambda name: uniform(f"{name}#{draw}")
    )
    for name in draws:
        copy = 0 if name == FINISH else copies[name]
        copies[name] += 1
        found[name, copy] = Branch(name, probabilities[name], copy, choice)
    return list(found.values())


def chosen(choices: Sequence[Choice], *, repeat_types: bool) -> list[Branch]:
    """The options that a planner without probabilities chose when it was asked several times, each once, or as often
    as it was chosen; how often it chose one stands for its probability."""
    counts = Counter(choice.name for choice in choices)
    copies = Counter[str]()
    found = []
    for choice in choices:
        copy, name = copies[choice.name], choice.name
        copies[name] += 1
        if not copy or (repeat_types and name != FINISH):
            found.append(Branch(name, counts[name] / len(choices), copy, choice))
    return found


def uniform_numbers(*place: object) -> Callable[[str], float]:
    """Of each option, a number in [0, 1) that depends on the place and its name alone."""
    before = "/".join(map(str, place))
    return lambda name: random.Random(f"{before}/{name}").random()
