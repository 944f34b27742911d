"""The stages that make the shipped assets: problems, rollouts, taxonomy, model.

Each stage writes files from a seed and the files of the stage before, so any of them can be made again alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hierarchical_reasoning.sample_tasks.problem_shapes import Split
from hierarchical_reasoning.sample_tasks.rollouts import draw_problems, draw_rollouts, problem_row
from taxonomy.directory import load_taxonomy
from taxonomy.reading import read_rollouts
from taxonomy.rollouts import write_rollouts

N_PROBLEMS: dict[Split, int] = {"train": 1200, "test": 600}
N_ROLLOUTS = 400
LEVEL_SIZES = (1, 2, 4, 7, 10, 13, 15)
SEED = 0


def write_problems(assets: Path, seed: int = SEED) -> list[Path]:
    """``problems/train.jsonl`` and ``problems/test.jsonl``, disjoint."""
    paths = []
    for split, n in N_PROBLEMS.items():
        path = assets / "problems" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (problem_row(p, f"{split}-{i:04d}") for i, p in enumerate(draw_problems(n, split, seed)))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        paths.append(path)
    return paths


def write_sample_rollouts(assets: Path, seed: int = SEED) -> Path:
    """``rollouts.jsonl.gz``: labeled, right and wrong ones, on train problems."""
    path = assets / "rollouts.jsonl.gz"
    write_rollouts(draw_rollouts(N_ROLLOUTS, seed), path)
    return path


def write_taxonomy(assets: Path) -> Path:
    """``taxonomy``: built from the rollouts, levels 0 to 6."""
    from taxonomy.building.directory_writer import write_taxonomy_directory
    from taxonomy.building.given_labels import build_taxonomy

    rollouts = assets / "rollouts.jsonl.gz"
    built = build_taxonomy(read_rollouts(rollouts), level_sizes=LEVEL_SIZES)
    write_taxonomy_directory(built, assets / "taxonomy", inputs=[rollouts], overwrite=True)
    return assets / "taxonomy"


def write_model(
    assets: Path,
    *,
    device: str = "auto",
    first_phase: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """``model``: trained from scratch on lessons at every level of the taxonomy."""
    from hierarchical_reasoning.sample_tasks.lessons import LessonMaker
    from hierarchical_reasoning.sample_tasks.train_model import TrainingPlan, train_model

    maker = LessonMaker(load_taxonomy(assets / "taxonomy"))
    return train_model(
        TrainingPlan(), maker, assets / "model", device=device, first_phase=first_phase, report=report
    )
