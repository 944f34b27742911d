"""Checkpoints: folders that any loader of models takes, with what training needs to go on beside the weights.

``update-N/``  the planner after an update (LoRA merged), and under ``training_state/`` what a resumed run takes up
``last``       a link to the newest of them
``best``       a link to the one that did best on held-out problems, where there is one

A folder is written beside its place, fsynced and renamed, and none is ever written over, so a kill at any moment leaves
every one of them whole. There is no state of a random generator to keep: every draw is a function of the seed and the
number of the update. Nothing is pickled.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hierarchical_reasoning.errors import ConfigError, OutputError
from hierarchical_reasoning.journal.file import differences, sync_directory
from hierarchical_reasoning.training.log import LOG_NAME
from taxonomy.atomic import make_staging_directory

LAST = "last"
BEST = "best"
_STATE = "training_state"
_OPTIMIZER = "optimizer.safetensors"
_ADAPTER = "adapter.safetensors"
_PROGRESS = "progress.json"
_LOCK = ".lock"
_UPDATE = re.compile(r"update-(\d+)")
_OURS = re.compile(r"\.?update-\d+")
"""Whole checkpoints, and those that were being written."""


@dataclass(frozen=True)
class Best:
    """The checkpoint that did best on held-out problems."""

    update: int
    accuracy: float


@dataclass(frozen=True)
class Progress:
    """Where a run stood when a checkpoint was made."""

    update: int
    learned: bool
    """Some update had a group with spread, so a gradient was taken."""
    best: Best | None
    settings: Mapping[str, Any]
    """What a resumed run must share."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What a later update depends on besides weights."""


@dataclass(frozen=True)
class Checkpoint:
    """A planner, and where its run stood."""

    path: Path
    progress: Progress

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        return _read(self.path / _STATE / _OPTIMIZER)

    def adapter_tensors(self) -> dict[str, torch.Tensor]:
        """Those of LoRA; empty where all weights are trained."""
        path = self.path / _STATE / _ADAPTER
        return _read(path) if path.is_file() else {}


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds beside the planner."""

    progress: Progress
    optimizer: Mapping[str, torch.Tensor]
    adapter: Mapping[str, torch.Tensor]


class Checkpoints:
    """Those of one output directory."""

    def __init__(self, directory: Path, *, kept: int = 1) -> None:
        """
        Args:
            kept: how many are, the newest; the best one besides.
        """
        self.directory = directory
        self._kept = kept

    def make_directory(self) -> None:
        """Raises OutputError."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"checkpoints cannot be written to {self.directory} ({error.strerror}); choose another --output_dir"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the directory for the block.

        Raises:
            OutputError: another process is training there, or the file system has no locks.
        """
        path = self.directory / _LOCK
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}); choose another --output_dir"
            ) from error
        try:
            # Of this process alone: no worker that outlives it keeps the lock.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            taken = error.errno in (errno.EACCES, errno.EAGAIN)
            raise OutputError(
                f"another process is training in {self.directory}; wait until it ends, or choose another --output_dir"
                if taken
                else f"the file system of {path} cannot lock files ({error.strerror}); choose another --output_dir"
            ) from error
        try:
            yield
        finally:
            os.close(descriptor)

    def finished(self) -> dict[int, Path]:
        """The checkpoints that are there, by update; none where there is no such directory."""
        return {
            int(match[1]): path
            for path in (self.directory.iterdir() if self.directory.is_dir() else ())
            if (match := _UPDATE.fullmatch(path.name)) and (path / _STATE / _PROGRESS).is_file()
        }

    def find(self, settings: Mapping[str, Any], *, resume: bool) -> Checkpoint | None:
        """The newest, to go on from; None where a run begins.

        Raises:
            ConfigError: there are checkpoints and `resume` is off, or they belong to a run with other settings.
        """
        found = self.finished()
        if not found:
            if not resume and (self.directory / LOG_NAME).exists():
                raise ConfigError(
                    f"{self.directory} holds the log of a run that made no checkpoint; begin it again by --resume, "
                    "which drops that log, or choose another --output_dir"
                )
            return None
        if not resume:
            raise ConfigError(
                f"{self.directory} holds {len(found)} checkpoints of an earlier run; go on with it by --resume, or "
                "choose another --output_dir"
            )
        path = found[max(found)]
        progress = _read_progress(path / _STATE / _PROGRESS)
        changed = differences(progress.settings, settings)
        if changed:
            raise ConfigError(
                f"--resume: {path} was trained with other settings ({'; '.join(changed)}); give the same ones, or "
                "choose another --output_dir"
            )
        return Checkpoint(path, progress)

    def save(self, state: TrainingState, write_planner: Callable[[Path], None]) -> Checkpoint:
        """Write ``update-N``, point ``last`` and ``best`` to what they name, and drop what is not kept.

        Args:
            write_planner: writes a model folder.

        Raises:
            OutputError: it cannot be written; earlier ones are whole.
        """
        progress = state.progress
        path = self.directory / f"update-{progress.update}"

        def write(folder: Path) -> None:
            write_planner(folder)
            own = folder / _STATE
            own.mkdir()
            save_file(dict(state.optimizer), own / _OPTIMIZER)
            if state.adapter:
                save_file(dict(state.adapter), own / _ADAPTER)
            (own / _PROGRESS).write_text(json.dumps(asdict(progress), indent=2) + "\n", encoding="utf-8")

        try:
            write_folder(path, write)
            self.settle(progress)
        except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"the checkpoint {path} cannot be written ({reason}); earlier ones are whole: make room, then go on "
                "with --resume, or choose another --output_dir"
            ) from error
        return Checkpoint(path, progress)

    def settle(self, progress: Progress) -> None:
        """Point ``last`` and ``best`` to what they name, and drop what is not kept, also what a kill left behind."""
        self._link(LAST, self.directory / f"update-{progress.update}")
        if progress.best is not None:
            self._link(BEST, self.directory / f"update-{progress.best.update}")
        kept = {(self.directory / name).resolve() for name in (LAST, BEST)}
        done = {number: path for number, path in self.finished().items() if number <= progress.update}
        kept |= {done[number].resolve() for number in sorted(done)[-self._kept :]}
        for path in self.directory.iterdir():
            if path.is_dir() and path.resolve() not in kept and _OURS.match(path.name):
                shutil.rmtree(path)

    def named(self, link: str) -> Path | None:
        """``last`` or ``best``; None where there is none yet."""
        path = self.directory / link
        return path if path.is_dir() else None

    def _link(self, name: str, target: Path) -> None:
        beside = self.directory / f".{name}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(target.name, target_is_directory=True)
        beside.replace(self.directory / name)
        sync_directory(self.directory)


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Copies: a tensor within the file lies anywhere, and on some CPUs what is computed with it would differ, in its
    last bit, from what is computed with one that lies where PyTorch puts it."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def _read_progress(path: Path) -> Progress:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        best = fields.pop("best")
        return Progress(**fields, best=None if best is None else Best(**best))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"--resume: {path} cannot be used ({error}); delete {path.parents[1]} to go on from an earlier "
            "checkpoint, or choose another --output_dir"
        ) from error


def write_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Have a folder written beside its place, fsynced and renamed; there must be none yet."""
    staging = make_staging_directory(target)
    try:
        write(staging)
        for path in staging.rglob("*"):
            if path.is_file():  # weights are written for their owner alone
                path.chmod((staging.stat().st_mode | 0o600) & 0o666)
            _sync(path)
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_directory(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
