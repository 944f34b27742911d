"""Several of a planner's options at once."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping


def draw_options(
    probabilities: Mapping[str, float], n: int, temperature: float, uniform: Callable[[str], float]
) -> tuple[str, ...]:
    """At most `n` different options, in the order of drawing: without replacement, in proportion to p^(1/temperature).

    By Gumbel top-k (Vieira 2014; Kool et al. 2019): the largest of log p / temperature + G, with G = -log(-log u). Each
    option has a number of its own, so that a draw does not depend on their order, and fewer are the first of more.

    Args:
        probabilities: an option that is not possible, or not known, is not drawn.
        temperature: 0: the likeliest.
        uniform: of each option, a number in [0, 1).
    """

    def key(name: str) -> float:
        log_p = math.log(probabilities[name])
        if temperature == 0:
            return log_p
        gumbel = -math.log(-math.log(max(uniform(name), sys.float_info.min)))
        return log_p / temperature + gumbel

    keys = {name: key(name) for name, probability in probabilities.items() if probability > 0}
    return tuple(sorted(keys, key=lambda name: (-keys[name], name))[:n])


def draw_with_replacement(
    probabilities: Mapping[str, float],
    n: int,
    temperature: float,
    uniform: Callable[[int], Callable[[str], float]],
) -> tuple[str, ...]:
    """`n` independent draws: an option may come again, and does where it is likely. Otherwise as `draw_options`.

    Args:
        uniform: by the number of the draw, as of `draw_options`.
    """
    draws = (draw_options(probabilities, 1, temperature, uniform(draw)) for draw in range(n))
    return tuple(name for drawn in draws for name in drawn)
