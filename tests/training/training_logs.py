"""Logs as training runs leave them, made up: a planner that learns to use fewer, better thought types."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.log import (
    START,
    CalibrationBin,
    EvaluationRecord,
    Mode,
    Record,
    UpdateRecord,
    as_json,
)

THOUGHT_TYPES = (
    "Addition and Constant Addition",
    "Coefficient Division and Division",
    "Multiplication and Bracket Multiplication",
    "Parenthesis Resolution",
    "Subtraction, Constant Subtraction and Variable Subtraction",
    "Answer Statement and Result Check",
    "Expression Setup, Problem Restatement and Fact Listing",
)


def made_up_run(
    updates: int,
    *,
    evaluate_every: int = 8,
    n: int = 100,
    seed: int = 7,
    names: Sequence[str] = THOUGHT_TYPES,
) -> list[Record]:
    """The records of a run that learns."""
    source = random.Random(seed)
    records: list[Record] = [*evaluations(0, 0.0, n, source, names)]
    for number in range(1, updates + 1):
        learned = 1 - math.exp(-3 * number / updates)
        records.append(update_record(number, learned, source, names))
        if number % evaluate_every == 0 or number == updates:
            records += evaluations(number, learned, n, source, names)
    return records


def update_record(
    number: int,
    learned: float,
    source: random.Random,
    names: Sequence[str] = THOUGHT_TYPES,
) -> UpdateRecord:
    accuracy = min(1.0, max(0.0, 0.35 + 0.4 * learned + source.gauss(0, 0.05)))
    paths = [path(learned, source, names) for _ in range(32)]
    without = sum(source.random() < 0.15 + 0.45 * learned for _ in range(16))
    seconds = source.uniform(2, 3)
    return UpdateRecord(
        update=number,
        epoch=1 + number // 16,
        episodes=128,
        errors=int(source.random() < 0.05),
        reward=accuracy + 0.02,
        accuracy=accuracy,
        steps=sum(map(len, paths)) / len(paths),
        thought_types=dict(Counter(name for each in paths for name in each)),
        entropy=1.7 - 1.1 * learned + source.gauss(0, 0.05),
        kl=abs(source.gauss(0.004, 0.003)),
        clip_share=abs(source.gauss(0.03, 0.02)),
        acting_gap=abs(source.gauss(2e-6, 5e-7)),
        loss=source.gauss(-0.01, 0.02),
        grad_norm=abs(source.gauss(0.9 - 0.5 * learned, 0.15)),
        learning_rate=1e-4 * min(1.0, number / 5),
        groups=16,
        groups_without_spread=without,
        generation_batches=1,
        trained_tokens=source.randint(9_000, 14_000),
        rollout_seconds=round(source.uniform(5, 7), 2),
        update_seconds=round(seconds, 2),
        calls=source.randint(600, 900),
        cost_usd=source.uniform(0.01, 0.02),
    )


def evaluations(
    number: int,
    learned: float,
    n: int,
    source: random.Random,
    names: Sequence[str] = THOUGHT_TYPES,
) -> list[EvaluationRecord]:
    modes: tuple[tuple[Mode, float], ...] = (("greedy", 0.5), ("sampled", 0.4))
    return [
        evaluation(number, mode, sum(source.random() < base + 0.35 * learned for _ in range(n)), n, paths)
        for mode, base in modes
        for paths in [[path(learned + 0.3 * (mode == "greedy"), source, names) for _ in range(n)]]
    ]


def evaluation(
    number: int, mode: Mode, correct: int, n: int, paths: Iterable[Sequence[str]] = ()
) -> EvaluationRecord:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    steps = 0
    for each in paths:
        steps += len(each)
        for origin, target in zip((START, *each[:-1]), each, strict=True):
            counts[origin][target] += 1
    return EvaluationRecord(
        update=number,
        mode=mode,
        correct=correct,
        n=n,
        errors=0,
        steps=steps / n,
        transitions={origin: dict(row) for origin, row in counts.items()},
        seconds=12.5,
    )


def path(learned: float, source: random.Random, names: Sequence[str]) -> list[str]:
    """One episode's options: at random before, mostly one after the other once it has learned."""
    found: list[str] = []
    weights = [math.exp(-0.5 * learned * number) for number in range(len(names))]
    place = source.choices(range(len(names)), weights)[0]
    while len(found) < 9 and source.random() < 0.85:
        if source.random() < 0.6 * learned:
            place = (place + 1) % len(names)
        else:
            place = source.choices(range(len(names)), weights)[0]
        found.append(names[place])
    return [*found, FINISH]


def without_spread(record: UpdateRecord, *, accuracy: float) -> UpdateRecord:
    """The same update, had it taught nothing."""
    return replace(
        record,
        reward=accuracy,
        accuracy=accuracy,
        groups_without_spread=record.groups,
        trained_tokens=0,
        kl=0.0,
        clip_share=0.0,
        loss=0.0,
        grad_norm=0.0,
        acting_gap=0.0,
    )


def write_log(folder: Path, records: Iterable[Record]) -> Path:
    """The folder, now the output directory of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(as_json(record), allow_nan=False) + "\n" for record in records]
    (folder / "log.jsonl").write_text("".join(lines))
    return folder


def with_trees(record: UpdateRecord, *, ece: float) -> UpdateRecord:
    """The same update, had it grown search trees of thoughts, which are estimated from the second on."""
    metrics = {
        "trees": 8.0,
        "solved": 0.5,
        "pass_at_1": 0.25,
        "pass_at_4": 0.5,
        "pass_at_8": 0.5,
        "pass_at_16": 0.75,
    }
    metrics |= {"right_depth": 2.5, "shallowest": 2.0, "branching_solved": 2.0, "branching_failed": 1.5}
    metrics |= {"node_reward": 0.4, "path_reward": 0.3, "diversity": 0.8, "novelty": 0.6, "robustness": 0.4}
    trees = {
        "trees": 8.0,
        "leaves": 24.0,
        "sum_of_depths": 48.0,
        "unique_tokens": 900.0,
        "tokens_on_paths": 1800.0,
    }
    grown = replace(record, trees=trees, metrics=metrics, peak_memory_bytes=2**29, thought_types={})
    if record.update == 1:
        return grown
    bins = [
        CalibrationBin(low=low, n=10, predicted=low + 0.05, observed=low + 0.05 + ece) for low in (0.1, 0.6)
    ]
    return replace(grown, metrics={**metrics, "ece": ece, "brier": 0.2, "estimates": 20.0}, calibration=bins)
