"""What searching buys for its tokens: accuracy against tokens a problem, of searches and of what they compete with.

Arms are the vanilla baseline, the hierarchical loop and the loop without types, each alone and with k samples, of which
the majority counts, or the one that a value head values most; beam, best-first and Monte Carlo tree search with and
without the taxonomy, within a budget of tokens, the first and the last of them also with that head; and the beam
without one of its parts. The head is fitted to traces of all three kinds on training problems, by `train values`.

Tokens are counted twice: those of prompts and replies, cached ones included, and those of replies alone, which are what
is left of the cost where prompts are served from a prefix cache. No arm sees the ground truth of what it is tested on.
Settings were chosen on other training problems. An arm that is in the output file already, with the same model,
problems and settings, is not run again.

    python benchmarks/search_cost.py --draw docs/images/search_cost
    python benchmarks/search_cost.py --problems 20 --only "beam" "vanilla" --output FILE
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from main_run import finished

from hierarchical_reasoning.assets import MODEL, TRAIN_PROBLEMS
from hierarchical_reasoning.compare.report.scatter_labels import is_far, label_places
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.results.intervals import Accuracy
from hierarchical_reasoning.training.values.attempts import read_attempts
from hierarchical_reasoning.training.values.config import ValuesConfig
from hierarchical_reasoning.training.values.measures import measure
from hierarchical_reasoning.training.values.run import train_values
from hierarchical_reasoning.values.encoders import HiddenStates
from hierarchical_reasoning.values.learned import LearnedValue
from llm_backends.local.loading import load_model
from taxonomy.atomic import write_atomically

Row = dict[str, Any]
SAMPLED: dict[str, Any] = {"temperature": 0.4}
UNTYPED: dict[str, Any] = {"planner": "untyped"}
VANILLA: dict[str, Any] = {"vanilla_baseline": True}
SEARCH: dict[str, Any] = {
    **SAMPLED,
    "planner_temperature": 1.0,
    "repeat_types": True,
    "local_reward": "likelihood",
    "max_depth": 9,
    "branching_factor": 2,
    "max_nodes_per_level": 2,
    "max_search_tokens": 16_000,
    "select": "vote",
}
MCTS: dict[str, Any] = {**SEARCH, "search": "mcts", "branching_factor": 6, "mcts_c": 5.0}
BEAM: dict[str, Any] = {**SEARCH, "search": "beam"}
VALUED: dict[str, Any] = {"path_reward": "value", "local_reward": "value", "select": "best_path"}
"""With the head."""
TAUGHT_BY: tuple[dict[str, Any], ...] = (
    {**UNTYPED, **SAMPLED, "samples": 6},
    {**SAMPLED, "samples": 4},
    {**VANILLA, **SAMPLED, "samples": 8},
)
"""What the head is fitted to, each on the same training problems."""
FIRST_TAUGHT, N_TAUGHT = 200, 160


def arms() -> dict[str, dict[str, Any]]:
    """Settings by arm."""
    found: dict[str, dict[str, Any]] = {
        "vanilla": VANILLA,
        "vanilla 8": {**VANILLA, **SAMPLED, "samples": 8},
        "vanilla 32": {**VANILLA, **SAMPLED, "samples": 32},
        "hierarchical": {},
        "hierarchical 3": {**SAMPLED, "samples": 3},
        "untyped": UNTYPED,
        "untyped 4": {**UNTYPED, **SAMPLED, "samples": 4},
        "mcts": MCTS,
        "mcts, untyped": {**MCTS, **UNTYPED},
        "mcts, value head": {**MCTS, **VALUED},
        "mcts, untyped, value head": {**MCTS, **UNTYPED, **VALUED},
        "beam": BEAM,
        "beam, untyped": {**BEAM, **UNTYPED},
        "beam, value head": {**BEAM, **VALUED},
        "beam, untyped, value head": {**BEAM, **UNTYPED, **VALUED},
        "best-first": {**SEARCH, "search": "best_first"},
        "best-first, untyped": {**SEARCH, "search": "best_first", **UNTYPED},
    }
    return found | ablations()


def ablations() -> dict[str, dict[str, Any]]:
    """As `arms`: the beam without one of its parts."""
    return {
        "beam, types differ": {**BEAM, "repeat_types": False},
        "beam, no uncertainty": {**BEAM, "uncertainty": "none"},
        "beam, no causal reward": {**BEAM, "reward_weights": (0.4, 0.5, 0.0)},
        "beam, fixed branching": {**BEAM, "fixed_branching": True},
        "beam, no pruning": {**BEAM, "no_pruning": True},
    }


async def run_arm(name: str, n_problems: int, head: Path, cache_dir: Path) -> dict[str, Row]:
    """By name, what the arm came to; of an arm of k samples, by majority (maj@k) and by the head (best@k)."""
    settings = arms()[name]
    if settings.get("path_reward") == "value":
        settings = {**settings, "value_head": head}
    config = RunConfig(n_rows=n_problems, max_concurrency=32, cache_dir=cache_dir, no_cache=True, **settings)
    done = await finished(config)
    summary = done.results.summary
    n = summary.sampling.majority.n if summary.sampling else summary.accuracy.n
    taken = {
        "tokens_per_problem": round(summary.tokens_per_problem or 0),
        "reply_tokens_per_problem": round(sum(used.completion_tokens for used in summary.usage.values()) / n),
        "seconds": round(summary.wall_seconds or 0, 1),
    }
    if summary.sampling is None:
        return {name: _row(summary.accuracy) | taken}
    kind, k = name.split()
    return {
        f"{kind} maj@{k}": _row(summary.sampling.majority) | taken,
        f"{kind} best@{k}": _row(await _best(done.path, head, config.seed)) | taken,
    }


async def _best(results: Path, head: Path, seed: int) -> Accuracy:
    """Of the samples of each problem, the one that the head values most."""
    attempts = read_attempts([results]).graded
    known = await LearnedValue.load(head, HiddenStates(load_model(str(MODEL))))
    estimates = await known.estimate([attempt.places[-1] for attempt in attempts])
    return measure(attempts, [each.value for each in estimates], seed=seed).best


def _row(accuracy: Accuracy) -> Row:
    return {"n": accuracy.n, "correct": accuracy.correct}


async def make_head(folder: Path) -> None:
    """Fit one to traces on training problems."""
    with tempfile.TemporaryDirectory() as directory:
        problems = Path(directory) / "problems.jsonl"
        lines = TRAIN_PROBLEMS.read_text().splitlines(keepends=True)
        problems.write_text("".join(lines[FIRST_TAUGHT : FIRST_TAUGHT + N_TAUGHT]))
        files = []
        for number, settings in enumerate(TAUGHT_BY):
            config = RunConfig(
                input_file=problems,
                n_rows=N_TAUGHT,
                max_concurrency=64,
                cache_dir=Path(directory) / str(number),
                no_cache=True,
                **settings,
            )
            files.append((await finished(config)).path)
        await train_values(ValuesConfig(files=tuple(files), output_dir=folder, test_share=0), print)


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

    figure, axes = pyplot.subplots(1, 2, figsize=(17, 7.5), sharey=True, constrained_layout=True)
    counted = {
        "tokens_per_problem": "tokens a problem: prompts and replies, cached ones included",
        "reply_tokens_per_problem": "tokens a problem: replies alone",
    }
    low, high = (bound(_percent(row)[0] for row in rows.values()) for bound in (min, max))
    for axis, (field, label) in zip(axes, counted.items(), strict=True):
        least, most = (bound(row[field] for row in rows.values()) for bound in (min, max))
        places = [
            (
                0.05 + 0.8 * math.log(row[field] / least) / math.log(most / least),
                0.95 - 0.9 * (_percent(row)[0] - low) / (high - low),
                name,
            )
            for name, row in rows.items()
        ]
        for (name, row), (anchor, dx, dy) in zip(rows.items(), label_places(places), strict=True):
            share, below, above = _percent(row)
            searched = "search" in arms().get(name, {})
            typed = "untyped" not in name and "vanilla" not in name
            colour = "C0" if typed else "C1" if "untyped" in name else "0.4"
            axis.plot([row[field]] * 2, [below, above], color=colour, alpha=0.25, lw=1.2)
            valued = "best@" in name or "value head" in name
            face = colour if valued else "white"
            axis.plot(row[field], share, "o" if searched else "s", color=colour, mfc=face, ms=6)
            axis.annotate(
                name,
                (row[field], share),
                xytext=(dx, -dy),
                textcoords="offset points",
                ha="left" if anchor == "start" else "right",
                fontsize=8,
                arrowprops={"arrowstyle": "-", "color": "0.7", "lw": 0.6} if is_far(dx, dy) else None,
            )
        axis.set(xscale="log", xlabel=label)
        axis.margins(x=0.12)
        axis.grid(color="0.93")
    axes[0].set(ylabel="correct, %")
    figure.suptitle(
        f"{next(iter(rows.values()))['n']} held-out bundled problems; 95 % intervals. Circles search, squares do not; "
        "filled: a value head chooses"
    )
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
    parser.add_argument(
        "--head",
        type=Path,
        default=Path("cache/search_cost_head"),
        help="the value head; made if it is not there",
    )
    parser.add_argument("--draw", type=Path, help="write the plot to this name, with .png and with .svg")
    arguments = parser.parse_args()
    about = {
        "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
        "problems": arguments.problems,
        "taught_by": json.loads(json.dumps(TAUGHT_BY)),
        "arms": json.loads(json.dumps(arms())),
    }
    found = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    rows: dict[str, Row] = found["rows"] if found.get("about") == about else {}
    if not arguments.head.exists():
        asyncio.run(make_head(arguments.head))
    for name in arguments.only or arms():
        if name in rows or any(row.startswith(f"{name.split()[0]} maj@{name.split()[-1]}") for row in rows):
            continue
        with tempfile.TemporaryDirectory() as directory:
            new = asyncio.run(run_arm(name, arguments.problems, arguments.head, Path(directory)))
        print(new, flush=True)
        rows |= new
        contents = json.dumps({"about": about, "rows": rows}, indent=2) + "\n"
        write_atomically(arguments.output, contents.encode())
    print(table(rows))
    if arguments.draw:
        draw({name: row for name, row in rows.items() if name not in ablations()}, arguments.draw)


if __name__ == "__main__":
    main()
