"""Settings in a file: verl's keys as users write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.language_model.settings_file import (
    VERL,
    SettingsFile,
    read_settings_file,
)

SAMPLING = """
actor_rollout_ref::
  rollout:
    adaptive_temperature: True
    temperature_tau: 0.05
"""
ACTOR = """
actor_rollout_ref:
  actor:
    adaptive_advantage: True
    adv_beta: 1.0
    adaptive_clip: True
    clip_alpha: 1.0
"""
"""As HAPO's description has them, the first with its colon too many."""


def read(tmp_path: Path, text: str) -> SettingsFile:
    path = tmp_path / "hapo.yaml"
    path.write_text(text)
    return read_settings_file(path)


def test_the_published_blocks_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, SAMPLING + ACTOR + "algorithm:\n  adv_estimator: hapo\n")
    assert found.settings == {
        "adaptive_temperature": True, "temperature_tau": 0.05, "adaptive_advantage": True, "adv_beta": 1.0,
        "adaptive_clip": True, "clip_alpha": 1.0, "adv_estimator": "hapo",
    }  # fmt: skip
    assert len(found.notes) == 2
    assert "'actor_rollout_ref:.rollout.adaptive_temperature' is read as" in found.notes[0]
    config = LanguageModelConfig(**found.settings)
    assert config.needs_entropy


def test_every_key_sets_what_it_is_named_for(tmp_path: Path) -> None:
    values = {
        "adaptive_temperature": True, "temperature_tau": 0.1, "adaptive_advantage": True, "adv_beta": 0.5,
        "adaptive_clip": True, "clip_alpha": 0.25, "clip_ratio_low": 0.1, "clip_ratio_high": 0.3, "clip_ratio_c": 10.0,
        "loss_agg_mode": "seq-mean-token-sum", "adv_estimator": "hapo", "norm_adv_by_std_in_grpo": False,
    }  # fmt: skip
    assert set(VERL.values()) == set(values)
    nested: dict[str, Any] = {}
    for key, name in VERL.items():
        *above, last = key.split(".")
        at = nested
        for part in above:
            at = at.setdefault(part, {})
        at[last] = values[name]
    config = LanguageModelConfig(**read(tmp_path, yaml.safe_dump(nested)).settings)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    ("text", "estimator"), [("", "scaled"), ("  norm_adv_by_std_in_grpo: False\n", "centred")]
)
def test_the_estimator_of_grpo_divides_or_does_not(tmp_path: Path, text: str, estimator: str) -> None:
    found = read(tmp_path, "algorithm:\n  adv_estimator: grpo\n" + text)
    assert found.settings == {"adv_estimator": estimator}


def test_flags_have_their_names_in_a_file_too(tmp_path: Path) -> None:
    found = read(tmp_path, 'explorer: entropy_tree\nmax_depth: 5\ndelimiters: ["\\n", "."]\n')
    config = LanguageModelConfig(**found.settings)
    assert (config.explorer, config.max_depth, config.delimiters) == ("entropy_tree", 5, ("\n", "."))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "actor_rollout_ref:\n  actor:\n    clip_ratio_hihg: 0.3\n",
            "no key 'actor_rollout_ref.actor.clip_ratio_hihg'; did you mean 'actor_rollout_ref.actor.clip_ratio_high'?",
        ),
        ("actor:\n  adv_beta: 1\n", "did you mean 'actor_rollout_ref.actor.adv_beta'?"),
        ("learning_rat: 1\n", "did you mean 'learning_rate'?"),
        ("zzz: 1\n", "allowed are actor_rollout_ref.rollout.adaptive_temperature, "),
        ("learning_rate: 1\nlearning_rate: 2\n", "the key 'learning_rate' stands there twice"),
        (
            "adv_beta: 1\n" + ACTOR,
            "adv_beta and actor_rollout_ref.actor.adv_beta both set adv_beta; give one",
        ),
        ("algorithm:\n  adv_estimator: gae\n", "algorithm.adv_estimator is 'gae'; take grpo or hapo"),
        ("algorithm:\n  adv_estimator:\n", "algorithm.adv_estimator has no value"),
        ("- a\n", "is a list, expected keys and values"),
        ("a: [\n", "is not YAML"),
        ("a: !!python/object:os.system x\n", "is not YAML"),
        ("a: &a\n  b: *a\n", "nests keys more than 8 deep"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "hapo.yaml" in str(caught.value)


def test_flags_win_over_the_file_and_that_is_noted(tmp_path: Path) -> None:
    found = read(tmp_path, SAMPLING + "learning_rate: 0.1\n")
    settings, notes = found.under({"temperature_tau": 0.2, "learning_rate": 0.1, "epochs": 2})
    assert settings == {
        "adaptive_temperature": True, "temperature_tau": 0.2, "learning_rate": 0.1, "epochs": 2,
    }  # fmt: skip
    said = "--temperature_tau 0.2 wins over actor_rollout_ref.rollout.temperature_tau: 0.05 in"
    assert [said in note for note in notes] == [False, False, True]


def test_the_command_takes_the_file(tmp_path: Path, planner_model: Path) -> None:
    path = tmp_path / "hapo.yaml"
    path.write_text(SAMPLING + ACTOR + "algorithm:\n  adv_estimator: hapo\nn_rows: 2\n")
    data = tmp_path / "problems.jsonl"
    data.write_text('{"prompt": "Why?", "answer": "1"}\n{"prompt": "How?", "answer": "2"}\n')
    result = CliRunner().invoke(
        main,
        [
            *(
                "train",
                "run",
                "--config",
                str(path),
                "--model_id",
                str(planner_model),
                "--data_file",
                str(data),
            ),
            *("--eval_rows", "0", "--epochs", "1", "--max_new_tokens", "4", "--num_rollouts_per_prompt", "2"),
            *("--temperature_tau", "0.2", "--output_dir", str(tmp_path / "out")),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "a colon stands there twice" in result.output
    assert "--temperature_tau 0.2 wins over" in result.output
    bad = tmp_path / "bad.yaml"
    bad.write_text("actor_rollout_ref:\n  actor:\n    clip_ratio_c: many\n")
    result = CliRunner().invoke(main, ["train", "run", "--config", str(bad)])
    assert result.exit_code == 2
    assert "--clip_ratio_c 'many': Input should be a valid number" in result.output


_keys = st.one_of(
    st.sampled_from([*VERL, "actor_rollout_ref", "actor", "seed"]), st.text(max_size=6), st.integers()
)
_trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)


@given(found=_trees)
def test_any_yaml_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, found: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(found))
    try:
        settings = read_settings_file(path).settings
    except ConfigError:
        return
    assert settings.keys() <= LanguageModelConfig.model_fields.keys()
