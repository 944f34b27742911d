"""How well value heads foretell whether a trace of the bundled model will be right: AUC and calibration, by kind and
encoder, on problems that no head has seen.

Places come from the hierarchical solver at temperature 1 (`value_pairs.py`): from training problems those to fit, from
test problems those to judge by. Each head is fitted by `values.fitting.fit`, which holds back a fifth of the training
problems. Intervals are over test problems, drawn again with replacement, as places of a problem are alike. The
"constant" is the mean reward of the training places, which a head must beat. Embeddings come over HTTP from the
scripted server, which counts words: they show that the way works, and nothing of what a real model's would be worth.

    OMP_NUM_THREADS=1 python benchmarks/value_heads.py [--problems 150] [--output benchmarks/results/value_heads.json]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from value_pairs import Pair, gather

from hierarchical_reasoning.assets import MODEL, TEST_PROBLEMS, TRAIN_PROBLEMS
from hierarchical_reasoning.values import HEAD_KINDS, Calibration, HeadSettings, Place
from hierarchical_reasoning.values.encoders import Encoder, HashedWords, HiddenStates, ServedEmbeddings
from hierarchical_reasoning.values.fitting import fit
from llm_backends.hosted.openai import OpenAIBackend
from llm_backends.local.loading import load_model
from llm_backends.scripted_server import ScriptedServer
from taxonomy.atomic import write_atomically

RESAMPLES = 1000
ROOT = Path(__file__).parents[1]
CODE = ("hierarchical_reasoning/values/**/*.py", "llm_backends/local/*.py", "benchmarks/value_*.py")


class Kept:
    """An encoder whose vectors are made once for all heads."""

    def __init__(self, encoder: Encoder) -> None:
        self.name = encoder.name
        self.seconds = 0.0
        self._encoder = encoder
        self._vectors: dict[tuple[str, ...], NDArray[np.float32]] = {}

    async def encode(self, places: Sequence[Place]) -> NDArray[np.float32]:
        new = list({place.texts: place for place in places if place.texts not in self._vectors}.values())
        if new:
            started = time.process_time()
            rows = await self._encoder.encode(new)
            self.seconds += time.process_time() - started
            self._vectors |= {place.texts: row for place, row in zip(new, rows, strict=True)}
        return np.stack([self._vectors[place.texts] for place in places])


def judged(values: Sequence[float], uncertainties: Sequence[float], pairs: Sequence[Pair]) -> dict[str, Any]:
    """How values, and what is said to be uncertain of them, went with what came."""
    value_N, came_N = np.array(values), np.array([pair.reward for pair in pairs])
    problem_N = np.array([pair.place.problem.id for pair in pairs])
    kind_N = np.array([pair.kind for pair in pairs])
    rows_of = [np.flatnonzero(problem_N == problem) for problem in dict.fromkeys(problem_N)]
    draws = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rows_of[i] for i in draws.integers(len(rows_of), size=len(rows_of))])
        if 0 < came_N[rows].mean() < 1:
            drawn.append(auc(came_N[rows], value_N[rows]))
    calibration = Calibration.of(value_N.tolist(), came_N.tolist())
    off_N = (value_N - came_N) ** 2
    order = np.argsort(np.array(uncertainties), kind="stable")
    half = len(order) // 2
    return {
        "auc": round(auc(came_N, value_N), 4),
        "auc_interval": [round(float(bound), 4) for bound in np.quantile(drawn, [0.025, 0.975])],
        "auc_by_kind": {
            k: round(auc(came_N[kind_N == k], value_N[kind_N == k]), 4) for k in sorted(set(kind_N))
        },
        "ece": round(calibration.ece, 4),
        "brier": round(calibration.brier, 4),
        "brier_of_the_surer_half": round(float(off_N[order[:half]].mean()), 4),
        "brier_of_the_other_half": round(float(off_N[order[half:]].mean()), 4),
        "mean_uncertainty": round(float(np.mean(uncertainties)), 4),
    }


def auc(came: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(roc_auc_score(came, values))


async def measure(train: Sequence[Pair], test: Sequence[Pair]) -> dict[str, Any]:
    with ScriptedServer() as server:
        async with OpenAIBackend("scripted", base_url=server.base_url) as backend:
            encoders = [HiddenStates(load_model(str(MODEL))), HashedWords(), ServedEmbeddings(backend)]
            return await measure_with(encoders, train, test)


async def measure_with(
    encoders: Sequence[Encoder], train: Sequence[Pair], test: Sequence[Pair]
) -> dict[str, Any]:
    places, rewards = [pair.place for pair in train], [pair.reward for pair in train]
    constant = float(np.mean(rewards))
    rows: dict[str, Any] = {"constant": judged([constant] * len(test), [0.0] * len(test), test)}
    for encoder in map(Kept, encoders):
        for kind in HEAD_KINDS:
            await encoder.encode([*places, *(pair.place for pair in test)])
            started = time.process_time()
            fitted = await fit(places, rewards, encoder, HeadSettings(kind, max_pairs=len(train)))
            seconds = time.process_time() - started
            estimates = await fitted.estimator.estimate([pair.place for pair in test])
            own = judged([e.value for e in estimates], [e.uncertainty for e in estimates], test)
            rows[f"{encoder.name}, {kind}"] = own | {
                "rounds": fitted.rounds,
                "temperature": round(fitted.temperature, 3),
                "validation_ece_before": round(fitted.before.ece, 4),
                "validation_ece_after": round(fitted.after.ece, 4),
                "cpu_seconds_to_fit": round(seconds, 1),
                "cpu_ms_to_encode_a_place": round(1000 * encoder.seconds / (len(train) + len(test)), 2),
            }
            print(f"{encoder.name}, {kind}: {rows[f'{encoder.name}, {kind}']}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=150, help="Of each file.")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/value_heads.json")
    arguments = parser.parse_args()
    sources = sorted(path for pattern in CODE for path in ROOT.glob(pattern))
    code = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    train, test = (
        asyncio.run(gather(path, arguments.problems, arguments.seed))
        for path in (TRAIN_PROBLEMS, TEST_PROBLEMS)
    )
    rows = asyncio.run(measure(train, test))
    about = {
        "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
        "code_sha256": code,
        "problems": arguments.problems,
        "seed": arguments.seed,
        "train_places": len(train),
        "test_places": len(test),
        "test_share_right": round(float(np.mean([pair.reward for pair in test])), 4),
        "threads": os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads())),
        "torch": torch.__version__,
    }
    write_atomically(arguments.output, (json.dumps({"about": about, "rows": rows}, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
