"""Problems of one family at a time, each with a worked answer: the three of the shipped files, and further ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.sample_tasks.further_families import (
    FURTHER_FAMILIES,
    FurtherFamily,
    draw_further_problem,
)
from hierarchical_reasoning.sample_tasks.problem_shapes import FAMILIES, SampleProblem, Split
from hierarchical_reasoning.sample_tasks.rollouts import draw_problem
from hierarchical_reasoning.sample_tasks.solvers import TEACHER, attempt
from taxonomy.atomic import write_atomically

ALL_FAMILIES: tuple[str, ...] = (*FAMILIES, *FURTHER_FAMILIES)
SOLUTION_FIELD = "solution"


def draw_family(family: str, n: int, split: Split, seed: int) -> Iterator[Problem]:
    """``n`` distinct problems. With the answer comes, as the field `SOLUTION_FIELD`, how the teacher works it out.

    Raises:
        ConfigError: there is no such family; the message names those that there are.
    """
    check_family(family, "--family")
    rng = random.Random(f"family/{family}/{split}/{seed}")
    seen: set[str] = set()
    while len(seen) < n:
        sample = _draw(family, split, rng)
        solution = worked_answer(sample, rng)
        if sample.text in seen:
            continue
        fields = {SOLUTION_FIELD: solution}
        yield Problem(f"{family}-{split}-{len(seen):04d}", sample.text, str(sample.answer), family, fields)
        seen.add(sample.text)


def check_family(family: str, flag: str) -> None:
    """Raises ConfigError where there is no such family."""
    if family not in ALL_FAMILIES:
        raise ConfigError(
            f"{flag} {family!r} is no family of sample problems; there are {', '.join(ALL_FAMILIES)}"
        )


def worked_answer(sample: SampleProblem, rng: random.Random) -> str:
    """The teacher's steps, a line each, and its answer, as the bundled model writes a vanilla answer.

    Args:
        rng: chooses among wordings.
    """
    tried = attempt(sample, TEACHER, rng)
    return "\n".join([*(step.text for step in tried.steps), f"\\boxed{{{tried.answer}}}"])


def write_families(
    folder: Path, families: Sequence[str], sizes: Mapping[Split, int], seed: int = 0
) -> list[Path]:
    """``train.jsonl`` and ``test.jsonl``, disjoint: of each family as many as `sizes` says.

    Raises:
        ConfigError: there is no such family.
    """
    paths = []
    for split, n in sizes.items():
        rows = [
            {"id": each.id, "prompt": each.text, "answer": each.answer, "category": family, **each.fields}
            for family in families
            for each in draw_family(family, n, split, seed)
        ]
        path = folder / f"{split}.jsonl"
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        paths.append(path)
    return paths


def _draw(family: str, split: Split, rng: random.Random) -> SampleProblem:
    if family in FAMILIES:
        return draw_problem(family, split, rng)
    return draw_further_problem(cast("FurtherFamily", family), split, rng).as_story
