"""One training run and one measurement of `planner_learning.py`."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from main_run import solved

from hierarchical_reasoning.assets import MODEL, TEST_PROBLEMS
from hierarchical_reasoning.backends import Backends, make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.training.config import GrpoConfig

Mode = Literal["greedy", "sampled"]


def bundled_sha256() -> str:
    return hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()


def held_out(n_problems: int, overrides: dict[str, Any]) -> list[str]:
    """Ids of test problems, behind those that a training run measures itself on and chooses its best checkpoint by."""
    seen = GrpoConfig(**overrides).eval_rows
    ids = [json.loads(line)["id"] for line in TEST_PROBLEMS.read_text().splitlines()]
    if seen + n_problems > len(ids):
        raise SystemExit(f"there are {len(ids)} test problems, of which a run sees {seen}; lower --problems")
    return ids[seen : seen + n_problems]


async def measure(
    seed: int, ids: Sequence[str], mode: Mode, overrides: dict[str, Any], **settings: Any
) -> dict[str, Any]:
    """The main command's run on these problems, its reasoner as in training."""
    training = GrpoConfig(**overrides)
    with tempfile.TemporaryDirectory() as directory:
        config = RunConfig(
            sample_id=tuple(ids),
            seed=seed,
            label_level=training.label_level,
            max_reasoning_steps=training.max_steps_per_episode,
            temperature=training.temperature,
            planner_temperature=training.planner_sampling_temperature if mode == "sampled" else 0.0,
            max_concurrency=64,
            cache_dir=Path(directory),
            no_cache=True,
            **settings,
        )
        summary = await solved(config)
    return {
        "correct": summary.accuracy.correct,
        "n": summary.accuracy.n,
        "low": summary.accuracy.low,
        "high": summary.accuracy.high,
        "errors": len(ids) - summary.accuracy.n,
        "seconds": round(summary.wall_seconds or 0, 1),
    }


def train(seed: int, rewards_shuffled: bool, output_dir: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """A run from its beginning to its end, in this process, which does nothing else."""
    from anyio.from_thread import start_blocking_portal

    from hierarchical_reasoning.training.planner.assembly import assemble_training
    from hierarchical_reasoning.training.run import train_planner
    from hierarchical_reasoning.training.sharding.launch import check_launch

    shutil.rmtree(output_dir, ignore_errors=True)
    config = GrpoConfig(seed=seed, output_dir=output_dir, cache_dir=output_dir / "cache", **overrides)
    started = time.perf_counter()
    launch = check_launch(problems_per_update=config.problems_per_update, device=config.device)
    parts = assemble_training(config.model_copy(update={"device": launch.device}))
    file_before = bundled_sha256()
    with start_blocking_portal() as portal:
        opened = portal.call(make_backends, parts.config)  # there: a cache belongs to its thread
        with portal.wrap_async_context_manager(opened) as backends:
            portal.call(backends.check_models)
            memory_before = _weights_sha256(backends)
            trained = train_planner(parts, backends, portal, launch, rewards_shuffled=rewards_shuffled)
            memory_after = _weights_sha256(backends)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "planner": (trained.best or trained.last).resolve().name,
        "last": trained.last.resolve().name,
        "updates": trained.updates,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "wall_seconds": round(time.perf_counter() - started, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "reasoner_unchanged_in_file": file_before == bundled_sha256(),
        "reasoner_unchanged_in_memory": memory_before == memory_after,
        "reasoner_memory_sha256": memory_after,
        **_curves(output_dir),
    }


def _weights_sha256(backends: Backends) -> str:
    """Of the tensors that the reasoner computes with."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backends.reasoner._model.module.state_dict().items()):  # type: ignore[attr-defined]
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _curves(output_dir: Path) -> dict[str, Any]:
    """What the run wrote down about itself."""
    records = [json.loads(line) for line in (output_dir / "log.jsonl").read_text().splitlines()]
    updates = [record for record in records if record["kind"] == "update"]
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    return {
        "train_accuracy": [round(record["accuracy"], 4) for record in updates],
        "entropy": [round(record["entropy"], 4) for record in updates],
        "evaluations": {
            mode: [[e["update"], e["correct"], e["n"]] for e in evaluations if e["mode"] == mode]
            for mode in ("greedy", "sampled")
        },
    }
