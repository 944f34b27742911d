"""Rewards to advantages within groups: pure functions of arrays, in float64.

A group is the set of rows that are compared with each other. In every estimator a group of one, and one whose rewards
are all equal, has advantages of exactly 0: it teaches nothing. r reward, A advantage; axes: B rows, G rows of a group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

_SMALLEST_STD = 1e-6
_EPSILON = 1e-6
"""HAPO's and verl's, added to the standard deviation."""
_TOO_LARGE = 5.0
"""An advantage of this size or more has its group fall back, as HAPO's code has it."""


class Estimator(Protocol):
    """How rewards become advantages."""

    def __call__(self, rewards_B: Floats, lengths_B: Integers, group_B: Integers) -> Floats:
        """(B,) advantages.

        Args:
            rewards_B: of each row.
            lengths_B: how many tokens of each row are trained.
            group_B: the group of each row, any integers.
        """


def centred(rewards_B: Floats, lengths_B: Integers, group_B: Integers) -> Floats:
    """A = r - mean (TreeRPO; GRPO without division by the standard deviation)."""
    return _within_groups(rewards_B, lengths_B, group_B, lambda rewards_G, _: rewards_G - rewards_G.mean())


def scaled(rewards_B: Floats, lengths_B: Integers, group_B: Integers) -> Floats:
    """A = (r - mean) / max(std, 1e-6), population standard deviation: `objectives.group_advantage`, ``mean``."""

    def of_group(rewards_G: Floats, lengths_G: Integers) -> Floats:
        std = max(float(rewards_G.std()), _SMALLEST_STD)
        return np.asarray((rewards_G - rewards_G.mean()) / std, dtype=np.float64)

    return _within_groups(rewards_B, lengths_B, group_B, of_group)


def token_level(
    rewards_B: Floats, lengths_B: Integers, group_B: Integers, *, norm_by_std: bool = True
) -> Floats:
    """HAPO's token-level group average: A = (r - mean) / (std + 1e-6), or r - mean.

    Mean and population standard deviation are over all trained tokens of the group, so a row counts as often as it has
    tokens. Where any |A| is 5 or more, the whole group has GRPO's advantage instead, over its rows: (r - mean) /
    (std + 1e-6), unbiased standard deviation, or r - mean.

    Deviations from the code published with HAPO: a row without trained tokens does not decide whether its group falls
    back; groups without spread among the rows that have tokens have exactly 0, as everywhere here.

    Args:
        rewards_B: as in every estimator, as the two that follow.
        lengths_B: of each row.
        group_B: of each row.
        norm_by_std: whether to divide by the standard deviation.
    """

    def of_group(rewards_G: Floats, lengths_G: Integers) -> Floats:
        trained_G = lengths_G > 0
        if not _has_spread(rewards_G[trained_G]):
            return np.zeros_like(rewards_G)
        mean = np.average(rewards_G, weights=lengths_G)
        std = np.sqrt(np.average((rewards_G - mean) ** 2, weights=lengths_G))
        advantages_G = _normalised(rewards_G, mean, std, norm_by_std)
        if np.abs(advantages_G[trained_G]).max() < _TOO_LARGE:
            return advantages_G
        return _normalised(rewards_G, rewards_G.mean(), rewards_G.std(ddof=1), norm_by_std)

    return _within_groups(rewards_B, lengths_B, group_B, of_group)


def _normalised(rewards_G: Floats, mean: float, std: float, norm_by_std: bool) -> Floats:
    centred_G = rewards_G - mean
    return centred_G / (std + _EPSILON) if norm_by_std else centred_G


def _within_groups(
    rewards_B: Floats,
    lengths_B: Integers,
    group_B: Integers,
    of_group: Callable[[Floats, Integers], Floats],
) -> Floats:
    """Each group's advantages by `of_group`; 0 where there is no spread."""
    advantages_B = np.zeros(len(rewards_B), dtype=np.float64)
    if not len(rewards_B):
        return advantages_B
    order_B = np.argsort(group_B, kind="stable")
    starts = np.flatnonzero(np.diff(group_B[order_B])) + 1
    for rows_G in np.split(order_B, starts):
        if _has_spread(rewards_B[rows_G]):
            advantages_B[rows_G] = of_group(rewards_B[rows_G], lengths_B[rows_G])
    return advantages_B


def _has_spread(rewards_G: Floats) -> bool:
    return len(rewards_G) > 1 and bool(rewards_G.max() > rewards_G.min())
