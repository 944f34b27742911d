"""A Slurm for all tests of this folder that are marked so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import missing_programs, slurm_cluster


@pytest.fixture(scope="session")
def slurm_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    missing = missing_programs()
    if missing:
        said = f"Slurm is not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)"
        if os.environ.get("HR_SLURM"):
            pytest.fail(said)
        pytest.skip(said)
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration


@pytest.fixture
def slurm(slurm_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real cluster, which Slurm's commands find."""
    for name in [name for name in os.environ if name.startswith(("SLURM", "SBATCH"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CONF", str(slurm_configuration))
