"""Which problems of a file are wanted."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice

from hierarchical_reasoning.errors import CategoryError, UsageError
from hierarchical_reasoning.problems.problem import Problem
from hierarchical_reasoning.problems.source import Source
from hierarchical_reasoning.wording import first_of, quoted

_IDS_LOOKED_AT = 10_000
"""For near ones; more would take seconds."""


@dataclass(frozen=True)
class Wanted:
    """The problems of `category`, or those with these ids; then, drawn or in the file's order, the first `n_rows`."""

    category: str | None = None
    sample_ids: tuple[str, ...] = ()
    shuffle_seed: int | None = None
    n_rows: int | None = None
    """Plays no part where ids are given."""
    rows_flag: str = "--n_rows"

    def __post_init__(self) -> None:
        if self.n_rows is not None and self.n_rows < 1:
            raise UsageError(f"{self.rows_flag} must be at least 1, not {self.n_rows}")


@dataclass
class _Seen:
    """What went by, kept for messages."""

    first_ids: list[str] = field(default_factory=list)
    found_ids: set[str] = field(default_factory=set)
    """Of those that are wanted."""
    categories: Counter[str | None] = field(default_factory=Counter)
    n_matching: int = 0


def select(
    source: Source, problems: Iterable[Problem], wanted: Wanted, *, has_categories: bool
) -> tuple[list[Problem], list[str]]:
    """The problems that are wanted, and notes. All of them go by and are checked; only those are held.

    Raises CategoryError where none has the category, and UsageError where an id is wanted that is not there.
    """
    seen = _Seen()
    matching = _matching(problems, wanted, seen, has_categories=has_categories)
    n_rows = None if wanted.sample_ids else wanted.n_rows
    notes = []
    if wanted.shuffle_seed is None:
        selected = list(islice(matching, n_rows))
        for _ in matching:  # the rest is checked, and counted
            pass
    else:
        selected = _drawn(matching, n_rows, wanted.shuffle_seed)
        notes.append(f"--shuffle: the order is drawn with the seed {wanted.shuffle_seed}")
    if wanted.sample_ids and wanted.n_rows is not None and wanted.n_rows < len(selected):
        notes.append(
            f"{wanted.rows_flag} {wanted.n_rows} plays no part: --sample_id names {len(selected)} problems"
        )
    _check_ids_found(source, wanted, seen, selected)
    if not selected:
        counts = sorted((name, n) for name, n in seen.categories.items() if name is not None)
        existing = ", ".join(f"{name} ({n})" for name, n in counts) or "none with a name"
        raise CategoryError(
            f"--category {wanted.category!r} is not in {source}; its categories are: {existing}"
        )
    if wanted.category is not None and not has_categories:
        selected = [replace(problem, category=wanted.category) for problem in selected]
        notes.append(
            f"--category {wanted.category}: no row has a `category`, so all {seen.n_matching} are taken as it"
        )
    if n_rows is not None and n_rows > len(selected):
        notes.append(
            f"{wanted.rows_flag} {n_rows}: there are only {len(selected)} problems, all of them are used"
        )
    return selected, notes


def _matching(
    problems: Iterable[Problem], wanted: Wanted, seen: _Seen, *, has_categories: bool
) -> Iterator[Problem]:
    ids = set(wanted.sample_ids)
    for problem in problems:
        seen.categories[problem.category] += 1
        if ids and len(seen.first_ids) < _IDS_LOOKED_AT:
            seen.first_ids.append(problem.id)
        if problem.id in ids:
            seen.found_ids.add(problem.id)
        in_category = wanted.category is None or not has_categories or problem.category == wanted.category
        if in_category and (not ids or problem.id in ids):
            seen.n_matching += 1
            yield problem


def _drawn(problems: Iterable[Problem], n: int | None, seed: int) -> list[Problem]:
    """The first `n` in an order in which the place of a problem does not depend on which others there are."""

    def place(problem: Problem) -> bytes:
        return hashlib.sha256(f"{seed}:{problem.id}".encode()).digest()

    return sorted(problems, key=place) if n is None else heapq.nsmallest(n, problems, key=place)


def _check_ids_found(source: Source, wanted: Wanted, seen: _Seen, selected: list[Problem]) -> None:
    unknown = [one for one in wanted.sample_ids if one not in seen.found_ids]
    if unknown:
        near = get_close_matches(unknown[0], seen.first_ids, cutoff=0.5)
        hint = f"near it are {quoted(near)}" if near else f"ids are {quoted(seen.first_ids[:3])}, ..."
        raise UsageError(
            f"--sample_id {first_of([repr(one) for one in unknown])}: no problem of {source} is called so; {hint}"
        )
    kept = {problem.id for problem in selected}
    other = [one for one in wanted.sample_ids if one not in kept]
    if other:
        raise UsageError(
            f"--sample_id {first_of([repr(one) for one in other])}: not of the --category {wanted.category!r}; leave "
            "one of the two out"
        )
