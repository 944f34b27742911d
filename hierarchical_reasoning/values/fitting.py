"""A value head from pairs that are all there already, with problems held back to stop early and to calibrate by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.values.base import Place, check_rewards
from hierarchical_reasoning.values.calibration import Calibration
from hierarchical_reasoning.values.head import ValueHead
from hierarchical_reasoning.values.learned import LearnedValue
from hierarchical_reasoning.values.pairs import LEAST_PAIRS, Pairs
from hierarchical_reasoning.values.predictions import best_temperature, cross_entropy, sigmoid
from hierarchical_reasoning.values.settings import HeadSettings

if TYPE_CHECKING:
    from hierarchical_reasoning.values.encoders.base import Encoder, Vectors

N_ROUNDS = 12
"""Calls of `ValueHead.learn`, the best of which is kept."""


@dataclass(frozen=True)
class Fitted:
    """A head, and how good it is on the problems that were held back."""

    estimator: LearnedValue
    rounds: int
    """After how many the loss on what was held back was least."""
    temperature: float
    before: Calibration
    """With the temperature 1."""
    after: Calibration
    """With the temperature found. It was chosen on these very pairs, as was the round: what is to be reported is
    measured on others."""
    n_train: int
    n_validation: int


async def fit(
    places: Sequence[Place],
    rewards: Sequence[float],
    encoder: Encoder,
    settings: HeadSettings | None = None,
    *,
    validation_share: float = 0.2,
) -> Fitted:
    """Fit a head on most problems; hold back the others, whole, since places of one problem are alike.

    Args:
        rewards: in [0, 1].
        settings: with `max_pairs` for no fewer pairs than there are; the others would be forgotten.
        validation_share: of the problems, at least one.

    Raises:
        ConfigError: too few pairs or problems to fit and hold back, or `max_pairs` is too small.
        ValueError: a reward is not in [0, 1], or there are not as many as places.
    """
    check_rewards(places, rewards)
    if not 0.0 < validation_share < 1.0:
        raise ConfigError(f"validation_share is {validation_share}; it must be more than 0 and less than 1")
    settings = settings or replace(HeadSettings(), max_pairs=max(LEAST_PAIRS, len(places)))
    apart_N = held_back([place.problem.text for place in places], validation_share, settings.seed)
    rewards_N = np.array(rewards, dtype=np.float64)
    n_train = int((~apart_N).sum())
    if n_train > settings.max_pairs:
        raise ConfigError(
            f"a value head is to be fitted to {n_train} pairs, and max_pairs is {settings.max_pairs}"
        )
    learned_N = rewards_N[~apart_N]
    if n_train < LEAST_PAIRS or (learned_N == learned_N[0]).all():
        raise ConfigError(
            f"a value head needs {LEAST_PAIRS} pairs whose rewards are not all the same; there are {n_train}, with "
            f"rewards from {learned_N.min():g} to {learned_N.max():g}"
        )
    vectors = await encoder.encode(places)
    pairs = Pairs(settings)
    pairs.add(vectors[~apart_N], learned_N)
    head, rounds = _best_of_rounds(pairs, vectors[apart_N], rewards_N[apart_N], settings)
    logits_MN = head.logits(vectors[apart_N])
    head.temperature = best_temperature(logits_MN, rewards_N[apart_N])
    came = rewards_N[apart_N].tolist()
    return Fitted(
        estimator=LearnedValue.of(encoder, head, pairs, [place.problem for place in places]),
        rounds=rounds,
        temperature=head.temperature,
        before=Calibration.of(sigmoid(logits_MN).mean(axis=0).tolist(), came),
        after=Calibration.of([estimate.value for estimate in head.estimates(logits_MN)], came),
        n_train=n_train,
        n_validation=len(came),
    )


def _best_of_rounds(
    pairs: Pairs,
    vectors: Vectors,
    rewards: NDArray[np.float64],
    settings: HeadSettings,
) -> tuple[ValueHead, int]:
    """The head with the least loss on the pairs held back, and after how many rounds that was."""
    head = ValueHead(vectors.shape[1], settings)
    found: list[tuple[float, int, ValueHead]] = []
    for round_ in range(1, N_ROUNDS + 1):
        head.learn(pairs)
        logits_MN = head.logits(vectors)
        loss = cross_entropy(logits_MN, rewards, best_temperature(logits_MN, rewards))
        if not found or loss < found[-1][0]:
            found.append((loss, round_, head.copy()))
    _, rounds, best = found[-1]
    return best, rounds


def held_back(problems: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Whether each of these is held back; it is problems, drawn with the seed, that are, wherever they stand.

    Args:
        share: more than 0 and less than 1.

    Raises:
        ConfigError: there is but one problem.
    """
    distinct = list(dict.fromkeys(problems))
    if len(distinct) < 2:
        raise ConfigError(
            f"a value head is fitted on some problems and checked on others; there are {len(distinct)}, and 2 are the "
            "fewest"
        )
    n_held_back = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    drawn = np.random.default_rng(seed).permutation(len(distinct))[:n_held_back]
    chosen = {distinct[index] for index in drawn}
    return np.array([problem in chosen for problem in problems], dtype=np.bool_)
