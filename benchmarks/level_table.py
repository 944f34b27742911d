"""The table of the README: vanilla, untyped, and every level with each planner, on held-out bundled problems.

An arm that is in the output file already, with the same model and number of problems, is not run again.

    python benchmarks/level_table.py --problems 200 --output benchmarks/results/level_table.json
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from main_run import solved

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.config import RunConfig

PLANNERS = ("model", "teacher", "uniform", "markov")
LEVELS = range(7)


def arms() -> dict[str, dict[str, Any]]:
    """Settings by arm."""
    found: dict[str, dict[str, Any]] = {
        "vanilla": {"vanilla_baseline": True},
        "untyped": {"planner": "untyped"},
    }
    for level in (3, 0, 6, 1, 2, 4, 5):
        for planner in PLANNERS:
            found[f"level {level}, {planner}"] = {"label_level": level, "planner": planner}
    found["level 3, model, temperature 1"] = {"label_level": 3, "planner": "model", "temperature": 1.0}
    found["level 3, teacher, temperature 1"] = {"label_level": 3, "planner": "teacher", "temperature": 1.0}
    return found


async def run_arm(settings: dict[str, Any], n_problems: int, cache_dir: Path) -> dict[str, Any]:
    config = RunConfig(n_rows=n_problems, max_concurrency=64, cache_dir=cache_dir, no_cache=True, **settings)
    summary = await solved(config)
    return {
        "n": summary.accuracy.n,
        "correct": summary.accuracy.correct,
        "low": summary.accuracy.low,
        "high": summary.accuracy.high,
        "outcomes": {outcome.value: n for outcome, n in summary.outcomes.items() if n},
        "tokens_per_problem": round(summary.tokens_per_problem or 0),
        "generated_per_problem": round(summary.usage["reasoner"].completion_tokens / summary.n),
        "seconds": round(summary.wall_seconds or 0, 1),
    }


def markdown(rows: dict[str, dict[str, Any]]) -> str:
    """A row a level, a column a planner; the other arms below, one a line."""

    def cell(name: str) -> str:
        if name not in rows:
            return ""
        row = rows[name]
        low, share, high = (100 * value for value in (row["low"], row["correct"] / row["n"], row["high"]))
        return f"{share:.1f} % [{low:.1f}, {high:.1f}], {row['tokens_per_problem']:,}"

    lines = ["| level | " + " | ".join(PLANNERS) + " |", "|---" * (len(PLANNERS) + 1) + "|"]
    shown = set()
    for level in LEVELS:
        names = [f"level {level}, {planner}" for planner in PLANNERS]
        shown.update(names)
        lines.append(f"| {level} | " + " | ".join(map(cell, names)) + " |")
    lines += ["", "| other arms | |", "|---|---|"]
    lines += [f"| {name} | {cell(name)} |" for name in sorted(rows) if name not in shown]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/level_table.json"))
    parser.add_argument("--only", nargs="*", help="These arms alone.")
    arguments = parser.parse_args()
    model = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
    about = {"model_sha256": model, "problems": arguments.problems, "max_concurrency": 64, "seed": 42}
    rows: dict[str, Any] = {}
    if arguments.output.exists():
        found = json.loads(arguments.output.read_text())
        rows = found["rows"] if found["about"] == about else {}
    for name, settings in arms().items():
        if name in rows or (arguments.only and name not in arguments.only):
            continue
        with tempfile.TemporaryDirectory() as directory:
            rows[name] = asyncio.run(run_arm(settings, arguments.problems, Path(directory)))
        print(name, rows[name], flush=True)
        arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
