"""The results file of a run as labeled rollouts, so that a run's traces can become the next taxonomy.

A thought becomes a chunk, the thought type it was written for its label, described as in the run's taxonomy where that
is still there. What a run did without thought types has no labels, and what it did without steps at all is one text, to
be divided into chunks.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taxonomy.distinct_names import FINISH_THINKING
from taxonomy.errors import RolloutFileError
from taxonomy.reading import Reading
from taxonomy.reading.descriptions import with_descriptions
from taxonomy.reading.rows import json_type, text_of
from taxonomy.rollouts import Chunk, Rollout

UNTYPED = "Next thought"
"""What the main job calls a thought that has no type."""


def is_results_file(parsed: object) -> bool:
    return isinstance(parsed, dict) and isinstance(parsed.get("results"), list)


def rollouts_of_results(parsed: Any, path: Path) -> Reading:
    """
    Raises:
        RolloutFileError: an entry lacks what the main job writes.
    """
    rollouts: list[Rollout] = []
    left_out: Counter[str] = Counter()
    model = parsed.get("model_name")
    for number, entry in enumerate(parsed["results"], start=1):
        rollout = _rollout(entry, f"{path}, result {number}", model if isinstance(model, str) else None)
        if rollout is not None:
            rollouts.append(rollout)
        else:
            left_out["ended before a thought was written"] += 1
    total = len(parsed["results"])
    notes = (
        f"{path.name}: {count} of {total} results left out: they {why}" for why, count in left_out.items()
    )
    described, notes_on_types = _described(rollouts, parsed, path)
    return Reading(described, (*notes, *notes_on_types))


def _described(
    rollouts: Sequence[Rollout], parsed: Any, path: Path
) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    config = parsed.get("config")
    tree_path = config.get("tree_model_path") if isinstance(config, dict) else None
    level = parsed.get("label_level")
    if isinstance(tree_path, str) and isinstance(level, int):
        return with_descriptions(rollouts, Path(tree_path), level, path.name)
    labeled = any(chunk.label is not None for rollout in rollouts for chunk in rollout.chunks)
    note = f"{path.name}: its thought types come without descriptions, since it does not name their taxonomy"
    return tuple(rollouts), (note,) if labeled else ()


def _rollout(entry: object, where: str, model: str | None) -> Rollout | None:
    if not isinstance(entry, dict):
        raise RolloutFileError(f"{where}: holds {json_type(entry)}, expected an object")
    identifier = text_of(entry, "problem_id", where)
    problem = text_of(entry, "problem", where)
    if not identifier or problem is None:
        raise RolloutFileError(f"{where}: 'problem_id' or 'problem' is missing")
    sample = entry.get("sample") or 0
    steps = _steps(entry, where)
    text = None if steps else text_of(entry, "final_response", where)
    if not steps and not (text or "").strip():
        return None
    truth = entry.get("ground_truth")
    is_correct = entry.get("is_correct")
    return Rollout(
        id=f"{identifier}#{sample}" if sample else identifier,
        problem=problem,
        chunks=steps,
        is_correct=is_correct if isinstance(is_correct, bool) else None,
        final_answer=text_of(entry, "extracted_answer", where),
        gold_answer=truth if isinstance(truth, str) else None,
        category=text_of(entry, "category", where),
        model=model,
        text=text,
    )


def _steps(entry: dict[str, Any], where: str) -> tuple[Chunk, ...]:
    types, thoughts = entry.get("thought_types"), entry.get("thoughts")
    for field, value in (("thought_types", types), ("thoughts", thoughts)):
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise RolloutFileError(f"{where}: {field!r} is no list of texts")
    assert isinstance(types, list)
    assert isinstance(thoughts, list)
    # The step that ends a trace has a type and, as a rule, no thought.
    if not len(thoughts) <= len(types) <= len(thoughts) + types.count(FINISH_THINKING):
        raise RolloutFileError(
            f"{where}: has {len(types)} thought types and {len(thoughts)} thoughts, which do not belong together"
        )
    return tuple(
        Chunk(idx=idx, text=thought, label=None if kind in (UNTYPED, FINISH_THINKING) else kind)
        for idx, (kind, thought) in enumerate(zip(types, thoughts, strict=False))
        if thought.strip()
    )
