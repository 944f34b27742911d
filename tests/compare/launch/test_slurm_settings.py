"""What Slurm may be asked for, from YAML and from flags."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hierarchical_reasoning.compare.launch import SlurmSettings, slurm_settings
from hierarchical_reasoning.compare.launch.settings import seconds_of
from hierarchical_reasoning.errors import ConfigError

YAML = """\
shards: 8
partition: gpu
account: lab
time: 12:00:00
gpus: a100:2
cpus: 8
memory: 64G
array_limit: 4
constraint: a100|h100
options: [reservation=mine, exclusive]
setup:
  - module load cuda
"""


def test_yaml_is_read_and_flags_count_before_it(tmp_path: Path) -> None:
    file = tmp_path / "slurm.yaml"
    file.write_text(YAML)
    assert slurm_settings(file, {"account": "other", "gpus": 1}) == SlurmSettings(
        shards=8,
        partition="gpu",
        account="other",
        time="12:00:00",
        gpus="1",
        cpus=8,
        memory="64G",
        array_limit=4,
        constraint="a100|h100",
        options=("reservation=mine", "exclusive"),
        setup=("module load cuda",),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shard: 8\n", "there is no setting 'shard'; did you mean shards?"),
        ("partition: gpu\n", "nobody said how many; give --shards N"),
        ("- 8\n", "must hold keys and values"),
        ("a: [\n", "is no YAML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "slurm.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        slurm_settings(file, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read \(No such file"):
        slurm_settings(tmp_path / "none.yaml", {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shards": 0}, "greater than or equal to 1"),
        ({"shards": 1001}, "less than or equal to 1000"),
        ({"time": "soon"}, "time is 'soon'; write minutes"),
        ({"time": "9"}, "540 seconds, and a task is told to finish 300 seconds before its end"),
        ({"gpus": "two"}, "gpus"),
        ({"memory": "lots"}, "memory"),
        ({"account": " "}, "one line that is not empty"),
        ({"options": ["--exclusive"]}, "without dashes"),
        ({"options": ["array=1-3"]}, "array has a setting of its own"),
        ({"options": ["exclusive\nrm"]}, "NAME=VALUE"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_values_that_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SlurmSettings(**{"shards": 2, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("01:30:30", 5430),
        ("1-12", 129_600),
        ("1-12:30", 131_400),
        ("1-12:30:05", 131_405),
        ("UNLIMITED", None),
    ],
)
def test_times_mean_what_slurm_has_them_mean(time: str, seconds: int | None) -> None:
    assert seconds_of(time) == seconds


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_time_in_full_is_read(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert seconds_of(f"{days}-{hours:02}:{minutes:02}:{seconds:02}") == total
    assert seconds_of(f"{days * 24 + hours}:{minutes:02}:{seconds:02}") == total


@given(st.text())
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        seconds = seconds_of(text)
    except ValueError:
        return
    assert seconds is None or seconds >= 0
