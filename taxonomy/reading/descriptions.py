"""What the thought types in a file of chunks mean, from the taxonomy that they are of."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from taxonomy.directory import load_taxonomy
from taxonomy.errors import TaxonomyError
from taxonomy.rollouts import Rollout


def with_descriptions(
    rollouts: Iterable[Rollout], tree_path: Path, level: int, file_name: str
) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
    """The rollouts with the descriptions that thought types have in a taxonomy; and a note on those without one.

    Args:
        rollouts: labeled with names of thought types.
        tree_path: of the taxonomy.
        level: of these thought types.
        file_name: what the note calls the rollouts.
    """
    rollouts = tuple(rollouts)
    labels = {chunk.label for rollout in rollouts for chunk in rollout.chunks if chunk.label is not None}
    if not labels:
        return rollouts, ()
    try:
        kinds = load_taxonomy(tree_path, flag="its taxonomy").at_level(level)
    except TaxonomyError as error:
        return rollouts, (f"{file_name}: its thought types come without descriptions, since {error}",)
    description_of = {kind.name: kind.description for kind in kinds if kind.description}
    described = tuple(_described(rollout, description_of) for rollout in rollouts)
    unknown = sorted(labels - set(description_of))
    note = (
        f"{file_name}: {len(unknown)} of {len(labels)} thought types come without a description, since level {level} "
        f"of {tree_path} has none for them, such as {', '.join(map(repr, unknown[:1]))}"
    )
    return described, (note,) if unknown else ()


def _described(rollout: Rollout, description_of: Mapping[str, str]) -> Rollout:
    return replace(
        rollout,
        chunks=tuple(
            replace(chunk, description=None if chunk.label is None else description_of.get(chunk.label))
            for chunk in rollout.chunks
        ),
    )
