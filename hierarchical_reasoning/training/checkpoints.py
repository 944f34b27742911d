"""Checkpoints: folders that any loader of models takes, with what training needs to go on beside the weights.

``epoch-N/``  the planner after an epoch, and under ``training_state/`` the optimizer and the settings
``final/``    the planner at the end, alone

A folder is written beside its place, fsynced and renamed. There is no state of a random generator to keep: every draw
is a function of the seed and the number of the update. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.journal.file import differences, sync_directory
from hierarchical_reasoning.model_settings import ModelSettings, write_model_settings
from hierarchical_reasoning.training.config import GrpoConfig
from hierarchical_reasoning.training.policy import Policy
from taxonomy.atomic import make_staging_directory

FINAL = "final"
_STATE = "training_state"
_OPTIMIZER = "optimizer.safetensors"
_PROGRESS = "progress.json"
_EPOCH = re.compile(r"epoch-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stood after an epoch."""

    path: Path
    epoch: int
    update: int

    def load_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        tensors = load_file(self.path / _STATE / _OPTIMIZER)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def make_output_directory(config: GrpoConfig) -> None:
    """Make ``--output_dir``. Raises OutputError."""
    try:
        config.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"checkpoints cannot be written to {config.output_dir} ({error.strerror}); choose another --output_dir"
        ) from error


def finished_epochs(output_dir: Path) -> dict[int, Path]:
    """The checkpoints in a directory, by epoch; none where there is no such directory."""
    return {
        int(match[1]): path
        for path in (output_dir.iterdir() if output_dir.is_dir() else ())
        if (match := _EPOCH.fullmatch(path.name)) and (path / _STATE / _PROGRESS).is_file()
    }


def find_checkpoint(config: GrpoConfig, *, resume: bool) -> Checkpoint | None:
    """The last checkpoint in ``--output_dir`` to go on from; None where a run begins.

    Raises:
        ConfigError: there are checkpoints and ``resume`` is off, or they belong to a run with other settings.
    """
    found = finished_epochs(config.output_dir)
    if not found:
        return None
    if not resume:
        raise ConfigError(
            f"{config.output_dir} holds {len(found)} checkpoints of an earlier run; go on with it by --resume, or "
            "choose another --output_dir"
        )
    path = found[max(found)]
    progress = json.loads((path / _STATE / _PROGRESS).read_text(encoding="utf-8"))
    changed = differences(progress["settings"], config.affecting_weights())
    if changed:
        raise ConfigError(
            f"--resume: {path} was trained with other settings ({'; '.join(changed)}); give the same ones, or "
            "choose another --output_dir"
        )
    return Checkpoint(path, progress["epoch"], progress["update"])


def save_checkpoint(
    config: GrpoConfig, policy: Policy, optimizer: torch.optim.Optimizer, *, epoch: int, update: int
) -> Checkpoint:
    """Write ``epoch-N``. Raises OutputError."""
    progress = {"epoch": epoch, "update": update, "settings": config.affecting_weights()}

    def write(folder: Path) -> None:
        _save_policy(folder, config, policy)
        (folder / _STATE).mkdir()
        save_file(_optimizer_tensors(optimizer), folder / _STATE / _OPTIMIZER)
        (folder / _STATE / _PROGRESS).write_text(json.dumps(progress, indent=2) + "\n", encoding="utf-8")

    path = config.output_dir / f"epoch-{epoch}"
    _write_folder(path, write)
    return Checkpoint(path, epoch, update)


def save_final(config: GrpoConfig, policy: Policy) -> Path:
    """Write ``final``, in place of the one there. Raises OutputError."""
    path = config.output_dir / FINAL
    _write_folder(path, lambda folder: _save_policy(folder, config, policy))
    return path


def _save_policy(folder: Path, config: GrpoConfig, policy: Policy) -> None:
    policy.save(folder)
    write_model_settings(folder, ModelSettings(num_icl_examples=config.n_examples))


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value.contiguous()
        for index, values in state.items()
        for name, value in values.items()
    }


def _write_folder(target: Path, write: Callable[[Path], None]) -> None:
    try:
        staging = make_staging_directory(target)
        try:
            write(staging)
            _sync(staging)
            _replace(staging, target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        sync_directory(target.parent)
    except OSError as error:
        raise OutputError(
            f"the checkpoint {target} cannot be written ({error.strerror or error}); earlier ones are whole: make "
            "room, then go on with --resume, or choose another --output_dir"
        ) from error


def _replace(staging: Path, target: Path) -> None:
    if target.exists():
        old = staging.with_name(f"{staging.name}.old")
        target.rename(old)
        staging.rename(target)
        shutil.rmtree(old)
    else:
        staging.rename(target)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
