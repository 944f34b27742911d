"""Entries of runs chosen, and laid out as the rows of a table: one row an entry, or one row a step.

A list stands as JSON in its cell.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from hierarchical_reasoning.errors import CategoryError
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.reader.run_files import RunFile
from hierarchical_reasoning.results.records import NOTHING_SPENT, ResultEntry, RoleUsage, TokenUsage

Row = Mapping[str, Any]

_OF_BOTH = {
    "file": "string",
    "model_name": "string",
    "use_hierarchical": "bool",
    "label_level": "int64",
    "problem_id": "string",
    "sample": "int64",
    "category": "string",
    "outcome": "string",
    "is_correct": "bool",
    "reward": "float64",
    "advantage": "float64",
}
ENTRY_COLUMNS: Mapping[str, str] = {
    **_OF_BOTH,
    "extracted_answer": "string",
    "extracted_by": "string",
    "value": "float64",
    "ground_truth": "string",
    "reason": "string",
    "n_steps": "int64",
    "thought_types": "string",
    "final_response": "string",
    "calls": "int64",
    "prompt_tokens": "int64",
    "cached_tokens": "int64",
    "completion_tokens": "int64",
    "reasoning_tokens": "int64",
    "cost_usd": "float64",
    "seconds": "float64",
    "peak_memory_bytes": "int64",
    "peak_gpu_memory_bytes": "int64",
    "error_type": "string",
    "error_message": "string",
    "notes": "string",
    "problem": "string",
}
"""Columns of a row an entry, with their types by the names of Arrow. Rewards and advantages are those of a training
run; `value` is what a value head expects of the answer; peaks of memory are those of the process, as `MemoryRecord`
has them."""
STEP_COLUMNS: Mapping[str, str] = {
    **_OF_BOTH,
    "step": "int64",
    "thought_type": "string",
    "node_id": "string",
    "probability": "float64",
    "thought": "string",
    "truncated": "bool",
    "planner_prompt_tokens": "int64",
    "planner_completion_tokens": "int64",
    "reasoner_prompt_tokens": "int64",
    "reasoner_completion_tokens": "int64",
    "notes": "string",
}
"""Columns of a row a step; steps are counted from 1, and `probability` is that of the thought type chosen."""


def selected(
    run: RunFile, *, outcomes: Collection[Outcome] = (), category: str | None = None
) -> Iterator[ResultEntry]:
    """The entries with one of the outcomes (none given: any) and of the category (None: any).

    Raises:
        CategoryError: at the end, where no entry has the category, with those that there are.
        ResultsFileError, JournalError: as `RunFile.entries`.
    """
    found = False
    others: set[str | None] = set()
    for entry in run.entries():
        if category is not None and entry.category != category:
            others.add(entry.category)
            continue
        found = True
        if not outcomes or entry.outcome in outcomes:
            yield entry
    if category is not None and not found:
        names = ", ".join(sorted(map(repr, others - {None}))) or "none"
        raise CategoryError(f"{run.path} has no result of --category {category!r}; its categories: {names}")


def table_rows(
    runs: Iterable[RunFile],
    *,
    steps: bool = False,
    outcomes: Collection[Outcome] = (),
    category: str | None = None,
) -> Iterator[Row]:
    """For each entry that is `selected` a row of ENTRY_COLUMNS or, with `steps`, for each of its steps one of
    STEP_COLUMNS. Raises as `selected`."""
    for run in runs:
        entries = selected(run, outcomes=outcomes, category=category)
        yield from _step_rows(run, entries) if steps else _entry_rows(run, entries)


def _entry_rows(run: RunFile, entries: Iterable[ResultEntry]) -> Iterator[Row]:
    for entry in entries:
        used = total_usage(entry)
        yield {
            **_of_both(run, entry),
            "extracted_answer": entry.extracted_answer,
            "extracted_by": entry.extracted_by,
            "value": entry.value,
            "ground_truth": _cell(entry.ground_truth),
            "reason": entry.reason,
            "n_steps": len(entry.steps),
            "thought_types": _cell(entry.thought_types),
            "final_response": entry.final_response,
            **{name: getattr(used, name) for name in TokenUsage.model_fields},
            "cost_usd": used.cost_usd,
            "seconds": entry.seconds,
            "peak_memory_bytes": None if entry.memory is None else entry.memory.peak_bytes,
            "peak_gpu_memory_bytes": None if entry.memory is None else entry.memory.peak_gpu_bytes,
            "error_type": entry.error.type if entry.error else None,
            "error_message": entry.error.message if entry.error else None,
            "notes": _cell(entry.notes),
            "problem": entry.problem,
        }


def _step_rows(run: RunFile, entries: Iterable[ResultEntry]) -> Iterator[Row]:
    for entry in entries:
        for number, step in enumerate(entry.steps, start=1):
            yield {
                **_of_both(run, entry),
                "step": number,
                "thought_type": step.thought_type,
                "node_id": step.node_id,
                "probability": (step.planner_probabilities or {}).get(step.thought_type),
                "thought": step.thought,
                "truncated": step.truncated,
                **_tokens("planner", step.planner_usage),
                **_tokens("reasoner", step.reasoner_usage),
                "notes": _cell(step.notes),
            }


def total_usage(entry: ResultEntry) -> RoleUsage:
    """What all roles took on a problem together."""
    return reduce(add, entry.usage.values(), NOTHING_SPENT)


def _of_both(run: RunFile, entry: ResultEntry) -> Row:
    return {
        "file": str(run.path),
        "model_name": run.facts.model_name,
        "use_hierarchical": entry.use_hierarchical,
        "label_level": entry.label_level,
        "problem_id": entry.problem_id,
        "sample": entry.sample,
        "category": entry.category,
        "outcome": entry.outcome.value,
        "is_correct": entry.is_correct,
        "reward": None if entry.episode is None else entry.episode.reward,
        "advantage": None if entry.episode is None else entry.episode.advantage,
    }


def _tokens(role: str, usage: TokenUsage | None) -> Row:
    return {
        f"{role}_prompt_tokens": None if usage is None else usage.prompt_tokens,
        f"{role}_completion_tokens": None if usage is None else usage.completion_tokens,
    }


def _cell(value: str | Sequence[str] | None) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
