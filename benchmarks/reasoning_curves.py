"""Statistics over seeds and the curves of `reasoning_learning.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from learning_curves import over_seeds

Row = Mapping[str, Any]
_GRID = 40
"""Points of a curve."""


def seeds_of(arm: str, rows: Mapping[str, Row], seeds: Sequence[int]) -> list[int]:
    """Those that an arm was run with."""
    return [seed for seed in seeds if f"{arm}, seed {seed}" in rows]


def summary_of(
    rows: Mapping[str, Row], compared_with: Mapping[str, str], seeds: Sequence[int]
) -> dict[str, Any]:
    """By arm, in percent: accuracy on held-out problems over seeds, what it gained, and what it has over another arm,
    seed by seed. Means with 95 % t intervals; arms of a single seed are left out.

    Args:
        compared_with: by arm, the other one.
    """
    start = rows["before"]
    before = 100 * start["correct"] / start["n"]
    found: dict[str, Any] = {"before": before}
    for arm, other in compared_with.items():
        own = seeds_of(arm, rows, seeds)
        if len(own) < 2:
            continue
        after = {seed: _percent(rows[f"{arm}, seed {seed}"]) for seed in own}
        found[arm] = {
            "seeds": own,
            "accuracy": over_seeds(list(after.values())),
            "gain": over_seeds([value - before for value in after.values()]),
            "share_with_spread": _mean(rows, arm, own, "share_with_spread"),
            "clip_share": float(
                np.mean([np.mean(rows[f"{arm}, seed {seed}"]["clip_share"]) for seed in own])
            ),
            "generated_tokens": round(_mean(rows, arm, own, "generated_tokens")),
            "most_cpu_seconds": max(rows[f"{arm}, seed {seed}"]["cpu_seconds"] for seed in own),
        }
        both = [seed for seed in own if seed in seeds_of(other, rows, seeds)]
        if other != arm and len(both) > 1:
            differences = [after[seed] - _percent(rows[f"{other}, seed {seed}"]) for seed in both]
            found[arm][f"over {other}"] = over_seeds(differences)
    return found


def table(summary: Mapping[str, Any], compared_with: Mapping[str, str]) -> str:
    """Markdown."""
    lines = [
        f"Before: {summary['before']:.1f} %",
        "",
        "| arm | held out, % | beside | difference, points | groups with spread, % | CPU s a run, at most |",
        "|---|---|---|---|---|---|",
    ]
    for arm, other in compared_with.items():
        if arm not in summary:
            continue
        of = summary[arm]
        difference = of.get(f"over {other}")
        cells = (
            arm,
            _words(of["accuracy"]),
            other if difference else "",
            _words(difference) if difference else "",
            f"{100 * of['share_with_spread']:.0f}",
            f"{of['most_cpu_seconds']:.0f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(
    rows: Mapping[str, Row],
    summary: Mapping[str, Any],
    panels: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    path: Path,
) -> None:
    """Write ``path`` with .png and with .svg: accuracy of rollouts against tokens, and how held-out problems went.

    Args:
        panels: title and arms of each picture of curves.
    """
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "reasoning_learning"  # the same figures give the same bytes
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels) + 1, figsize=(15, 4.8), constrained_layout=True)
    for axis, (title, arms) in zip(axes, panels.items(), strict=False):
        for number, arm in enumerate(arms):
            _draw_curve(
                axis, [rows[f"{arm}, seed {seed}"] for seed in seeds_of(arm, rows, seeds)], number, arm
            )
        axis.set(
            title=title, xlabel="thousand generated tokens", ylabel="accuracy of rollouts, %", ylim=(40, 100)
        )
        axis.legend(loc="lower right", fontsize="small")
    named = [arm for arm in dict.fromkeys(arm for arms in panels.values() for arm in arms) if arm in summary]
    for place, arm in enumerate(reversed(named)):
        mean = summary[arm]["accuracy"]
        reach = [[mean["mean"] - mean["low"]], [mean["high"] - mean["mean"]]]
        axes[-1].errorbar(mean["mean"], place, xerr=reach, fmt="o", color="C0", capsize=3)
    axes[-1].set_yticks(range(len(named)), reversed(named))
    axes[-1].axvline(summary["before"], color="black", linestyle=":", label="before")
    axes[-1].set(title="Held-out problems, greedy", xlabel="accuracy, %")
    axes[-1].legend(loc="lower left", fontsize="small")
    figure.suptitle(
        f"Learning at an equal budget of generated tokens; {len(seeds)} seeds: means and 95 % intervals"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=130)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)


def _draw_curve(axis: Any, runs: Sequence[Row], number: int, arm: str) -> None:
    """Rollouts of an update tell of the model as it was before it, so they stand where the tokens before it end."""
    places = [[0.0, *accumulate(run["tokens_after"])][:-1] for run in runs]
    grid = np.linspace(0, min(place[-1] for place in places), _GRID)
    curves = [
        np.interp(grid, place, [100 * value for value in run["accuracy_of_rollouts"]])
        for place, run in zip(places, runs, strict=True)
    ]
    colour = f"C{number}"
    axis.plot(grid / 1000, np.mean(curves, axis=0), color=colour, label=arm)
    if len(curves) > 2:
        found = [over_seeds(list(values)) for values in zip(*curves, strict=True)]
        lows, highs = [each["low"] for each in found], [each["high"] for each in found]
        axis.fill_between(grid / 1000, lows, highs, color=colour, alpha=0.12, linewidth=0)


def _percent(row: Row) -> float:
    return float(100 * row["correct"] / row["n"])


def _mean(rows: Mapping[str, Row], arm: str, seeds: Sequence[int], name: str) -> float:
    return float(np.mean([rows[f"{arm}, seed {seed}"][name] for seed in seeds]))


def _words(mean: Mapping[str, float]) -> str:
    return f"{mean['mean']:.1f} [{mean['low']:.1f}, {mean['high']:.1f}]"
