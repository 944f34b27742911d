"""Statistics over seeds, the table and the curves of `planner_learning.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

MODES: tuple[Literal["greedy", "sampled"], ...] = ("greedy", "sampled")
_FEWEST_FOR_AN_INTERVAL = 3
"""Seeds; of fewer, each is drawn by itself."""
ARMS = ("trained", "shuffled")
Row = Mapping[str, Any]
Mean = dict[str, float]
"""mean, low and high."""


def over_seeds(values: Sequence[float], confidence: float = 0.95) -> Mean:
    """The mean with Student's t interval, of two independent values or more."""
    from scipy.stats import t

    centre = mean(values)
    half = float(t.ppf(0.5 + confidence / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return {"mean": centre, "low": centre - half, "high": centre + half}


def gap_closed(before: float, after: float, teacher: float) -> float:
    """(after - before) / (teacher - before): 0 as before, 1 as the teacher. Raises ValueError where there is no gap."""
    if teacher <= before:
        raise ValueError(
            f"the teacher, {teacher}, is no better than before, {before}: there is no gap to close"
        )
    return (after - before) / (teacher - before)


def share(row: Row) -> float:
    return float(row["correct"] / row["n"])


def seeds_of(arm: str, rows: Mapping[str, Row], seeds: Sequence[int]) -> list[int]:
    """Those that an arm was run with."""
    return [seed for seed in seeds if f"seed {seed}, {arm}" in rows]


def summary_of(rows: Mapping[str, Row], seeds: Sequence[int]) -> dict[str, Any]:
    """All that is claimed, over seeds; differences are taken seed by seed."""
    teacher = {seed: share(rows[f"seed {seed}, teacher"]) for seed in seeds}
    runs = [rows[f"seed {seed}, {arm}"] for arm in ARMS for seed in seeds_of(arm, rows, seeds)]
    summary: dict[str, Any] = {"seeds": list(seeds), "teacher": over_seeds(list(teacher.values()))}
    for mode in MODES:
        before = {seed: share(rows[f"seed {seed}, before, {mode}"]) for seed in seeds}
        found: dict[str, Any] = {"before": over_seeds(list(before.values()))}
        for arm in ARMS:
            own = seeds_of(arm, rows, seeds)
            after = {seed: share(rows[f"seed {seed}, {arm}, {mode}"]) for seed in own}
            found[arm] = {
                "seeds": own,
                "after": over_seeds(list(after.values())),
                "change": over_seeds([after[seed] - before[seed] for seed in own]),
                "gap_closed": over_seeds(
                    [gap_closed(before[seed], after[seed], teacher[seed]) for seed in own]
                ),
            }
        summary[mode] = found
    return summary | {
        "most_cpu_seconds": max(run["cpu_seconds"] for run in runs),
        "most_wall_seconds": max(run["wall_seconds"] for run in runs),
        "reasoner_unchanged": all(
            run["reasoner_unchanged_in_file"] and run["reasoner_unchanged_in_memory"] for run in runs
        ),
        "reasoner_memory_sha256": sorted({run["reasoner_memory_sha256"] for run in runs}),
    }


def table(summary: Mapping[str, Any]) -> str:
    """Markdown; percent, with 95 % intervals over seeds."""
    lines = ["| planner | " + " | ".join(MODES) + " |", "|---|---|---|"]
    lines.append("| before | " + " | ".join(_percent(summary[mode]["before"]) for mode in MODES) + " |")
    for arm, name in (("trained", "after"), ("shuffled", "after, rewards shuffled")):
        for key, what in (
            ("after", ""),
            ("change", ", less before"),
            ("gap_closed", ", gap to the teacher closed"),
        ):
            cells = (_percent(summary[mode][arm][key]) for mode in MODES)
            lines.append(f"| {name}{what} | " + " | ".join(cells) + " |")
    lines.append(f"| teacher | {_percent(summary['teacher'])} | |")
    unchanged = "bit-identical" if summary["reasoner_unchanged"] else "CHANGED"
    lines += [
        "",
        f"at most {summary['most_cpu_seconds']} s of CPU a run; the reasoner's weights are {unchanged}",
    ]
    return "\n".join(lines)


def _percent(found: Mean) -> str:
    low, centre, high = (100 * found[key] for key in ("low", "mean", "high"))
    return f"{centre:.1f} [{low:.1f}, {high:.1f}]"


def draw(rows: Mapping[str, Row], summary: Mapping[str, Any], seeds: Sequence[int], path: Path) -> None:
    """Write ``path`` with .png and with .svg."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "planner_learning"  # the same figures give the same bytes
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7.5), constrained_layout=True)
    for axis, arm, title in zip(
        axes[0], ARMS, ("Held-out problems", "The same, rewards shuffled"), strict=True
    ):
        _draw_held_out(axis, rows, summary, seeds, arm)
        axis.set(title=title, xlabel="update", ylabel="accuracy, %", ylim=(0, 100))
    axes[0][0].legend(loc="lower right", fontsize="small")
    for axis, key, title, factor in (
        (axes[1][0], "train_accuracy", "Training episodes: accuracy, %", 100),
        (axes[1][1], "entropy", "Training episodes: entropy of a choice, nats", 1),
    ):
        for arm, colour in zip(ARMS, ("C0", "C3"), strict=True):
            own = seeds_of(arm, rows, seeds)
            curves = [[factor * value for value in rows[f"seed {seed}, {arm}"][key]] for seed in own]
            _draw_mean(axis, range(1, len(curves[0]) + 1), curves, colour, arm)
        axis.set(title=title, xlabel="update")
        axis.set_ylim(bottom=0)
        axis.legend(loc="best")
    figure.suptitle(f"GRPO on the planner, {len(seeds)} seeds: means and 95 % intervals over seeds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=130)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)


def _draw_held_out(
    axis: Any, rows: Mapping[str, Row], summary: Mapping[str, Any], seeds: Sequence[int], arm: str
) -> None:
    """Curves: the problems that a run measures itself on. Beside them, with bars: the others, which count."""
    for mode, colour, offset in zip(MODES, ("C0", "C1"), (0.0, 0.25), strict=True):
        own = seeds_of(arm, rows, seeds)
        evaluations = [rows[f"seed {seed}, {arm}"]["evaluations"][mode] for seed in own]
        updates = [update for update, _, _ in evaluations[0]]
        curves = [[100 * correct / n for _, correct, n in run] for run in evaluations]
        _draw_mean(axis, updates, curves, colour, f"{mode}, as the run measured")
        ends = (
            (-0.6 - offset, summary[mode]["before"]),
            (updates[-1] + 0.6 + offset, summary[mode][arm]["after"]),
        )
        for x, found in ends if len(own) >= _FEWEST_FOR_AN_INTERVAL else ends[:1]:
            centre = 100 * found["mean"]
            low, high = _within(100 * found["low"]), _within(100 * found["high"])
            axis.errorbar(x, centre, [[centre - low], [high - centre]], fmt="o", color=colour, capsize=3)
        axis.axhline(
            100 * summary[mode]["before"]["mean"], color=colour, linestyle=":", label=f"{mode}, before"
        )
    axis.axhline(100 * summary["teacher"]["mean"], color="black", linestyle="--", label="teacher")


def _draw_mean(
    axis: Any, x: Sequence[int], curves: Sequence[Sequence[float]], colour: str, label: str
) -> None:
    if len(curves) < _FEWEST_FOR_AN_INTERVAL:
        for number, curve in enumerate(curves):
            axis.plot(x, curve, color=colour, marker=".", linewidth=1, label=label if number == 0 else None)
        return
    found = [over_seeds(values) for values in zip(*curves, strict=True)]
    axis.plot(x, [each["mean"] for each in found], color=colour, marker=".", label=label)
    lows, highs = [each["low"] for each in found], [each["high"] for each in found]
    axis.fill_between(x, lows, highs, color=colour, alpha=0.15, linewidth=0)


def _within(percent: float) -> float:
    return min(100.0, max(0.0, percent))
