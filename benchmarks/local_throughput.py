"""How much running problems side by side helps the ``local`` backend.

The same bundled problems are solved at level 3 with 1, 16 and 64 in flight; the first is "one after another", to which
the others are compared. Greedy, so that each does the same work.

    python benchmarks/local_throughput.py [--problems 64] [--output benchmarks/results/local_throughput.json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import torch

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.runner import execute, open_journal

IN_FLIGHT = (1, 16, 64)


async def measure(n_problems: int, in_flight: int, cache_dir: Path) -> dict[str, float]:
    """Solve the problems and count what was generated; loading the model is not timed."""
    config = RunConfig(
        n_rows=n_problems, temperature=0.0, max_concurrency=in_flight, cache_dir=cache_dir, no_cache=True
    )
    run = assemble(config)
    journal, _ = open_journal(run, resume=False)
    with journal:
        async with make_backends(config) as backends:
            started = time.perf_counter()
            finished = await execute(run, backends, journal, Observer())
            seconds = time.perf_counter() - started
    usage = finished.results.summary.usage
    generated = usage["reasoner"].completion_tokens  # choices are scored, not generated
    prompt = sum(used.prompt_tokens for used in usage.values())
    cached = sum(used.cached_tokens for used in usage.values())
    return {
        "in_flight": in_flight,
        "seconds": round(seconds, 2),
        "generated_tokens": generated,
        "generated_tokens_per_s": round(generated / seconds, 1),
        "prompt_tokens_from_cache": round(cached / prompt, 3),
        "accuracy": finished.results.summary.accuracy.value or 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(2, 2, Path(directory)))
        rows = [asyncio.run(measure(arguments.problems, n, Path(directory))) for n in IN_FLIGHT]
    for row in rows:
        row["times_one_after_another"] = round(rows[0]["seconds"] / row["seconds"], 2)
        print("  ".join(f"{name}: {value}" for name, value in row.items()))
    if arguments.output:
        about = {
            "command": f"python benchmarks/local_throughput.py --problems {arguments.problems}",
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "torch_threads": torch.get_num_threads(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
        }
        arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
