"""Slurm on the command line of `compare`, as far as it goes without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hierarchical_reasoning.cli.compare import compare
from hierarchical_reasoning.cli.status import status


def called(folder: Path, *flags: str) -> Result:
    return CliRunner().invoke(compare, ["--output", str(folder / "study"), "--arms", "vanilla,3", *flags])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--slurm_partition", "gpu"], "--slurm_partition is for --launcher slurm, which was not given"),
        (["--shards", "2", "--launcher", "local"], "--shards is for --launcher slurm"),
        (["--no_submit"], "--no_submit is for --launcher slurm"),
        (["--launcher", "slurm"], "nobody said how many; give --shards N"),
        (["--launcher", "slurm", "--shards", "0"], "--shards 0: Input should be greater than or equal to 1"),
        (["--launcher", "slurm", "--shards", "2", "--merge"], "--merge and --launcher slurm do not go"),
        (["--launcher", "slurm", "--shards", "2", "--processes", "2"], "--processes do not go together"),
        (
            ["--launcher", "slurm", "--shards", "2", "--slurm_time", "4h"],
            "Error: time is '4h'; write minutes, HH:MM:SS or D-HH:MM:SS (--slurm_time)",
        ),
        (
            ["--launcher", "slurm", "--shards", "2", "--slurm_array_limit", "0"],
            "--slurm_array_limit 0: Input should be greater than or equal to 1",
        ),
        (["--launcher", "slurm", "--slurm", "none.yaml"], "--slurm none.yaml cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(tmp_path: Path, flags: list[str], said: str) -> None:
    result = called(tmp_path, *flags)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "study").exists()


def test_nothing_is_handed_over_where_only_commands_are_wanted(tmp_path: Path) -> None:
    flags = ("--n_rows", "4", "--launcher", "slurm", "--shards", "2", "--slurm_account", "lab", "--no_submit")
    result = called(tmp_path, *flags)
    assert result.exit_code == 0, result.output
    commands = [line for line in result.output.splitlines() if "$(sbatch" in line]
    assert [command.partition("=")[0] for command in commands] == ["shards", "twins", "merge"]
    assert all("--account=lab" in command for command in commands)
    folder = tmp_path / "study"
    assert (folder / "study.json").exists()
    assert not (folder / "launch" / "jobs.json").exists()
    result = CliRunner().invoke(status, [str(folder)])
    assert result.exit_code == 0, result.output
    assert "8 attempts owed" in result.output
    assert "Slurm" not in result.output
