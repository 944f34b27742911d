"""What Slurm is asked for: how many shards, and what each of their jobs may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hierarchical_reasoning.compare.arms import nearest
from hierarchical_reasoning.errors import ConfigError

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")
_OPTION = re.compile(r"[a-z][a-z0-9-]*(?:=.*)?")
_WITHOUT_LIMIT = {"unlimited", "infinite"}
_OURS = frozenset(
    {
        "array",
        "chdir",
        "dependency",
        "error",
        "job-name",
        "open-mode",
        "output",
        "parsable",
        "requeue",
        "signal",
    }
    | {"no-requeue", "partition", "account", "qos", "time", "gres", "cpus-per-task", "mem", "constraint"}
)
"""Options of sbatch that have a setting of their own, or that a launch rests on."""
MOST_SHARDS = 1000
"""Of an array, as clusters allow it when nobody changed that (MaxArraySize)."""


class SlurmSettings(BaseModel):
    """Of every job of a study. None leaves a thing to the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    shards: int = Field(ge=1, le=MOST_SHARDS)
    """Parts that the problems are divided into; one task of the job array does each."""
    array_limit: int | None = Field(None, ge=1)
    """Tasks that run at the same time, at most."""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    """Features that nodes must have, as in ``a100|h100``."""
    time: str | None = None
    """The longest that a task runs before it goes back into the queue; minutes, HH:MM:SS, or D-HH:MM:SS."""
    gpus: str | None = Field(None, pattern=r"^([\w.-]+:)?[0-9]+$")
    """Of a task: how many, or which and how many, as in ``a100:2``."""
    cpus: int | None = Field(None, ge=1)
    """Cores of a task."""
    memory: str | None = Field(None, pattern=r"^[0-9]+[KMGT]?$")
    """Of a task, in megabytes or with a unit, as in ``32G``."""
    signal_seconds: int = Field(300, ge=30)
    """How long before its time is over a task is told to finish what it is at."""
    requeues: int = Field(20, ge=0)
    """How often a task goes back into the queue by itself, at most."""
    options: tuple[str, ...] = ()
    """Further options of sbatch, without the dashes, as in ``reservation=mine``."""
    setup: tuple[str, ...] = ()
    """Lines of shell that run in a job before all else, as in ``module load cuda``."""

    @field_validator("options")
    @classmethod
    def _known_forms(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            name = option.partition("=")[0]
            if not _OPTION.fullmatch(option) or "\n" in option:
                raise ValueError(f"{option!r} is none; write NAME or NAME=VALUE, without dashes before it")
            if name in _OURS:
                raise ValueError(f"{name} has a setting of its own, or is what a launch rests on")
        return options

    @field_validator("partition", "account", "qos", "constraint")
    @classmethod
    def _one_line(cls, text: str | None) -> str | None:
        if text is not None and (not text.strip() or "\n" in text):
            raise ValueError("must be one line that is not empty")
        return text

    @model_validator(mode="after")
    def _told_in_time(self) -> SlurmSettings:
        """A task that is told to end as soon as it starts would go in and out of the queue without an end."""
        seconds = None if self.time is None else seconds_of(self.time)
        if seconds is not None and seconds < 2 * self.signal_seconds:
            raise ValueError(
                f"time is {self.time}, {seconds} seconds, and a task is told to finish {self.signal_seconds} seconds "
                "before its end; the time must be at least twice that (--slurm_time, --slurm_signal_seconds)"
            )
        return self


def seconds_of(time: str) -> int | None:
    """A time limit as Slurm writes it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S; None where there is no limit.

    Raises:
        ValueError: it is none.
    """
    if time.lower() in _WITHOUT_LIMIT:
        return None
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError(f"time is {time!r}; write minutes, HH:MM:SS or D-HH:MM:SS (--slurm_time)")
    days = match["days"]
    parts = [int(part) for part in match.group("first", "second", "third") if part is not None]
    if days is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, minutes, seconds = 0, *[*parts, 0][:2]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def slurm_settings(path: Path | None, given: Mapping[str, Any]) -> SlurmSettings:
    """From a YAML file, and from what was given besides, which counts before it.

    Raises:
        ConfigError: the file cannot be read, or has a key that there is not; shards are missing.
        pydantic.ValidationError: a value cannot be.
    """
    settings = {**(_read(path) if path is not None else {}), **given}
    if "shards" not in settings:
        raise ConfigError(
            "Slurm is to do a study in shards, and nobody said how many; give --shards N, or shards: N in --slurm FILE"
        )
    return SlurmSettings(**settings)


def _read(path: Path) -> dict[str, Any]:
    try:
        # All of it as text: YAML's own types make 43200 of 12:00:00.
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 (a safe one)
    except OSError as error:
        raise ConfigError(f"--slurm {path} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--slurm {path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"--slurm {path} must hold keys and values, as in partition: gpu")
    known = list(SlurmSettings.model_fields)
    for key in found:
        if key not in known:
            raise ConfigError(
                f"--slurm {path}: there is no setting {key!r}{nearest(key, known)}; there are {', '.join(known)}"
            )
    return found
