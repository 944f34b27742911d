"""What the learning benchmark claims is computed from its rows as it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from learning_curves import gap_closed, over_seeds, summary_of, table

SEEDS = (0, 1, 2)


def made_up_rows() -> dict[str, Any]:
    """Before 50 %, the teacher 90 %; training closes half of the gap, give or take, and shuffled rewards nothing."""
    rows: dict[str, Any] = {}

    def measured(name: str, correct: int) -> None:
        rows[name] = {"correct": correct, "n": 100}

    for seed, after in zip(SEEDS, (66, 70, 74), strict=True):
        measured(f"seed {seed}, teacher", 90)
        for mode in ("greedy", "sampled"):
            measured(f"seed {seed}, before, {mode}", 50)
            measured(f"seed {seed}, trained, {mode}", after)
            measured(f"seed {seed}, shuffled, {mode}", 50)
        for arm in ("trained", "shuffled"):
            rows[f"seed {seed}, {arm}"] = {
                "cpu_seconds": 100.0 + seed,
                "wall_seconds": 60.0,
                "reasoner_unchanged_in_file": True,
                "reasoner_unchanged_in_memory": True,
                "reasoner_memory_sha256": "same",
            }
    return rows


def test_the_interval_is_students() -> None:
    # Mean 3, standard error sqrt(2.5 / 5), t(0.975, 4) = 2.776445 from tables.
    found = over_seeds([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found["mean"] == 3
    assert found["high"] - 3 == pytest.approx(2.776445 * 0.5**0.5, abs=1e-5)
    assert 3 - found["low"] == pytest.approx(found["high"] - 3)


def test_the_gap_is_between_before_and_the_teacher() -> None:
    assert gap_closed(0.5, 0.7, 0.9) == pytest.approx(0.5)
    assert gap_closed(0.5, 0.4, 0.9) == pytest.approx(-0.25)
    with pytest.raises(ValueError, match="no gap"):
        gap_closed(0.9, 0.95, 0.9)


def test_the_summary_takes_differences_seed_by_seed() -> None:
    summary = summary_of(made_up_rows(), SEEDS)
    trained, shuffled = summary["greedy"]["trained"], summary["greedy"]["shuffled"]
    assert trained["change"]["mean"] == pytest.approx(0.2)
    assert trained["gap_closed"]["mean"] == pytest.approx(0.5)
    assert trained["gap_closed"]["low"] == pytest.approx(0.5 - 4.302653 * 0.1 / 3**0.5, abs=1e-5)
    assert shuffled["change"] == {"mean": 0, "low": 0, "high": 0}
    assert summary["most_cpu_seconds"] == 102
    assert summary["reasoner_unchanged"]
    assert "| after, gap to the teacher closed | 50.0 [25.2, 74.8] | 50.0 [25.2, 74.8] |" in table(summary)


def test_one_changed_reasoner_is_enough() -> None:
    rows = made_up_rows()
    rows["seed 1, shuffled"]["reasoner_unchanged_in_memory"] = False
    summary = summary_of(rows, SEEDS)
    assert not summary["reasoner_unchanged"]
    assert "CHANGED" in table(summary)


def test_rows_are_measured_once_and_again_when_something_else_is_measured(tmp_path: Path) -> None:
    from planner_learning import Rows

    path, made = tmp_path / "learning.json", []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"correct": 1, "n": 2}

    Rows(path, {"code": "a"}).ensure("a row", make)
    assert json.loads(path.read_text())["rows"] == {"a row": {"correct": 1, "n": 2}}
    Rows(path, {"code": "a"}).ensure("a row", make)
    assert len(made) == 1
    Rows(path, {"code": "b"}).ensure("a row", make)
    assert len(made) == 2
