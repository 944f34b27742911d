"""Runs whose samples differ in right and wrong, and in how they are written, so that a value head can tell them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from scripted_run import config_for, number_of, run_with, write_problems

from llm_backends import Request, ScriptedBackend

PROBLEMS, SAMPLES = 30, 5


def reply(request: Request) -> str:
    """Two of five samples are right, and written with other words than those that are wrong, which agree."""
    number = number_of(request)
    sample = request.sample_index + request.sample_index // 10_000  # a search counts its samples so
    return saying(number, (number + sample) % 5 < 2)


def saying(number: int, careful: bool) -> str:
    return (
        f"Carefully, digit by digit: \\boxed{{{10 + number}}}."
        if careful
        else "Roughly, at a glance: \\boxed{0}."
    )


def sampled(folder: Path, answer: Any = reply, **settings: Any) -> Path:
    write_problems(folder / "problems.jsonl", PROBLEMS)
    usual = {"vanilla_baseline": True, "samples": SAMPLES, "temperature": 0.7, "n_rows": PROBLEMS}
    return asyncio.run(run_with(config_for(folder, **(usual | settings)), ScriptedBackend(answer))).path
