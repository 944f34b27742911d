"""Whether a planner learns by GRPO: accuracy on held-out problems before and after, over seeds.

For each seed the bundled model is trained as ``train_model_grpo.py`` does without flags, and again with the rewards
shuffled across the episodes of each update, which should teach nothing. What is measured is what ``best`` under
``--output_dir`` does as the planner of the main command, on bundled test problems that the run neither trained on nor
chose its best checkpoint by; with shuffled rewards ``last``, since choosing by true accuracy would teach something.
Beside it the planner that it started from, and the teacher planner, all with the same reasoner, problems and seed,
greedy and sampled. Means over seeds have 95 % t intervals, single runs Wilson's.

Checked besides: the reasoner's weights are bit-identical after training, in the file and in memory; the main command
takes the trained planner; and what processor time a training run takes.

A row measured already with the same settings and code is not measured again; a run that was cut short begins anew.
With ``--train`` settings other than the defaults can be tried.

    python benchmarks/planner_learning.py
    python benchmarks/planner_learning.py --seeds 0 1 --problems 8 --work_dir DIR --output DIR/learning.json \\
        --curves DIR/learning --train n_rows=8 num_rollouts_per_prompt=4 eval_rows=4 batch_size=2
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from learning_curves import ARMS, MODES, draw, summary_of, table
from learning_runs import Mode, bundled_sha256, held_out, measure, train

from hierarchical_reasoning.training.config import GrpoConfig
from taxonomy.atomic import write_atomically

ROOT = Path(__file__).parents[1]
CODE = (
    "hierarchical_reasoning/training/**/*.py",
    "hierarchical_reasoning/solvers/*.py",
    "hierarchical_reasoning/planners/*.py",
    "hierarchical_reasoning/prompts/**/*.*",
    "hierarchical_reasoning/reasoner.py",
    "llm_backends/choices.py",
    "llm_backends/local/*.py",
    "benchmarks/learning_runs.py",
)
"""What a measurement depends on."""
Row = dict[str, Any]


class Rows:
    """The rows of the results file, each written as soon as it is there."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path = path
        self._about = about
        found = json.loads(path.read_text()) if path.exists() else {}
        self.rows: dict[str, Row] = found["rows"] if found.get("about") == about else {}

    def ensure(self, name: str, make: Callable[[], Row]) -> Row:
        if name not in self.rows:
            self.rows[name] = make()
            shown = {
                key: value for key, value in self.rows[name].items() if not isinstance(value, list | dict)
            }
            print(f"{name}: {shown}", flush=True)
            self.write({})
        return self.rows[name]

    def write(self, summary: dict[str, Any]) -> None:
        everything = {"about": self._about, "summary": summary, "rows": self.rows}
        write_atomically(self._path, (json.dumps(everything, indent=2) + "\n").encode())


def one_seed(
    rows: Rows,
    seed: int,
    ids: Sequence[str],
    overrides: dict[str, Any],
    work_dir: Path,
    arms: Sequence[str],
) -> None:
    """All rows of one seed."""

    def measured(name: str, mode: Mode, planner: dict[str, Any]) -> None:
        rows.ensure(f"seed {seed}, {name}", lambda: alone(measure_now, seed, ids, mode, overrides, planner))

    measured("teacher", "greedy", {"planner": "teacher"})
    for mode in MODES:
        measured(f"before, {mode}", mode, {})
    for arm in arms:
        output_dir = work_dir / f"seed-{seed}-{arm}"
        make = partial(alone, train, seed, arm == "shuffled", output_dir, overrides)
        run = rows.ensure(f"seed {seed}, {arm}", make)
        for mode in MODES:
            chosen = run["last"] if arm == "shuffled" else run["planner"]
            measured(f"{arm}, {mode}", mode, {"planner_model_name": str(output_dir / chosen)})


def measure_now(
    seed: int, ids: Sequence[str], mode: Mode, overrides: dict[str, Any], planner: dict[str, Any]
) -> Row:
    """A measurement, to its end; `planner` has the settings of the main command that name it."""
    return asyncio.run(measure(seed, ids, mode, overrides, **planner))


def alone(function: Callable[..., Row], *arguments: Any) -> Row:
    """In a process of its own, so that its processor time and memory are its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main_command(planner: Path, work_dir: Path) -> Row:
    """The command as a user gives it, with the trained planner."""
    cache_dir = work_dir / "main_command"
    shutil.rmtree(cache_dir, ignore_errors=True)
    options = ["--planner_model_name", str(planner), "--label_level", "3", "--n_rows", "50"]
    finished = subprocess.run(
        [sys.executable, "hierarchical_reasoning.py", *options, "--cache_dir", str(cache_dir)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    found = [json.loads(path.read_text()) for path in cache_dir.glob("results_*.json")]
    return {
        "exit_status": finished.returncode,
        "n": 50,
        "correct": found[0]["summary"]["accuracy"]["correct"],
    }


def _about(arguments: argparse.Namespace, overrides: dict[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    code = hashlib.sha256()
    for path in sorted({path for pattern in CODE for path in ROOT.glob(pattern) if path.is_file()}):
        code.update(path.read_bytes())
    settings = GrpoConfig(**overrides).affecting_weights()
    del settings["seed"]
    return {
        "problems": [ids[0], ids[-1], len(ids)],
        "settings": settings,
        "code_sha256": code.hexdigest(),
        "model_sha256": bundled_sha256(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="two or more")
    parser.add_argument(
        "--shuffled_seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the ablation; two or more"
    )
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument(
        "--work_dir", type=Path, default=Path("cache/planner_learning"), help="of the training runs"
    )
    parser.add_argument("--train", type=_setting, nargs="+", default=[], metavar="NAME=VALUE")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/planner_learning.json"))
    parser.add_argument(
        "--curves", type=Path, default=Path("docs/images/planner_learning"), help="without .png, .svg"
    )
    arguments = parser.parse_args()
    for flag, seeds in (
        ("--seeds", arguments.seeds),
        ("--shuffled_seeds", set(arguments.shuffled_seeds) & set(arguments.seeds)),
    ):
        if len(seeds) < 2:
            parser.error(f"one seed has no interval; give two {flag} or more, of those in --seeds")
    overrides = dict(arguments.train)
    ids = held_out(arguments.problems, overrides)
    rows = Rows(arguments.output, _about(arguments, overrides, ids))
    work_dir = arguments.work_dir.resolve()
    for seed in arguments.seeds:
        arms = ARMS if seed in arguments.shuffled_seeds else ARMS[:1]
        one_seed(rows, seed, ids, overrides, work_dir, arms)
    first = arguments.seeds[0]
    planner = work_dir / f"seed-{first}-trained" / rows.rows[f"seed {first}, trained"]["planner"]
    rows.ensure("main command", lambda: main_command(planner, work_dir))
    summary = summary_of(rows.rows, arguments.seeds)
    rows.write(summary)
    print(table(summary))
    draw(rows.rows, summary, arguments.seeds, arguments.curves)


if __name__ == "__main__":
    main()
