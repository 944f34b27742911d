"""Which rollouts and parameters a taxonomy directory can be built again with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

from taxonomy.building.parameters import Basis, PipelineParameters
from taxonomy.directory import MANIFEST_FILE, load_taxonomy
from taxonomy.errors import BuildError
from taxonomy.looking.assignments import read_assignments
from taxonomy.looking.given_labels import ChunkKey, labels_of_directory
from taxonomy.looking.source_rollouts import KeptStages, read_manifest
from taxonomy.model import Taxonomy
from taxonomy.rollouts import Chunk, Rollout

Grouping = Mapping[ChunkKey, str]
"""The thought type (any name for it) of each chunk, by rollout id and chunk idx."""


@dataclass(frozen=True)
class Rebuild:
    """A way to build a directory's taxonomy again."""

    rollouts: tuple[Rollout, ...]
    """What it was built from."""
    source: str
    """Where these come from, in words."""
    seed: int
    """That it was built with."""
    group: Callable[[Sequence[Rollout], int], Sequence[Grouping]]
    """From rollouts, which may repeat, and a seed to a grouping of their chunks for each level of the directory;
    an empty one for a level that they do not carry."""


@dataclass(frozen=True)
class Unbuildable:
    """Why a taxonomy cannot be built again."""

    reason: str


def rebuild_of_directory(
    tree_path: Path | str, *, rollouts: Sequence[Rollout] | None = None, stages_dir: Path | None = None
) -> Rebuild | Unbuildable:
    """The rebuild of a directory that `taxonomy build` wrote.

    Its rollouts are those that the build kept with its stages; else the given ones; else what the tables of the
    directory hold, which is all but problems, chunks that were left out, and labels that are not kept pure.

    Args:
        tree_path: the directory.
        rollouts: those that it was built from, where they are at hand.
        stages_dir: where its build kept the stages; None for beside the directory.

    Raises:
        TaxonomyError: the directory's files are broken.
    """
    recorded = _recorded(tree_path)
    if isinstance(recorded, Unbuildable):
        return recorded
    parameters, basis = recorded
    taxonomy = load_taxonomy(tree_path, flag="TREE_PATH")
    kept = KeptStages(tree_path, stages_dir)
    found = _source(taxonomy, tree_path, recorded, kept, rollouts)
    if isinstance(found, Unbuildable):
        return found
    source, where = found
    if parameters.labeler == "none":
        source = tuple(map(_without_labels, source))
    vectors = kept.vectors()
    if vectors is None and parameters.refine != "none":
        return Unbuildable(
            f"its embedder was refined, and {kept.directory} does not hold what its build kept (--stages_dir)"
        )
    if parameters.relabeler == "llm":
        where += "; a model chose the thought types of the directory's chunks, and is not asked again"
    from taxonomy.looking.tree_again import TreeAgain

    sizes = [len(taxonomy.at_level(level)) for level in taxonomy.levels]
    again = TreeAgain(source, basis, parameters, sizes, vectors)
    return Rebuild(source, where, parameters.seed, again.group)


def _recorded(tree_path: Path | str) -> tuple[PipelineParameters, Basis] | Unbuildable:
    manifest = read_manifest(tree_path) or {}
    asked_for = manifest.get("asked_for", manifest.get("parameters"))
    basis = manifest.get("basis", "given")
    if not isinstance(asked_for, dict) or basis not in get_args(Basis):
        return Unbuildable(f"no {MANIFEST_FILE} records how it was built")
    unknown = sorted(set(asked_for) - {field.name for field in fields(PipelineParameters)})
    if unknown:
        return Unbuildable(
            f"its {MANIFEST_FILE} records what this version does not know: {', '.join(unknown)}"
        )
    sizes = asked_for.get("level_sizes")
    try:
        return PipelineParameters(**{**asked_for, "level_sizes": sizes and tuple(sizes)}), basis
    except (BuildError, TypeError) as error:
        return Unbuildable(f"its {MANIFEST_FILE} records parameters that are not allowed: {error}")


def _source(
    taxonomy: Taxonomy,
    tree_path: Path | str,
    recorded: tuple[PipelineParameters, Basis],
    kept: KeptStages,
    rollouts: Sequence[Rollout] | None,
) -> tuple[tuple[Rollout, ...], str] | Unbuildable:
    """The rollouts to build from, and where they come from."""
    parameters, basis = recorded
    as_built = kept.labeled_rollouts()
    if as_built is not None:
        return as_built, f"the rollouts that its build kept in {kept.directory}"
    if parameters.labeler == "llm":
        return Unbuildable(
            f"a model labeled its chunks, and {kept.directory} does not hold what its build kept (--stages_dir)"
        )
    if rollouts is not None:
        return tuple(rollouts), "the rollouts of --rollouts_file"
    lacking = (
        f"{kept.directory} does not hold what its build kept (--stages_dir), and its tables do not say {{}}; "
        "--rollouts_file names the rollouts"
    )
    if basis == "described":
        return Unbuildable(lacking.format("how its chunks were labeled"))
    if basis != "texts" and parameters.unlabeled == "nearest":
        return Unbuildable(lacking.format("which chunks came with a label"))
    label_of: Mapping[ChunkKey, str] = {}
    if basis != "texts":
        label_of = labels_of_directory(taxonomy, tree_path).label_of
        if not label_of:
            return Unbuildable(lacking.format("which given label each chunk has"))
    return _rollouts_of_tables(taxonomy, tree_path, label_of), "its tables, which do not hold the problems"


def _rollouts_of_tables(
    taxonomy: Taxonomy, tree_path: Path | str, label_of: Mapping[ChunkKey, str]
) -> tuple[Rollout, ...]:
    """The directory's chunks as rollouts; what its tables do not say stays empty."""
    # From the leaves up, so that what stays is the description of the label, not that of a part of it.
    description_of = {
        node.given_labels[0]: node.description
        for node in reversed(taxonomy.walk())
        if len(node.given_labels) == 1
    }
    chunks: dict[str, list[Chunk]] = {}
    for chunk in read_assignments(taxonomy, tree_path, taxonomy.levels[-1]).chunks:
        label = label_of.get((chunk.rollout_id, chunk.chunk_idx))
        description = None if label is None else description_of[label] or None
        found = Chunk(idx=chunk.chunk_idx, text=chunk.text, label=label, description=description)
        chunks.setdefault(chunk.rollout_id, []).append(found)
    return tuple(Rollout(rollout_id, "", tuple(found)) for rollout_id, found in chunks.items())


def _without_labels(rollout: Rollout) -> Rollout:
    return replace(rollout, chunks=tuple(Chunk(chunk.idx, chunk.text) for chunk in rollout.chunks))
