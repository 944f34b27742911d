"""What searching buys for its tokens: accuracy against tokens a problem, of searches and of what they compete with.

Arms are the vanilla baseline, the hierarchical loop and the loop without types, each alone and by the majority of k
samples; beam, best-first and Monte Carlo tree search with and without the taxonomy, within a budget of tokens; and the
beam without one of its parts. Tokens are counted twice: those of prompts and replies, cached ones included, and
those of replies alone, which are what is left of the cost where prompts are served from a prefix cache. No arm sees the
ground truth. Settings were chosen on training problems. An arm that is in the output file already, with the same model,
problems and settings, is not run again.

    python benchmarks/search_cost.py --draw docs/images/search_cost
    python benchmarks/search_cost.py --problems 20 --only "beam" "vanilla" --output FILE
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from main_run import solved

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.results.intervals import Accuracy
from taxonomy.atomic import write_atomically

Row = dict[str, Any]
SEARCH: dict[str, Any] = {
    "temperature": 0.7,
    "planner_temperature": 1.0,
    "repeat_types": True,
    "local_reward": "likelihood",
    "max_depth": 9,
    "branching_factor": 2,
    "max_nodes_per_level": 2,
    "max_search_tokens": 25_000,
    "select": "vote",
}
UNTYPED: dict[str, Any] = {"planner": "untyped"}
SAMPLED: dict[str, Any] = {"temperature": 0.7}


def arms() -> dict[str, dict[str, Any]]:
    """Settings by arm."""
    found: dict[str, dict[str, Any]] = {
        "vanilla": {"vanilla_baseline": True},
        "vanilla maj@8": {"vanilla_baseline": True, "samples": 8, **SAMPLED},
        "vanilla maj@32": {"vanilla_baseline": True, "samples": 32, **SAMPLED},
        "hierarchical": {},
        "hierarchical maj@4": {"samples": 4, **SAMPLED},
        "untyped": UNTYPED,
        "untyped maj@4": {"samples": 4, **UNTYPED, **SAMPLED},
    }
    for search in ("mcts", "beam", "best_first"):
        found[search] = {"search": search, **SEARCH}
        found[f"{search}, untyped"] = {"search": search, **SEARCH, **UNTYPED}
    beam = {"search": "beam", **SEARCH}
    found["beam, types differ"] = {**beam, "repeat_types": False}
    found["beam, no uncertainty"] = {**beam, "uncertainty": "none"}
    found["beam, no causal reward"] = {**beam, "reward_weights": (0.4, 0.5, 0.0)}
    found["beam, fixed branching"] = {**beam, "fixed_branching": True}
    found["beam, no pruning"] = {**beam, "no_pruning": True}
    return found


async def run_arm(settings: Mapping[str, Any], n_problems: int, cache_dir: Path) -> Row:
    config = RunConfig(n_rows=n_problems, max_concurrency=32, cache_dir=cache_dir, no_cache=True, **settings)
    summary = await solved(config)
    accuracy = summary.sampling.majority if summary.sampling else summary.accuracy
    return {
        "n": accuracy.n,
        "correct": accuracy.correct,
        "outcomes": {outcome.value: n for outcome, n in summary.outcomes.items() if n},
        "tokens_per_problem": round(summary.tokens_per_problem or 0),
        "reply_tokens_per_problem": round(
            sum(used.completion_tokens for used in summary.usage.values()) / accuracy.n
        ),
        "seconds": round(summary.wall_seconds or 0, 1),
    }


def table(rows: Mapping[str, Row]) -> str:
    """Markdown, in the order of cost."""
    lines = ["| arm | correct, % | tokens a problem | of these, in replies |", "|---|---|---|---|"]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["tokens_per_problem"]):
        share, low, high = _percent(row)
        tokens = f"{row['tokens_per_problem']:,} | {row['reply_tokens_per_problem']:,}"
        lines.append(f"| {name} | {share:.1f} [{low:.1f}, {high:.1f}] | {tokens} |")
    return "\n".join(lines)


def draw(rows: Mapping[str, Row], path: Path) -> None:
    """Write ``path`` with .png and with .svg."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "search_cost"  # the same figures give the same bytes
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(14, 5.5), sharey=True, constrained_layout=True)
    counted = {
        "tokens_per_problem": "tokens a problem: prompts and replies, cached ones included",
        "reply_tokens_per_problem": "tokens a problem: replies alone",
    }
    for axis, (field, label) in zip(axes, counted.items(), strict=True):
        for name, row in rows.items():
            share, low, high = _percent(row)
            searched, typed = "search" in arms()[name], "untyped" not in name and "vanilla" not in name
            axis.errorbar(
                row[field],
                share,
                [[share - low], [high - share]],
                fmt="o" if searched else "s",
                color="C0" if typed else "C1" if "untyped" in name else "0.4",
                capsize=3,
            )
            axis.annotate(name, (row[field], share), xytext=(6, 4), textcoords="offset points", fontsize=8)
        axis.set(xscale="log", xlabel=label)
    axes[0].set(ylabel="correct, %")
    figure.suptitle(f"{next(iter(rows.values()))['n']} held-out bundled problems; 95 % intervals")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=130)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)


def _percent(row: Row) -> tuple[float, float, float]:
    accuracy = Accuracy.of(row["correct"], row["n"])
    return 100 * row["correct"] / row["n"], 100 * accuracy.low, 100 * accuracy.high


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=list(arms()), help="these arms alone")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/search_cost.json"))
    parser.add_argument("--draw", type=Path, help="write the plot to this name, with .png and with .svg")
    arguments = parser.parse_args()
    about = {
        "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
        "problems": arguments.problems,
        "arms": json.loads(json.dumps(arms())),
    }
    found = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    rows: dict[str, Row] = found["rows"] if found.get("about") == about else {}
    for name, settings in arms().items():
        if name in rows or (arguments.only and name not in arguments.only):
            continue
        with tempfile.TemporaryDirectory() as directory:
            rows[name] = asyncio.run(run_arm(settings, arguments.problems, Path(directory)))
        print(name, rows[name], flush=True)
        contents = json.dumps({"about": about, "rows": rows}, indent=2) + "\n"
        write_atomically(arguments.output, contents.encode())
    print(table(rows))
    if arguments.draw:
        draw(rows, arguments.draw)


if __name__ == "__main__":
    main()
