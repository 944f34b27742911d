"""The scripts at the root where something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hierarchical_reasoning.cli.script import run_script

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["hierarchical_reasoning.py", "train_model_grpo.py"])
def test_without_its_packages_a_script_says_how_to_get_them(tmp_path: Path, name: str) -> None:
    bare = [sys.executable, "-S", str(ROOT / name), "--help"]  # -S: no packages but Python's own
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {name} needs its packages, and ")
    assert done.stderr.endswith(" is not there: run `make venv`, then `. .venv/bin/activate`\n")
    assert done.stderr.count("\n") == 1


def test_a_package_that_is_missing_later_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "command.py").write_text("def main():\n    import no_such_package.part\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        run_script("command")
    assert caught.value.code == 2
    assert "and no_such_package is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "module", ["hierarchical_reasoning.cli.nowhere", "taxonomy.nowhere", "llm_backends.no.where"]
)
def test_a_module_of_our_own_that_is_missing_is_a_bug(module: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        run_script(module)
