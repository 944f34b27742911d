"""Whether a meta-learned start needs fewer steps on a family of problems that it never met.

For each seed starts are learned by the library calls of ``hierarchical-reasoning train meta``: by Reptile, by MAML, and
jointly, on the same batches. Value heads learn from answers that the bundled model draws to its three families, and are
adapted to ``ratio``; adapters of the model learn from worked answers to three families that it does not know, and are
adapted to a fourth, ``unit_price``. Each start, and the plain one (random weights of a head; adapters that change
nothing), is adapted by k steps on the same batches at the same learning rate, and measured on problems that no step
met. Differences are taken seed by seed; means over seeds have 95 % t intervals. A row measured already with the same
settings and code is not measured again.

    python benchmarks/meta_learning.py
    python benchmarks/meta_learning.py --seeds 0 1 --parameters head --output FILE
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from learning_curves import over_seeds
from learning_runs import bundled_sha256

from hierarchical_reasoning.training.meta.assembly import assemble_meta, open_subject
from hierarchical_reasoning.training.meta.config import MetaConfig
from hierarchical_reasoning.training.meta.run import MetaRun
from hierarchical_reasoning.training.meta.transfer import measure_transfer
from taxonomy.atomic import write_atomically

ROOT = Path(__file__).parents[1]
CODE = (
    "hierarchical_reasoning/training/meta/*.py",
    "hierarchical_reasoning/sample_tasks/f*.py",
    "hierarchical_reasoning/values/networks.py",
    "hierarchical_reasoning/values/encoders/hidden_states.py",
)
"""What a measurement depends on."""
SETTINGS: dict[str, dict[str, Any]] = {
    "head": {
        "n_train": 12,
        "n_support": 12,
        "n_test": 16,
        "num_rollouts_per_prompt": 3,
        "meta_steps": 40,
    },
    "adapter": {
        "families": ("average", "remainder", "comparison"),
        "unseen": "unit_price",
        "solution_field": "solution",
        "n_train": 16,
        "n_support": 20,
        "n_test": 16,
        "batch_size": 2,
        "meta_steps": 6,
        "max_new_tokens": 240,
    },
}
"""Small, so that all of it takes minutes; what is not named is the command's default."""
ALGORITHMS = ("reptile", "maml")
STARTS = (*ALGORITHMS, "joint", "plain")
MEASURES = ("accuracy", "loss", "auc")
Row = dict[str, Any]


async def measure(parameters: str, seed: int) -> Row:
    """All starts of one seed, on the same answers."""
    started, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        config = MetaConfig(
            meta_algorithm="maml",  # which asks most of a subject: second derivatives
            parameters=parameters,
            seed=seed,
            output_dir=Path(directory),
            device="cpu",
            **SETTINGS[parameters],
        )
        parts = assemble_meta(config)
        async with AsyncExitStack() as stack:
            subject = await open_subject(parts, stack, resumed=False)
            starts: dict[str, Any] = {}
            for algorithm in ALGORITHMS:
                own = config.model_copy(update={"meta_algorithm": algorithm})
                run = MetaRun(own, tuple(parts.problems.train), subject)
                while run.done < config.meta_steps:
                    run.step()
                starts |= {algorithm: run.meta, "joint": run.joint}
            starts["plain"] = subject.start()
            found = [asdict(row) async for row in measure_transfer(parts, subject, starts)]
            families = {
                name: len(subject.problem_ids(name))
                for name in (*parts.problems.train, parts.problems.unseen)
            }
    return {
        "rows": found,
        "learned_from": families,
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "wall_seconds": round(time.perf_counter() - started, 1),
    }


def summary_of(rows: Mapping[str, Row], seeds: list[int]) -> dict[str, Any]:
    """By what is learned, start and k: each measure over seeds, and what it has over the plain and the joint start,
    seed by seed."""
    found: dict[str, Any] = {}
    for parameters in SETTINGS:
        own = [seed for seed in seeds if f"{parameters}, seed {seed}" in rows]
        if len(own) < 2:
            continue
        by_place = {
            (row["start"], row["k"], seed): row
            for seed in own
            for row in rows[f"{parameters}, seed {seed}"]["rows"]
        }
        steps = sorted({k for _, k, _ in by_place})
        measures = [name for name in MEASURES if all(row[name] is not None for row in by_place.values())]
        for start in STARTS:
            for k in steps:
                cell: dict[str, Any] = {"seeds": own}
                for name in measures:
                    values = [by_place[start, k, seed][name] for seed in own]
                    cell[name] = over_seeds(values)
                    for other in ("plain", "joint"):
                        others = [by_place[other, k, seed][name] for seed in own]
                        if start != other:
                            cell[f"{name} over {other}"] = over_seeds(
                                [value - its for value, its in zip(values, others, strict=True)]
                            )
                found[f"{parameters}, {start}, k {k}"] = cell
    return found


def table(summary: Mapping[str, Any]) -> str:
    """Markdown."""
    columns = ("accuracy", "accuracy over plain", "loss", "loss over plain", "auc", "auc over plain")
    lines = [
        f"| learned | start | k | {' | '.join(columns)} |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for name, cell in summary.items():
        parameters, start, k = name.split(", ")
        cells = [_words(cell[column]) if column in cell else "" for column in columns]
        lines.append("| " + " | ".join([parameters, start, k.removeprefix("k "), *cells]) + " |")
    return "\n".join(lines)


def _words(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _about() -> dict[str, Any]:
    digest = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return {
        "settings": SETTINGS,
        "code_sha256": digest.hexdigest(),
        "model_sha256": bundled_sha256(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--parameters", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "meta_learning.json")
    arguments = parser.parse_args()
    about = _about()
    found = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    rows: dict[str, Row] = found["rows"] if found.get("about") == about else {}
    for parameters in arguments.parameters:
        for seed in arguments.seeds:
            name = f"{parameters}, seed {seed}"
            if name in rows:
                continue
            rows[name] = asyncio.run(measure(parameters, seed))
            print(f"{name}: {rows[name]['cpu_seconds']} CPU s, {rows[name]['wall_seconds']} s", flush=True)
            contents = {"about": about, "summary": summary_of(rows, arguments.seeds), "rows": rows}
            write_atomically(arguments.output, (json.dumps(contents, indent=2) + "\n").encode())
    print(table(summary_of(rows, arguments.seeds)))


if __name__ == "__main__":
    main()
