"""From HATO's files and flags to the configuration of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.reasoning_config import BUNDLED
from hierarchical_reasoning.training.hato.reading import HatoFiles
from hierarchical_reasoning.training.hato.usual import FOR_BUNDLED, USUAL
from hierarchical_reasoning.training.language_model.combinations import usual_for, without_effect
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig

_KEY = "trainer.checkpoint_path"


@dataclass(frozen=True)
class HatoRun:
    """What is run."""

    config: LanguageModelConfig
    resume: bool
    notes: tuple[str, ...]


def hato_run(files: HatoFiles | None, flags: Mapping[str, Any], *, resume: bool) -> HatoRun:
    """
    Args:
        files: None: flags alone, and what HATO usually has.
        flags: those that were given; they win.

    Raises:
        ConfigError: a file has a value that is not allowed, or its checkpoint cannot be used.
        ValidationError: a flag has.
    """
    settings, notes = files.under(flags) if files else (dict(flags), ())
    usual = {**USUAL, **FOR_BUNDLED}
    if settings.get("model_id", BUNDLED) != BUNDLED:
        settings.setdefault("preset", "hato")
        usual = dict(USUAL)
    config = _config(files, flags, {**usual, **settings})
    if files is None:
        return HatoRun(config, resume, ())
    notes += tuple(_without_effect(files, flags, config))
    if files.checkpoint_path is None:
        return HatoRun(config, resume, notes)
    if goes_on(files.checkpoint_path, config.output_dir):
        return HatoRun(config, True, (*notes, f"{_KEY}: the run goes on from {files.checkpoint_path}"))
    begun = {**settings, "model_id": str(files.checkpoint_path), "preset": config.preset}
    said = f"{_KEY}: the run begins with the weights of {files.checkpoint_path}, not of {config.model_id}"
    return HatoRun(_config(files, flags, {**usual, **begun}), resume, (*notes, said))


def goes_on(checkpoint: Path, output_dir: Path) -> bool:
    """Whether a checkpoint is the newest of the run in a directory; else a run begins with its weights.

    Raises:
        ConfigError: there is none, or it is an earlier one of that run.
    """
    from hierarchical_reasoning.training.checkpoints import Checkpoints

    if not (checkpoint / "config.json").is_file():
        raise ConfigError(
            f"{_KEY} {str(checkpoint)!r} is no checkpoint: it has no config.json; give a folder such as "
            "OUTPUT_DIR/last, or leave it out"
        )
    if checkpoint.resolve().parent != output_dir.resolve():
        return False
    newest = max(Checkpoints(output_dir).finished().items(), default=(0, checkpoint))[1]
    if checkpoint.resolve() != newest.resolve():
        raise ConfigError(
            f"{_KEY} {str(checkpoint)!r} is not the newest checkpoint in {output_dir}, which is {newest.name}; a run "
            "goes on from its newest: name that, or begin with these weights in another output_dir"
        )
    return True


def _without_effect(files: HatoFiles, flags: Mapping[str, Any], config: LanguageModelConfig) -> Iterator[str]:
    """A line for all keys that have none for the same reason, of those whose values are the usual ones: of others every
    run is told."""
    usual = usual_for(config)
    found: dict[str, list[str]] = {}
    for name, why in without_effect(config):
        if name not in flags and getattr(config, name) == getattr(usual, name):
            found.setdefault(why, []).append(name)
    for why, names in found.items():
        if keys := files.keys(names):
            yield f"{keys}: no effect with {why}"


def _config(
    files: HatoFiles | None, flags: Mapping[str, Any], settings: Mapping[str, Any]
) -> LanguageModelConfig:
    """The configuration; what the files got wrong is told by their keys."""
    try:
        return LanguageModelConfig(**settings)
    except ValidationError as error:
        told = []
        for each in error.errors():
            name = str(each["loc"][0]) if each["loc"] else ""
            keys = files.keys((name,)) if files and name not in flags else ""
            if not keys:
                raise
            told.append(f"{keys}: {each['input']!r}: {each['msg'].removeprefix('Value error, ')}")
        raise ConfigError(f"--config: {'; '.join(told)}") from error
