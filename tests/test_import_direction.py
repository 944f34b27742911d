"""Imports go one way, heavy packages wait until they are needed, and only `cli` prints or exits."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("llm_backends", "taxonomy", "hierarchical_reasoning")
MAY_IMPORT = {
    "llm_backends": {"llm_backends"},
    "taxonomy": {"taxonomy", "llm_backends"},
    "hierarchical_reasoning": set(PACKAGES),
}
HEAVY = ("torch", "transformers", "sklearn", "scipy", "networkx", "matplotlib")


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Names of imported modules, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_one_above_it(package: str) -> None:
    forbidden = set(PACKAGES) - MAY_IMPORT[package]
    for path in sources(package):
        tree = ast.parse(path.read_text(), str(path))
        for name in imported(tree):
            assert name.partition(".")[0] not in forbidden, f"{path} imports {name}"
        for text in strings(tree):  # what importlib could be given
            assert not text.startswith(tuple(f"{other}." for other in forbidden)), f"{path} names {text!r}"


def test_all_sources_were_looked_at() -> None:
    assert sum(len(sources(package)) for package in PACKAGES) > 50


@pytest.mark.parametrize("package", PACKAGES)
def test_only_the_command_line_prints_or_exits(package: str) -> None:
    for path in sources(package):
        where = path.relative_to(ROOT)
        if "cli" in where.parts or where.name.startswith("cli") or where.name == "__main__.py":
            continue
        tree = ast.parse(path.read_text(), str(path))
        assert not {"click", "rich"} & {name.partition(".")[0] for name in imported(tree)}, where
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "exit", "quit", "sys.exit", "os._exit", "input"), (
                    f"{where}: {called}"
                )
            if isinstance(node, ast.Raise) and node.exc is not None:
                assert "SystemExit" not in ast.unparse(node.exc), where


@pytest.mark.parametrize(
    "statement",
    [
        "import hierarchical_reasoning, llm_backends, taxonomy",
        "import hierarchical_reasoning.cli.main, hierarchical_reasoning.cli.run, hierarchical_reasoning.config",
    ],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
