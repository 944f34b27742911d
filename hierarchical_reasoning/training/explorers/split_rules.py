"""Where TreeRPO splits a stream, as pure functions of its tokens and of what could have stood in their place.

Source: spec and public code of TreeRPO (omrisapir1/treerpo). Deviations: whether text ends in a delimiter is asked of
its last token, so that a cut lies between tokens; a place in which no other token is possible is no place to split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hierarchical_reasoning.training.explorers.settings import EntropyTreeSettings

Top = Sequence[tuple[int, float]]
"""The likeliest tokens in a place, as (id, log probability), likeliest first."""


def topk_entropy(top: Top) -> float:
    """Nats, of these tokens alone: their probabilities are renormalised."""
    if not top:
        return 0.0
    most = max(log_prob for _, log_prob in top)
    weights = [math.exp(log_prob - most) for _, log_prob in top]
    total = sum(weights)
    return -sum(weight / total * math.log(weight / total) for weight in weights if weight > 0)


def alternative(top: Top, drawn: int, temperature: float, uniform: float) -> int | None:
    """Another token than the one drawn, in proportion to p^(1/temperature), the likeliest at temperature 0; None where
    no other is possible.

    :param uniform: in [0, 1), what it is picked by.
    """
    others = [(token, log_prob) for token, log_prob in top if token != drawn and log_prob > -math.inf]
    if not others:
        return None
    if temperature == 0:
        return max(others, key=lambda pair: pair[1])[0]
    most = max(log_prob for _, log_prob in others)
    weights = [math.exp((log_prob - most) / temperature) for _, log_prob in others]
    target = uniform * sum(weights)
    for (token, _), weight in zip(others, weights, strict=True):
        target -= weight
        if target < 0:
            return token
    return others[-1][0]


def is_split(
    tokens: Sequence[int],
    at: int,
    *,
    start: int,
    depth: int,
    top: Top,
    settings: EntropyTreeSettings,
    ends_in_delimiter: Callable[[int], bool],
) -> bool:
    """Whether the segment that begins at `start` is split before `tokens[at]`: all of these hold.

    - The entropy of that token's place, over the likeliest `entropy_topk`, exceeds `entropy_threshold`.
    - The segment is at a depth below `max_depth`.
    - It has `min_segment_len` tokens or more before `at`, the first of which may have been forced.
    - The text before ends in a delimiter, and the token itself does not.
    """
    return (
        depth < settings.max_depth
        and at - start >= settings.min_segment_len
        and ends_in_delimiter(tokens[at - 1])
        and not ends_in_delimiter(tokens[at])
        and topk_entropy(top[: settings.entropy_topk]) > settings.entropy_threshold
    )


def coverage_cut(
    tokens: Sequence[int],
    settings: EntropyTreeSettings,
    text: Callable[[Sequence[int]], str],
    ends_in_delimiter: Callable[[int], bool],
) -> int | None:
    """How many tokens of a finished segment stay when it is cut back: up to the last delimiter that leaves
    `coverage_min_chars` characters or more behind it, if `min_segment_len` characters or more stay; else None."""
    if settings.coverage_children_max == 0:
        return None
    for cut in range(len(tokens) - 1, 0, -1):
        if ends_in_delimiter(tokens[cut - 1]) and len(text(tokens[cut:])) >= settings.coverage_min_chars:
            return cut if len(text(tokens[:cut])) >= settings.min_segment_len else None
    return None
