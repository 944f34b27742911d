"""Settings in a YAML file: verl's nested keys for HAPO, and flags by their names.

Values are checked where a configuration is made of them, as those of flags are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from hierarchical_reasoning.training.yaml_mapping import read_mapping

_ESTIMATOR = "algorithm.adv_estimator"
_NORMALIZED = "algorithm.norm_adv_by_std_in_grpo"
VERL = {
    "actor_rollout_ref.rollout.adaptive_temperature": "adaptive_temperature",
    "actor_rollout_ref.rollout.temperature_tau": "temperature_tau",
    "actor_rollout_ref.actor.adaptive_advantage": "adaptive_advantage",
    "actor_rollout_ref.actor.adv_beta": "adv_beta",
    "actor_rollout_ref.actor.adaptive_clip": "adaptive_clip",
    "actor_rollout_ref.actor.clip_alpha": "clip_alpha",
    "actor_rollout_ref.actor.clip_ratio_low": "clip_ratio_low",
    "actor_rollout_ref.actor.clip_ratio_high": "clip_ratio_high",
    "actor_rollout_ref.actor.clip_ratio_c": "clip_ratio_c",
    "actor_rollout_ref.actor.loss_agg_mode": "loss_agg_mode",
    _ESTIMATOR: "adv_estimator",
    _NORMALIZED: "norm_adv_by_std_in_grpo",
}
"""The setting that a key of verl's is."""
_DEEPEST = 8
_ALLOWED = VERL | {name: name for name in LanguageModelConfig.model_fields}


@dataclass(frozen=True)
class SettingsFile:
    """What a file sets."""

    path: Path
    settings: Mapping[str, Any]
    keys: Mapping[str, str]
    """By setting, the key that it stands under in the file."""
    notes: tuple[str, ...]

    def under(self, flags: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """All settings, where flags win; and notes on those that do, after the file's own."""
        overridden = tuple(
            f"--{name} {flags[name]} wins over {key}: {self.settings[name]} in {self.path}"
            for name, key in self.keys.items()
            if name in flags and flags[name] != self.settings[name]
        )
        return {**self.settings, **flags}, (*self.notes, *overridden)


def read_settings_file(path: Path) -> SettingsFile:
    """
    Raises:
        ConfigError: the file cannot be read, is no mapping, or has a key twice or one that there is not.
    """
    settings: dict[str, Any] = {}
    keys: dict[str, str] = {}
    notes: list[str] = []
    for written, value in _flat(read_mapping(path), path):
        key = ".".join(part.rstrip(":") for part in written)
        if key != ".".join(written):
            note = f"{path}: {'.'.join(written)!r} is read as {key!r}: a colon stands there twice"
            notes.append(note)
        name = _ALLOWED.get(key)
        if name is None:
            raise ConfigError(f"--config {path}: there is no key {key!r}; {_nearest(key)}")
        if name in keys:
            raise ConfigError(f"--config {path}: {keys[name]} and {key} both set {name}; give one")
        settings[name], keys[name] = value, key
    if keys.get("adv_estimator") == _ESTIMATOR:
        translate_estimator(settings, keys, path)
    return SettingsFile(path, settings, keys, tuple(notes))


def translate_estimator(settings: dict[str, Any], keys: dict[str, str], path: Path) -> None:
    """verl's ``grpo`` divides by the standard deviation or does not, which here are two estimators."""
    estimator = settings["adv_estimator"]
    if estimator == "hapo":
        return
    if estimator != "grpo":
        raise ConfigError(f"--config {path}: {_ESTIMATOR} is {estimator!r}; take grpo or hapo")
    keys.pop("norm_adv_by_std_in_grpo", None)
    settings["adv_estimator"] = "scaled" if settings.pop("norm_adv_by_std_in_grpo", True) else "centred"


def _flat(
    found: Mapping[Any, Any], path: Path, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if len(above) > _DEEPEST:
        raise ConfigError(f"--config {path}: nests keys more than {_DEEPEST} deep below {'.'.join(above)!r}")
    for key, value in found.items():
        here = (*above, str(key))
        if isinstance(value, Mapping):
            yield from _flat(value, path, here)
        elif value is None:
            raise ConfigError(f"--config {path}: {'.'.join(here)} has no value; give one, or leave it out")
        else:
            yield here, value


def _nearest(key: str) -> str:
    known_keys = VERL if "." in key else _ALLOWED
    close = get_close_matches(key, known_keys, n=1, cutoff=0.5)
    last = {known.rsplit(".", 1)[-1]: known for known in known_keys}
    close = close or [last[name] for name in get_close_matches(key.rsplit(".", 1)[-1], last, n=1, cutoff=0.6)]
    if close:
        return f"did you mean {close[0]!r}?"
    return f"allowed are {', '.join(VERL)}, and the names of flags"
