"""The given label of each chunk of a taxonomy directory, from the rollouts or from the directory itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from taxonomy.looking.assignments import read_assignments
from taxonomy.model import Taxonomy
from taxonomy.rollouts import Rollout

ChunkKey = tuple[str, int]
"""Rollout id and chunk idx."""


@dataclass(frozen=True)
class GivenLabels:
    """What the chunks were labeled before the taxonomy was built."""

    label_of: Mapping[ChunkKey, str]
    source: str
    """Where they come from, or why there are none, in words."""


def labels_of_rollouts(rollouts: Iterable[Rollout]) -> GivenLabels:
    """The labels that rollouts carry; chunks without one are absent."""
    found = {
        (rollout.id, chunk.idx): chunk.label
        for rollout in rollouts
        for chunk in rollout.chunks
        if chunk.label is not None
    }
    return GivenLabels(found, "the rollouts' labels" if found else "the rollouts carry no labels")


def labels_of_directory(taxonomy: Taxonomy, tree_path: Path | str) -> GivenLabels:
    """The labels that the deepest level keeps pure; none where a thought type there joins several or was not
    made from given labels."""
    deepest = taxonomy.levels[-1]
    given = {kind.node_id: taxonomy.node(kind.node_id).given_labels for kind in taxonomy.at_level(deepest)}
    if not all(len(labels) == 1 for labels in given.values()):
        return GivenLabels(
            {},
            "the thought types of the deepest level do not each stand for one given label; "
            "--rollouts_file names labeled rollouts",
        )
    chunks = read_assignments(taxonomy, tree_path, deepest).chunks
    found = {(chunk.rollout_id, chunk.chunk_idx): given[chunk.node_id][0] for chunk in chunks}
    return GivenLabels(
        found,
        f"the given labels that level {deepest} keeps apart" if found else "there are no labeled chunks",
    )
