"""Whether a language model learns to reason: explorers, credit and objectives at an equal budget of generated tokens.

For each arm and seed the bundled model is trained by the library call of ``hierarchical-reasoning train run`` until its
rollouts have taken the budget of tokens; then the newest checkpoint answers held-out problems, greedily, as the main
command's vanilla baseline does. Arms are GRPO, DAPO, TreeRPO, HAPO, and HAPO's four parts one by one. Each run is a
process of its own; a row measured already with the same settings and code is not measured again. Means over seeds have
95 % t intervals, and differences are taken seed by seed.

    python benchmarks/reasoning_learning.py
    python benchmarks/reasoning_learning.py --seeds 0 --arms GRPO TreeRPO --budget 20000 --problems 20 --output FILE
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from learning_runs import bundled_sha256, held_out
from main_run import solved
from reasoning_curves import draw, summary_of, table

from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.training.explorers.settings import DELIMITERS
from taxonomy.atomic import write_atomically

ROOT = Path(__file__).parents[1]
CODE = (
    "hierarchical_reasoning/training/**/*.py",
    "hierarchical_reasoning/trees/*.py",
    "hierarchical_reasoning/prompts/**/*.*",
    "llm_backends/local/*.py",
)
"""What a measurement depends on."""
COMMON: dict[str, Any] = {
    "n_rows": 640,
    "eval_rows": 0,
    "batch_size": 8,
    "num_rollouts_per_prompt": 8,
    "num_iterations": 2,  # in the first nothing can be clipped
}
PLAIN = {"objective": "hapo", "adv_estimator": "scaled"} | dict.fromkeys(
    ("adaptive_temperature", "adaptive_advantage", "adaptive_clip"), False
)
"""HAPO with none of its parts."""
ARMS: dict[str, dict[str, Any]] = {
    "GRPO": {"objective": "grpo"},
    "DAPO": {"objective": "dapo"},
    "TreeRPO": {"explorer": "entropy_tree", "credit": "descendant_mean", "objective": "grpo"},
    "TreeRPO, every delimiter": {
        "explorer": "entropy_tree",
        "credit": "descendant_mean",
        "objective": "grpo",
        "delimiters": list(DELIMITERS),
    },
    "HAPO": {"objective": "hapo"},
    "none of HAPO": PLAIN,
    "HAPO temperature": PLAIN | {"adaptive_temperature": True},
    "HAPO advantage estimate": PLAIN | {"adv_estimator": "hapo"},
    "HAPO redistribution": PLAIN | {"adaptive_advantage": True},
    "HAPO clip": PLAIN | {"adaptive_clip": True},
}
PARTS = [arm for arm in ARMS if arm.startswith("HAPO ")]
COMPARED_WITH = dict.fromkeys(ARMS, "GRPO") | dict.fromkeys(["HAPO", *PARTS], "none of HAPO")
PANELS = {
    "Algorithms": ["GRPO", "DAPO", "TreeRPO", "TreeRPO, every delimiter", "HAPO"],
    "HAPO's parts": ["none of HAPO", *PARTS],
}
Row = dict[str, Any]


def train(arm: str, seed: int, budget: int, output_dir: Path, overrides: dict[str, Any]) -> Row:
    """One run, in this process, which does nothing else."""
    from anyio.from_thread import start_blocking_portal

    from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
    from hierarchical_reasoning.training.language_model.parts import assemble_language_model
    from hierarchical_reasoning.training.log import Record, UpdateRecord
    from hierarchical_reasoning.training.run import train_language_model
    from hierarchical_reasoning.training.sharding.launch import check_launch

    shutil.rmtree(output_dir, ignore_errors=True)
    settings = COMMON | ARMS[arm] | overrides
    config = LanguageModelConfig(seed=seed, output_dir=output_dir, save_every=1000, **settings)
    launch = check_launch(problems_per_update=config.problems_per_update, device=config.device)
    updates: list[UpdateRecord] = []

    def keep(record: Record) -> None:
        if isinstance(record, UpdateRecord):
            updates.append(record)

    def generated() -> float:
        return sum(record.trees["generated_tokens"] for record in updates)

    started, cpu = time.perf_counter(), time.process_time()
    with start_blocking_portal() as portal:
        trained = train_language_model(
            assemble_language_model(config),
            portal,
            launch,
            report=keep,
            stop_requested=lambda: int(generated() >= budget),
        )
    trees = {name: sum(record.trees[name] for record in updates) for name in updates[0].trees}
    return {
        "updates": trained.updates,
        "generated_tokens": generated(),
        "trained_tokens": sum(record.trained_tokens for record in updates),
        "share_with_spread": round(trees["groups_with_spread"] / trees["groups"], 3),
        "unique_token_share": round(trees["unique_tokens"] / trees["tokens_on_paths"], 3),
        "leaves_a_tree": round(trees["leaves"] / trees["trees"], 2),
        "accuracy_of_rollouts": [round(record.accuracy, 4) for record in updates],
        "entropy": [round(record.entropy, 4) for record in updates],
        "clip_share": [round(record.clip_share, 5) for record in updates],
        "tokens_after": [record.trees["generated_tokens"] for record in updates],
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "wall_seconds": round(time.perf_counter() - started, 1),
        "checkpoint": trained.last.resolve().name,
    }


def measure(model: str, ids: Sequence[str]) -> Row:
    """The vanilla baseline with this model, greedily."""
    with tempfile.TemporaryDirectory() as directory:
        config = RunConfig(
            sample_id=tuple(ids),
            model_name=model,
            vanilla_baseline=True,
            temperature=0.0,
            max_concurrency=64,
            cache_dir=Path(directory),
            no_cache=True,
        )
        summary = asyncio.run(solved(config))
    return {
        "correct": summary.accuracy.correct,
        "n": summary.accuracy.n,
        "errors": len(ids) - summary.accuracy.n,
    }


def alone(function: Any, *arguments: Any) -> Row:
    """In a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        row: Row = pool.submit(function, *arguments).result()
        return row


def _about(arguments: argparse.Namespace, ids: Sequence[str], overrides: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return {
        "problems": [ids[0], ids[-1], len(ids)],
        "budget": arguments.budget,
        "settings": COMMON | overrides,
        "arms": ARMS,
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
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--budget", type=int, default=200_000, help="tokens that rollouts may generate")
    parser.add_argument("--problems", type=int, default=200, help="held out")
    parser.add_argument("--work_dir", type=Path, default=Path("cache/reasoning_learning"))
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "reasoning_learning.json"
    )
    parser.add_argument("--draw", type=Path, help="write the curves to this name, with .png and with .svg")
    parser.add_argument("--train", nargs="*", default=[], help="name=value, over the settings of all arms")
    arguments = parser.parse_args()
    overrides = dict(each.split("=", 1) for each in arguments.train)
    ids = held_out(arguments.problems, {})
    about = _about(arguments, ids, overrides)
    found = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    rows: dict[str, Row] = found["rows"] if found.get("about") == about else {}

    def ensure(name: str, make: Any) -> None:
        if name in rows:
            return
        rows[name] = make()
        print(f"{name}: { ({k: v for k, v in rows[name].items() if not isinstance(v, list)}) }", flush=True)
        summary = summary_of(rows, COMPARED_WITH, arguments.seeds)
        contents = {"about": about, "summary": summary, "rows": rows}
        write_atomically(arguments.output, (json.dumps(contents, indent=2) + "\n").encode())

    ensure("before", lambda: alone(measure, "bundled", ids))
    for seed in arguments.seeds:
        for arm in arguments.arms:

            def run(arm: str = arm, seed: int = seed) -> Row:
                output_dir = arguments.work_dir / f"{arm.replace(' ', '_')}-seed-{seed}"
                row = alone(train, arm, seed, arguments.budget, output_dir, overrides)
                return row | alone(measure, str((output_dir / "last").resolve()), ids)

            ensure(f"{arm}, seed {seed}", run)
    summary = summary_of(rows, COMPARED_WITH, arguments.seeds)
    print(table(summary, COMPARED_WITH))
    if arguments.draw:
        draw(rows, summary, PANELS, arguments.seeds, arguments.draw)


if __name__ == "__main__":
    main()
