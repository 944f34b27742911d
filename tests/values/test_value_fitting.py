"""Heads fitted to pairs that are all there: some problems are held back, and say how good the head is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_places import ReadsNumbers, exclusive_or

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.values import Calibration, HeadSettings
from hierarchical_reasoning.values.fitting import N_ROUNDS, fit
from hierarchical_reasoning.values.predictions import best_temperature, cross_entropy, sigmoid

SETTINGS = HeadSettings(hidden_size=32, n_models=3, max_pairs=400)


async def test_fits_holds_whole_problems_back_and_calibrates() -> None:
    places, rewards = exclusive_or(400, seed=1, n_problems=40)
    fitted = await fit(places, rewards, ReadsNumbers(), SETTINGS, validation_share=0.25)
    assert (fitted.n_train, fitted.n_validation) == (300, 100)
    assert 1 <= fitted.rounds <= N_ROUNDS
    assert fitted.after.n == 100
    unseen, came = exclusive_or(300, seed=2)
    values = [estimate.value for estimate in await fitted.estimator.estimate(unseen)]
    assert np.mean([(value > 0.5) == (c > 0.5) for value, c in zip(values, came, strict=True)]) > 0.75
    assert Calibration.of(values, came).brier < 0.2
    again = await fit(places, rewards, ReadsNumbers(), SETTINGS, validation_share=0.25)
    assert (again.after, again.temperature) == (fitted.after, fitted.temperature)


async def test_goes_on_learning_from_what_it_was_fitted_to() -> None:
    places, rewards = exclusive_or(400, seed=1, n_problems=40)
    fitted = await fit(places, rewards, ReadsNumbers(), SETTINGS)
    estimator, temperature = fitted.estimator, fitted.temperature
    unseen, came = exclusive_or(200, seed=3)
    before = [estimate.value for estimate in await estimator.estimate(unseen)]
    more, more_rewards = exclusive_or(20, seed=4)
    await estimator.learn(more, more_rewards)
    after = [estimate.value for estimate in await estimator.estimate(unseen)]
    assert estimator.copy()._head.temperature == temperature  # type: ignore[union-attr]
    assert before != after
    assert Calibration.of(after, came).brier < Calibration.of(before, came).brier + 0.05


@pytest.mark.parametrize(
    ("n", "n_problems", "share", "max_pairs", "said"),
    [
        (40, 1, 0.2, 400, "2 are the fewest"),
        (8, 4, 0.5, 400, "needs 8 pairs"),
        (40, 4, 1.0, 400, "validation_share is 1.0"),
        (100, 4, 0.25, 50, "max_pairs is 50"),
    ],
)
async def test_what_cannot_be_fitted_is_said(
    n: int, n_problems: int, share: float, max_pairs: int, said: str
) -> None:
    places, rewards = exclusive_or(n, seed=1, n_problems=n_problems)
    settings = replace(SETTINGS, max_pairs=max_pairs)
    encoder = ReadsNumbers()
    with pytest.raises(ConfigError, match=said):
        await fit(places, rewards, encoder, settings, validation_share=share)
    assert not encoder.encoded  # which may be dear


def test_the_temperature_found_is_the_one_that_made_logits_too_large() -> None:
    draws = np.random.default_rng(0)
    logits_MN = draws.normal(size=(1, 4000))
    rewards = (draws.random(4000) < sigmoid(logits_MN[0])).astype(float)
    assert best_temperature(logits_MN, rewards) == pytest.approx(1.0, abs=0.1)
    assert best_temperature(4 * logits_MN, rewards) == pytest.approx(4.0, abs=0.4)
    assert cross_entropy(logits_MN, rewards, 1.0) < cross_entropy(4 * logits_MN, rewards, 1.0)
