"""A large results file read entry by entry against `json.load` of it: processor seconds and peak memory.

The file has entries of about 5 KB, six steps each, one entry a line, or over many lines as older files
have it. Every way runs in a process of its own, so that its peak memory is its own. `json.load` holds the entries and
counts the right ones; `results` is the command, which checks every entry as well.

    python benchmarks/results_reader.py [--entries 100000] [--output benchmarks/results/results_reader.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry, RoleUsage, StepRecord, TokenUsage

MEASURED = """
import re, resource, sys
sys.argv.pop(0)
{body}
used = resource.getrusage(resource.RUSAGE_SELF)
(peak,) = re.findall(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())
print(used.ru_utime + used.ru_stime, int(peak) * 1024)
"""
COMMAND = """
from hierarchical_reasoning.cli.results import results
results(sys.argv, standalone_mode=False)
"""
LOAD = """
import json
with open(sys.argv[0]) as file:
    found = json.load(file)["results"]
print(sum(entry["outcome"] == "correct" for entry in found))
"""
ARMS = {
    "json.load": (LOAD, []),
    "results": (COMMAND, []),
    "results --outcome wrong": (COMMAND, ["--outcome", "wrong"]),
    "results --export": (COMMAND, ["--export", "table.csv", "--overwrite"]),
}


def entry_of(number: int) -> dict[str, Any]:
    """An entry whose thoughts fill about 5 KB; one in three is wrong."""
    usage = TokenUsage(calls=1, prompt_tokens=400, cached_tokens=350, completion_tokens=30)
    thoughts = tuple(f"Thought {i} on problem {number}: " + "we add, " * 8 for i in range(6))
    options = {f"Thought type {i}": 1 / 4 for i in range(4)}
    steps = tuple(
        StepRecord(
            thought_type="Thought type 1",
            node_id="1",
            thought=thought,
            planner_probabilities=options,
            planner_usage=usage,
            reasoner_usage=usage,
        )
        for thought in thoughts
    )
    wrong = number % 3 == 0
    entry = ResultEntry(
        problem_id=f"p{number}",
        problem="What is 19 + 19 * 31 + 76 - 64?",
        use_hierarchical=True,
        label_level=3,
        thought_types=tuple(step.thought_type for step in steps),
        thoughts=thoughts,
        final_response="\\boxed{620}",
        extracted_answer="620",
        is_correct=not wrong,
        ground_truth="621" if wrong else "620",
        outcome=Outcome.WRONG if wrong else Outcome.CORRECT,
        reason="another number: 620, not 621" if wrong else "the same number: 620",
        steps=steps,
        usage={
            role: RoleUsage(calls=8, prompt_tokens=3000, completion_tokens=90, cost_usd=0.0)
            for role in ("planner", "reasoner")
        },
        seconds=1.0,
    )
    return entry.model_dump(mode="json")


def write_results(path: Path, n: int, indent: int | None) -> None:
    with path.open("w") as file:
        file.write('{"model_name": "m", "label_level": 3, "use_hierarchical_reasoning": true, "results": [')
        for number in range(n):
            file.write(",\n" if number else "\n")
            file.write(json.dumps(entry_of(number), indent=indent))
        file.write("\n]}\n")


def measure(path: Path, body: str, options: list[str]) -> dict[str, float]:
    code = MEASURED.format(body=body)
    command = [sys.executable, "-c", code, str(path), *options]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=path.parent, env=environment
    )
    seconds, peak = done.stdout.split()[-2:]
    return {"cpu_s": round(float(seconds), 2), "peak_mb": round(int(peak) / 1e6, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="Where the file is written for a while.")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"entries": arguments.entries, "python": platform.python_version()}
    for layout, indent in (("an entry a line", None), ("indented", 2)):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = Path(folder) / "results.json"
            write_results(path, arguments.entries, indent)
            found[layout] = {"file_mb": round(path.stat().st_size / 1e6, 1)}
            print(f"{layout}: {found[layout]['file_mb']} MB")
            for name, (body, options) in ARMS.items():
                row = found[layout][name] = measure(path, body, options)
                base = found[layout]["json.load"]
                row["time_ratio"] = round(row["cpu_s"] / base["cpu_s"], 2)
                row["memory_ratio"] = round(row["peak_mb"] / base["peak_mb"], 3)
                print(
                    f"  {name:<24} " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True
                )
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
