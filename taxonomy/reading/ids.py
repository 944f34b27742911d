"""Ids of rollouts from several files: where the same one occurs in more than one, it is called after its file too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taxonomy.errors import RolloutFileError
from taxonomy.rollouts import Rollout


def with_distinct_ids(
    paths: Sequence[Path], by_file: Sequence[Sequence[Rollout]]
) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    """The rollouts of all files, and a note on those that are called otherwise than in their file.

    Raises:
        RolloutFileError: a file is given twice, or ids are alike although they are called after their files.
    """
    _check_given_once(paths)
    files_with = Counter(rollout.id for rollouts in by_file for rollout in rollouts)
    names = _names(paths)
    renamed = [
        [
            replace(rollout, id=f"{name}/{rollout.id}") if files_with[rollout.id] > 1 else rollout
            for rollout in rollouts
        ]
        for name, rollouts in zip(names, by_file, strict=True)
    ]
    file_of: dict[str, Path] = {}
    for path, rollouts in zip(paths, renamed, strict=True):
        for rollout in rollouts:
            if rollout.id in file_of:
                raise RolloutFileError(
                    f"{path}: the id {rollout.id!r} is used in {file_of[rollout.id]} too; ids must differ"
                )
            file_of[rollout.id] = path
    together = tuple(rollout for rollouts in renamed for rollout in rollouts)
    changed = [rollout.id for rollout in together if rollout.id not in files_with]
    if not changed:
        return together, ()
    note = (
        f"{len(changed)} of {len(together)} rollouts have an id that occurs in several files, and are called after "
        f"their file too, such as {changed[0]!r}"
    )
    return together, (note,)


def _check_given_once(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise RolloutFileError(f"{path}: is given twice")
        seen.add(path.resolve())


def _names(paths: Sequence[Path]) -> list[str]:
    """Of each file its name without what says how it is written; numbered where several are called so."""
    stems = [Path(path.name.removesuffix(".gz")).stem for path in paths]
    times_used = Counter(stems)
    return [
        f"{stem}-{stems[:place].count(stem) + 1}" if times_used[stem] > 1 else stem
        for place, stem in enumerate(stems)
    ]
