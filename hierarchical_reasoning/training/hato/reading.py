"""From a directory with HATO's three files to settings by their names, and to what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoning_config import BUNDLED
from hierarchical_reasoning.training.hato.hato_file import HatoFile
from hierarchical_reasoning.training.hato.keys import Section, Sets, Unused, known_keys
from hierarchical_reasoning.training.hato.model_file import ModelFile
from hierarchical_reasoning.training.hato.training_file import TrainingFile
from hierarchical_reasoning.training.language_model.settings_file import SettingsFile, translate_estimator
from hierarchical_reasoning.training.yaml_mapping import read_mapping

MODEL, TRAINING, HATO = "model_config.yaml", "training_config.yaml", "hato_config.yaml"
FILES: Mapping[str, type[Section]] = {MODEL: ModelFile, TRAINING: TrainingFile, HATO: HatoFile}
_META = "hato.meta_learning."
_FLAG_OF_META = {"type": "meta_algorithm"}
_File = TypeVar("_File", bound=Section)


@dataclass(frozen=True)
class HatoFiles:
    """What a directory of settings says."""

    files: tuple[SettingsFile, ...]
    checkpoint_path: Path | None
    """What the run goes on from, or begins with the weights of."""

    def under(self, flags: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """All settings, where flags win; and notes, as `SettingsFile.under` has them."""
        settings: dict[str, Any] = {}
        notes: tuple[str, ...] = ()
        for file in self.files:
            found, said = file.under(flags)
            settings |= found
            notes += said
        return settings, notes

    def keys(self, settings: Sequence[str]) -> str:
        """The keys that set them, behind their files; empty where none does. Of a setting with fields, those of all."""
        told = []
        for file in self.files:
            keys = [key for name, key in file.keys.items() if name.partition(".")[0] in settings]
            if keys:
                told.append(f"{file.path.name}: {', '.join(keys)}")
        return "; ".join(told)


def read_hato_files(directory: Path) -> HatoFiles:
    """
    Raises:
        ConfigError: a file is missing or cannot be read, or has a key that there is not, or a value that is not served.
    """
    model_path, training_path, hato_path = (directory / name for name in FILES)
    model, training, hato = (
        _read(model_path, ModelFile),
        _read(training_path, TrainingFile),
        _read(hato_path, HatoFile),
    )
    _check_tokenizer(model_path, model)
    files = (
        _translated(model_path, model),
        _of_training(training_path, training),
        _translated(hato_path, hato, notes=_meta_learning(hato_path, hato)),
    )
    checkpoint = _values(training).get("trainer.checkpoint_path")
    return HatoFiles(files, None if checkpoint is None else Path(checkpoint))


def _read(path: Path, kind: type[_File]) -> _File:
    found = read_mapping(path)
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        told = "; ".join(_told(path, each) for each in error.errors())
        raise ConfigError(f"--config {path}: {told}") from error


def _told(path: Path, error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"there is no key {key!r}; {_nearest(path, key)}"
    if error["type"] in ("model_type", "dict_type"):
        return f"{key} is {error['input']!r}; expected are keys and values below it"
    return f"{key} is {error['input']!r}: {error['msg']}"


def _nearest(path: Path, key: str) -> str:
    known = {name: file for file, kind in FILES.items() for name, _ in known_keys(kind)}
    last = key.rpartition(".")[2]
    alike = [name for name in known if name.rpartition(".")[2] == last]
    close = get_close_matches(key, alike or known, n=1, cutoff=0.0 if alike else 0.6)
    if close:
        return f"did you mean {close[0]!r} (in {known[close[0]]})?"
    return f"allowed are {', '.join(name for name, file in known.items() if file == path.name)}"


def _translated(path: Path, file: Section, notes: Sequence[str] = ()) -> SettingsFile:
    settings: dict[str, Any] = {}
    keys: dict[str, str] = {}
    unused: dict[str, list[str]] = {}
    for key, value, use in file.given():
        if isinstance(use, Unused):
            unused.setdefault(use.why, []).append(f"{key}: {value}")
        elif isinstance(use, Sets):
            try:
                served = use.by(value)
            except ValueError as error:
                raise ConfigError(f"--config {path}: {key} is {value!r}: {error}") from error
            name, _, field = use.setting.partition(".")
            if field:
                settings.setdefault(name, {})[field] = served
            else:
                settings[name] = served
            keys[use.setting] = key
    said = (f"{path.name}: {', '.join(told)}: unused, since {why}" for why, told in unused.items())
    return SettingsFile(path, settings, keys, (*notes, *said))


def _of_training(path: Path, file: TrainingFile) -> SettingsFile:
    values = _values(file)
    metric = values.get("algorithm.filter_groups.metric")
    if values.get("algorithm.use_kl_in_reward") and metric == "seq_final_reward":
        raise ConfigError(
            f"--config {path}: algorithm.filter_groups.metric is {metric!r} and algorithm.use_kl_in_reward is True: "
            "groups are chosen before the KL is known; take 'seq_reward', the reward without it, or 'acc'"
        )
    found = _translated(path, file)
    settings, keys = dict(found.settings), dict(found.keys)
    if "norm_adv_by_std_in_grpo" in settings and "adv_estimator" not in settings:
        settings["adv_estimator"], keys["adv_estimator"] = "grpo", keys["norm_adv_by_std_in_grpo"]
    if "adv_estimator" in settings:
        translate_estimator(settings, keys, path)
    if "batch_size" in settings:
        settings.setdefault("gen_batch_size", None)  # verl's default: as many as are learned from
    return SettingsFile(path, settings, keys, found.notes)


def _check_tokenizer(path: Path, file: ModelFile) -> None:
    values = _values(file)
    name, tokenizer = values.get("model.name", BUNDLED), values.get("model.tokenizer")
    if tokenizer not in (None, name):
        raise ConfigError(
            f"--config {path}: model.tokenizer is {tokenizer!r} and model.name {name!r}; a model is trained with its "
            "own tokenizer, so give the same name, or leave model.tokenizer out"
        )


def _meta_learning(path: Path, file: HatoFile) -> list[str]:
    given = {key.removeprefix(_META): value for key, value in _values(file).items() if key.startswith(_META)}
    enabled = given.pop("enable", False)
    said = "".join(f", {_META}{name}: {value}" for name, value in given.items())
    if not enabled:
        return [f"{path.name}: {_META}enable: False{said}: no meta-learning"] if given else []
    flags = "".join(f" --{_FLAG_OF_META.get(name, name)} {value}" for name, value in given.items())
    return [
        f"{path.name}: {_META}enable: True{said}: meta-learning goes over families of tasks, in a run of its own: "
        f"hierarchical-reasoning train meta{flags}"
    ]


def _values(file: Section) -> dict[str, Any]:
    return {key: value for key, value, _ in file.given()}
