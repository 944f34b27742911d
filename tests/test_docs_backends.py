"""docs/backends.md, done as it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "backends.md").read_text()


def block(language: str) -> str:
    """The page's only block in that language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    return text


def test_a_backend_of_ones_own_is_a_backend_like_any_other(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "shouting.py").write_text(block("python"))
    (package / "pyproject.toml").write_text(block("toml"))
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*install, "--disable-pip-version-check", "--root-user-action=ignore", "--target", site, package],
        check=True,
    )
    script, *arguments = shlex.split(block("bash"))[1:]
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments, "--cache_dir", tmp_path / "cache"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (results,) = (tmp_path / "cache").glob("results_*.json")
    content = json.loads(results.read_text())
    assert content["config"]["backends"]["reasoner"]["framework"] == "shouting"
    outcomes = content["summary"]["outcomes"]
    assert sum(outcomes.values()) == 5
    assert outcomes["error"] == 0
