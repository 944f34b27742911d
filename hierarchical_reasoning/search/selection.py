"""Which answer a search gives, of those in its tree."""

from __future__ import annotations

import math
import random

from hierarchical_reasoning.search.grown import Answer, Grown
from hierarchical_reasoning.search.settings import Selection


def best_answer(grown: Grown) -> Answer | None:
    """The live answer of the highest total, which ends the best path; one in which no answer was found only where there
    is no other. The earliest, where totals are equal; None without any."""
    return max(grown.live_answers, key=lambda answer: _rank(grown, answer), default=None)


def weights_of_answers(grown: Grown) -> dict[str, float]:
    """Of each answer that was found, the totals of the live nodes that give it, added up."""
    found: dict[str, list[float]] = {}
    for answer in grown.live_answers:
        if answer.ballot is not None:
            found.setdefault(answer.ballot, []).append(grown.scores(answer.id).total)
    return {ballot: math.fsum(totals) for ballot, totals in found.items()}


def selected(grown: Grown, by: Selection, *, seed: str) -> Answer | None:
    """The answer that a search gives; None without any.

    ``best_path``: see `best_answer`. ``vote``: of the answer with the greatest weight, the one of the highest total;
    ties are drawn.

    Args:
        seed: draws among answers of equal weight.
    """
    weights = weights_of_answers(grown)
    if by == "best_path" or not weights:
        return best_answer(grown)
    most = max(weights.values())
    won = random.Random(seed).choice(sorted(ballot for ballot, weight in weights.items() if weight == most))
    of_winner = [answer for answer in grown.live_answers if answer.ballot == won]
    return max(of_winner, key=lambda answer: _rank(grown, answer))


def _rank(grown: Grown, answer: Answer) -> tuple[bool, bool, float, int]:
    return answer.is_proven, answer.ballot is not None, grown.scores(answer.id).total, -answer.id
