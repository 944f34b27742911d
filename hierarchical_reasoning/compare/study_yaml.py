"""A study as a YAML file has it: ``arms``, settings of the study, and those of `RunConfig` for all arms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierarchical_reasoning.compare.arms import nearest
from hierarchical_reasoning.compare.beginning import Asked
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.yaml_mapping import read_mapping
from hierarchical_reasoning.wording import kind_of

_OWN = {"baseline": str, "matched": bool, "matched_by": str, "most_votes": int}
_OF_RUNS = frozenset(RunConfig.model_fields) - {"vanilla_baseline", "label_level"}


def read_study_yaml(path: Path) -> Asked:
    """What a file asks for.

    Raises:
        ConfigError: it cannot be read, or has a key that is none, with the nearest that is one.
    """
    found = read_mapping(path)
    known = {"arms", *_OWN, *_OF_RUNS}
    for key in found:
        if key in ("vanilla_baseline", "label_level"):
            raise ConfigError(f"--config {path}: {key} is a setting of an arm; give it under arms")
        if key not in known:
            raise ConfigError(f"--config {path}: {key!r} is no setting of a study{nearest(str(key), known)}")
    for key, kind in _OWN.items():
        if key in found and type(found[key]) is not kind:
            raise ConfigError(f"--config {path}: {key} is {kind_of(found[key])}, expected {kind_of(kind())}")
    return Asked(
        arms=tuple(_arm(path, arm) for arm in _arms(path, found.get("arms", []))),
        settings={name: value for name, value in found.items() if name in _OF_RUNS},
        **{name: found[name] for name in _OWN if name in found},
    )


def _arms(path: Path, arms: Any) -> list[Any]:
    if isinstance(arms, str):
        return arms.split(",")
    if not isinstance(arms, list):
        raise ConfigError(
            f"--config {path}: arms is {kind_of(arms)}, expected a list of names, or of mappings with a name"
        )
    return arms


def _arm(path: Path, arm: Any) -> str | Mapping[str, Any]:
    if isinstance(arm, bool) or not isinstance(arm, str | int | Mapping):
        raise ConfigError(
            f"--config {path}: an arm is {kind_of(arm)}, expected a name such as vanilla, 3 or maj@8, or a mapping "
            "with a name and settings"
        )
    return str(arm) if isinstance(arm, int) else arm
