"""What is handed over to Slurm, and what is said where it takes nothing."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hierarchical_reasoning.compare.launch import SlurmSettings, commands, queued, submit, submitted_jobs
from hierarchical_reasoning.errors import ConfigError, OutputError

SETTINGS = SlurmSettings(
    shards=4,
    array_limit=2,
    partition="gpu",
    account="lab",
    time="8:00:00",
    gpus="a100:2",
    cpus=6,
    memory="32G",
    constraint="big|huge",
    options=("reservation=mine",),
    setup=("module load cuda",),
)


def test_commands_say_all_of_it(tmp_path: Path) -> None:
    study = tmp_path / "a study"
    shards, twins, merge = commands(study, SETTINGS, cache_dir=study / "cache", rounds=2)
    words = shlex.split(shards)
    assert words[0] == "shards=$(sbatch"
    for option in (
        *("--array=1-4%2", "--signal=B:USR1@300", "--requeue", "--partition=gpu", "--account=lab"),
        *("--time=8:00:00", "--gres=gpu:a100:2", "--cpus-per-task=6", "--mem=32G", "--constraint=big|huge"),
        *("--reservation=mine", "--open-mode=append", "--job-name=a_study-shards"),
    ):
        assert option in words
    assert not any(word.startswith("--dependency") for word in words)
    assert "--dependency=afterany:$shards" in shlex.split(twins)
    assert "--dependency=afterany:$twins" in shlex.split(merge)
    assert "--account=lab" in shlex.split(merge)
    assert not any(word.startswith(("--array", "--gres", "--signal")) for word in shlex.split(merge))


def test_one_round_has_one_array(tmp_path: Path) -> None:
    found = commands(tmp_path, SETTINGS, cache_dir=tmp_path / "cache", rounds=1)
    assert [command.partition("=")[0] for command in found] == ["shards", "merge"]
    assert "afterany:$shards" in shlex.split(found[1])[-2]


def test_scripts_are_sound_and_quote_what_they_are_told(tmp_path: Path) -> None:
    study = tmp_path / "it's a study"
    commands(study, SETTINGS, cache_dir=study / "cache", rounds=2)
    scripts = sorted((study / "launch").glob("*.sh"))
    assert [script.name for script in scripts] == ["merge.sh", "shards.sh"]
    for script in scripts:
        checkers = [["bash", "-n"]] + ([["shellcheck"]] if shutil.which("shellcheck") else [])
        for checker in checkers:
            done = subprocess.run([*checker, str(script)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    assert "\nmodule load cuda\n" in scripts[1].read_text()
    last = scripts[1].read_text().partition("exec ")[2].replace(sys.executable, "printf '%s\\n'", 1)
    shown = subprocess.run(
        ["bash", "-c", last], env={"SLURM_ARRAY_TASK_ID": "3"}, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert shown[shown.index("--output") + 1] == str(study)
    assert shown[shown.index("--shard") + 1] == "3/4"
    assert shown[shown.index("--cache_dir") + 1] == str(study / "cache/3-of-4")
    assert shown[shown.index("--grace") + 1] == "225"


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no sbatch here, so no Slurm"):
        submit(tmp_path, SETTINGS, cache_dir=tmp_path / "cache", rounds=1)
    assert submitted_jobs(tmp_path) == queued(tmp_path) == ()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "launch").touch()
    with pytest.raises(OutputError, match="choose another --output"):
        commands(tmp_path, SETTINGS, cache_dir=tmp_path / "cache", rounds=1)


@pytest.mark.slurm
def test_what_slurm_refuses_is_told(slurm: None, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"Slurm did not take the job: .*invalid partition.* \(see the options"
    ):
        submit(tmp_path, SETTINGS, cache_dir=tmp_path / "cache", rounds=1)
    assert submitted_jobs(tmp_path) == ()


@pytest.mark.slurm
def test_a_study_is_not_handed_over_twice(slurm: None, tmp_path: Path) -> None:
    waiting = SlurmSettings(shards=2, options=("hold",))
    jobs = submit(tmp_path, waiting, cache_dir=tmp_path / "cache", rounds=2)
    try:
        assert [job.what for job in jobs] == ["shards", "twins", "merge"]
        assert submitted_jobs(tmp_path) == jobs
        tasks = queued(tmp_path)
        assert [(task.job, task.task, task.state) for task in tasks] == [
            *((job.id, task, "PENDING") for job in jobs[:2] for task in (1, 2)),
            (jobs[2].id, None, "PENDING"),
        ]
        with pytest.raises(ConfigError, match=f"still has 5 tasks of .*: scancel {jobs[0].id} {jobs[1].id}"):
            submit(tmp_path, waiting, cache_dir=tmp_path / "cache", rounds=2)
    finally:
        subprocess.run(["scancel", *(job.id for job in jobs)], check=True)
    assert all(job.command.startswith("sbatch --job-name=") for job in jobs)
