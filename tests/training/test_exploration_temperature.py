"""The temperature schedule, and what a configuration says of it and of the rewards' weights."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.rewards import RewardWeights
from hierarchical_reasoning.training.language_model.combinations import check_language_model
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.schedule import exploration_temperature


def test_the_temperature_falls_with_the_share_of_updates_made() -> None:
    found = [exploration_temperature(0.7, 2.0, update, 4) for update in range(1, 5)]
    assert found == [0.7 * math.exp(-2.0 * made / 4) for made in range(4)]
    assert found[0] == 0.7
    assert {exploration_temperature(0.7, 0.0, update, 4) for update in range(1, 5)} == {0.7}


def test_what_is_not_given_stays_as_it_is() -> None:
    config = LanguageModelConfig(temperature=0.9)
    assert (config.first_temperature, config.temperature_decay) == (0.9, 0.0)
    assert LanguageModelConfig(temperature=0.9, initial_temperature=0.7).first_temperature == 0.7
    assert config.reward_weights == RewardWeights(0.4, 0.5, 0.1)


def test_a_run_whose_temperature_falls_is_resumed_with_as_many_epochs() -> None:
    constant, falling = LanguageModelConfig(), LanguageModelConfig(temperature_decay=2.0)
    assert "epochs" not in constant.affecting_weights()
    assert "epochs" in falling.affecting_weights()
    assert "epochs" in LanguageModelConfig(lr_schedule="linear").affecting_weights()


@pytest.mark.parametrize(
    "settings",
    [{"initial_temperature": 0}, {"temperature_decay": -1}, {"temperature_decay": 11}, {"reward_beta": -0.1}],
    ids=str,
)
def test_out_of_bounds_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        LanguageModelConfig(**settings)


def test_weights_are_of_the_hierarchical_credit() -> None:
    notes = check_language_model(LanguageModelConfig(reward_gamma=0.3))
    assert "--reward_gamma 0.3 has no effect with --credit outcome" in notes
    of_hato = LanguageModelConfig(credit="hierarchical", reward_gamma=0.3)
    assert not [note for note in check_language_model(of_hato) if "reward" in note]
    assert (of_hato.adv_estimator, of_hato.loss_agg_mode) == ("scaled", "token-mean")
    nothing = dict.fromkeys(("reward_alpha", "reward_beta", "reward_gamma"), 0.0)
    with pytest.raises(ConfigError, match="--reward_alpha 0, --reward_beta 0 and --reward_gamma 0"):
        check_language_model(LanguageModelConfig(credit="hierarchical", **nothing))
