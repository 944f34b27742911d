"""Given labels that differ in case or white space alone are one label."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from taxonomy.rollouts import Rollout

_SHOWN = 5


def with_one_spelling(rollouts: Sequence[Rollout]) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    """The rollouts with the most frequent spelling of each label, the first by alphabet among equals; and a note.

    A label that has one spelling keeps it, as it stands.
    """
    counts: dict[str, Counter[str]] = {}
    for rollout in rollouts:
        for chunk in rollout.chunks:
            if chunk.label is not None:
                counts.setdefault(_key(chunk.label), Counter())[chunk.label] += 1
    spelling_of: dict[str, str] = {}
    merged: list[str] = []
    for spellings in counts.values():
        if len(spellings) > 1:
            chosen = _most_frequent(spellings)
            spelling_of |= dict.fromkeys(spellings, chosen)
            others = ", ".join(map(repr, sorted(set(spellings) - {chosen})))
            merged.append(f"{others} as {chosen!r}")
    if not merged:
        return tuple(rollouts), ()
    listed = "; ".join(sorted(merged)[:_SHOWN]) + ("; ..." if len(merged) > _SHOWN else "")
    note = f"labels that differ in case or white space alone were read as one, for {len(merged)} labels: {listed}"
    return tuple(_respelled(rollout, spelling_of) for rollout in rollouts), (note,)


def _key(label: str) -> str:
    return " ".join(label.split()).casefold()


def _most_frequent(spellings: Counter[str]) -> str:
    tidy: Counter[str] = Counter()
    for label, count in spellings.items():
        tidy[" ".join(label.split())] += count
    return min(tidy, key=lambda label: (-tidy[label], label))


def _respelled(rollout: Rollout, spelling_of: dict[str, str]) -> Rollout:
    """The rollout itself where all its labels are spelled so."""
    if all(
        chunk.label is None or spelling_of.get(chunk.label, chunk.label) == chunk.label
        for chunk in rollout.chunks
    ):
        return rollout
    chunks = (
        chunk if chunk.label is None else replace(chunk, label=spelling_of.get(chunk.label, chunk.label))
        for chunk in rollout.chunks
    )
    return replace(rollout, chunks=tuple(chunks))
