"""The example notebook: its code runs, and it was executed as it stands."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "comparison.ipynb"


def code_cells() -> list[dict[str, Any]]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_it_was_executed_from_top_to_bottom() -> None:
    assert [cell["execution_count"] for cell in code_cells()] == list(range(1, len(code_cells()) + 1))
    assert all(cell["outputs"] for cell in code_cells())
    kinds = {output["output_type"] for cell in code_cells() for output in cell["outputs"]}
    assert "error" not in kinds


@pytest.mark.model
def test_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in code_cells():
        source = "".join(cell["source"]).replace("n_rows=60", "n_rows=4").replace("%matplotlib inline\n", "")
        code = compile(source, str(NOTEBOOK), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)  # as notebooks run cells: one that awaits gives a coroutine
        if inspect.iscoroutine(result):
            asyncio.run(result)
    study = names["study"]
    assert [arm.name for arm in study.arms][:4] == ["vanilla", "untyped", "3", "5"]
    assert len(names["samples"]) == sum(4 for _ in study.arms)
    assert set(names["level"]["arm"]) == {"3"}
