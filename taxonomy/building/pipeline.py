"""From files of rollouts to a taxonomy directory, stage by stage: read, chunk, label, refine the embedder, embed, grow,
name, relabel, write.

What a tree grows from:

- `given`: labels that came with the rollouts. Each is a node of the last level (`taxonomy.building.given_labels`).
- `around`: few given labels. Each is a node, pure; finer levels divide the texts of a label, coarser ones join labels.
- `described`: labels and descriptions by a model, or more given ones than can stay pure: clustered by what they mean.
- `texts`: chunks without labels, clustered by what they do.

Stages are kept (`taxonomy.building.stages`), and one is run again only if what it is made from changed.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxonomy.atomic import file_hash
from taxonomy.building.parameters import Basis, PipelineParameters
from taxonomy.building.stages import FORMAT, StageReport, Stages
from taxonomy.chunking.rules import chunk_by_rules, is_unchunked
from taxonomy.directory import MANIFEST_FILE
from taxonomy.embedding import identity as embedder_identity
from taxonomy.errors import BuildError, RolloutFileError
from taxonomy.reading import read_inputs
from taxonomy.rollouts import Chunk, Rollout, with_distinct_places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_backends import Backend
    from taxonomy.building.built import BuiltTaxonomy
    from taxonomy.refining.refinement import Refinement

_VERSIONED_PACKAGES = ("numpy", "scipy", "scikit-learn", "networkx")


@dataclass(frozen=True)
class PipelineResult:
    """What a build did."""

    built: "BuiltTaxonomy | None"
    """None where the directory held the very same taxonomy already."""
    stages: tuple[StageReport, ...]
    basis: Basis | None
    notes: tuple[str, ...]
    """What differs from what was asked for, or from what the files say, in sentences."""


async def build_directory(
    inputs: Sequence[Path],
    output: Path,
    parameters: PipelineParameters,
    *,
    backend: "Backend | None" = None,
    stages_dir: Path | None = None,
    overwrite: bool = False,
    on_stage: Callable[[StageReport], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> PipelineResult:
    """Build a taxonomy directory.

    Args:
        inputs: files of rollouts.
        output: the directory.
        parameters: what to build.
        backend: the model that chunks, labels or names, where `parameters` ask for one.
        stages_dir: where stages are kept; None is `stages_beside(output)`.
        overwrite: whether a taxonomy in `output` may be replaced.
        on_stage: called after each stage.
        say: told how far a long stage is, and how many calls of the model it is about to make.

    Raises:
        TaxonomyError: inputs that cannot be read, parameters or data from which nothing can be built, or an output
            that cannot be written.
        BackendError: the model gave no reply; what it replied before is in its cache.
    """
    from taxonomy.building.directory_writer import check_output_directory, write_taxonomy_directory

    if parameters.needs_model and backend is None:
        flags = " and ".join(f"--{flag} llm" for flag in parameters.needs_model)
        raise BuildError(f"{flags} need a language model (--llm_framework, --model_name)")
    input_hashes = _hashed(inputs)
    made_from: dict[str, object] = {
        "inputs": input_hashes,
        "parameters": asdict(parameters),
        "model": _identity(backend) if parameters.needs_model else None,
        "versions": {package: version(package) for package in _VERSIONED_PACKAGES},
        "format": FORMAT,
        "embedder": embedder_identity(parameters.embedder or ""),
    }
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    if _holds(output, key):
        return PipelineResult(None, (), None, ())
    check_output_directory(output, overwrite=overwrite)
    stages_dir = stages_dir or stages_beside(output)
    _check_apart(stages_dir, output)
    stages = Stages(stages_dir, on_stage)
    build = _Build(parameters, stages, backend, say or _silent)
    built, basis = await build.run(inputs, input_hashes)
    about: dict[str, object] = {
        "basis": basis,
        "asked_for": asdict(parameters),
        "parameters": asdict(parameters) | build.taken,
        "chunks": len(built.chunks),
        "labeled_chunks": sum(chunk.given_label is not None for chunk in built.chunks),
        "stages": stages.hashes,
        "build_key": key,
    }
    if build.refinement is not None:
        about["refinement"] = asdict(build.refinement)
    if made_from["model"] is not None:
        about["model"] = made_from["model"]
    write_taxonomy_directory(built, output, inputs=inputs, overwrite=overwrite, about_the_build=about)
    return PipelineResult(built, tuple(stages.reports), basis, built.warnings)


def stages_beside(output: Path) -> Path:
    """Where the stages of a directory are kept: in `.NAME.stages` beside it."""
    resolved = output.resolve()
    return resolved.parent / f".{resolved.name}.stages"


def _check_apart(stages_dir: Path, output: Path) -> None:
    if output.resolve() in (stages_dir.resolve(), *stages_dir.resolve().parents):
        raise BuildError(
            f"{stages_dir}: stages cannot be kept inside the directory that is written (--stages_dir, --output)"
        )


def _hashed(inputs: Sequence[Path]) -> list[str]:
    try:
        return [file_hash(path) for path in inputs]
    except FileNotFoundError as error:
        raise RolloutFileError(f"{error.filename}: no such file (ROLLOUTS)") from error
    except OSError as error:
        raise RolloutFileError(f"{error.filename}: cannot be read: {error.strerror} (ROLLOUTS)") from error


def _holds(output: Path, key: str) -> bool:
    """Whether the directory holds what a build of this key wrote there, unchanged."""
    try:
        manifest = json.loads((output / MANIFEST_FILE).read_bytes())
        return manifest["build_key"] == key and all(
            hashlib.sha256((output / name).read_bytes()).hexdigest() == sha256
            for name, sha256 in manifest["files"].items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _identity(backend: "Backend | None") -> dict[str, object] | None:
    if backend is None:
        return None
    return {"framework": backend.name, "model": backend.model_name, **backend.cache_identity()}


class _Build:
    """One build: its stages in order."""

    def __init__(
        self,
        parameters: PipelineParameters,
        stages: Stages,
        backend: "Backend | None",
        say: Callable[[str], None],
    ) -> None:
        self._parameters = parameters
        self._stages = stages
        self._backend = backend
        self._say = say
        self.refinement: Refinement | None = None
        """What came of refining the embedder, where that was asked for."""
        self.taken: dict[str, object] = {}
        """What was taken for parameters that were left open."""

    async def run(self, inputs: Sequence[Path], input_hashes: object) -> "tuple[BuiltTaxonomy, Basis]":
        from taxonomy.building.tree_of_rollouts import TreeBuild, basis_of
        from taxonomy.building.typical_chunks import typical_chunks

        rollouts, read_notes = await self._read(inputs, input_hashes)
        rollouts, chunk_notes = await self._chunk(rollouts)
        teachers = rollouts
        if self._parameters.labeler == "none":
            rollouts = tuple(map(_without_labels, rollouts))
        labels_are_given = self._parameters.labeler != "llm" or _some_labeled(rollouts)
        rollouts, label_notes = await self._label(rollouts)
        basis, basis_notes = basis_of(rollouts, self._parameters, labels_are_given=labels_are_given)
        embedder, refine_notes = await self._refine(rollouts, teachers, basis)
        tree = TreeBuild(rollouts, basis, self._parameters, self._stages, self._backend, embedder)
        built = await tree.run(_identity(self._backend) if self._parameters.namer == "llm" else None)
        self.taken = tree.taken(built)
        vectors = await tree.chunk_vectors(built)
        built = await self._relabel(built, vectors)
        notes = (*read_notes, *chunk_notes, *label_notes, *basis_notes, *refine_notes)
        built = replace(built, examples=typical_chunks(built, vectors), warnings=(*notes, *built.warnings))
        return built, basis

    async def _read(
        self, inputs: Sequence[Path], input_hashes: object
    ) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
        from taxonomy.building.stage_files import ROLLOUTS

        async def make() -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
            reading = read_inputs(inputs)
            ordered = sorted(reading.rollouts, key=lambda rollout: rollout.id)
            numbered = [with_distinct_places(rollout) for rollout in ordered]
            renumbered = sum(a is not b for a, b in zip(numbered, ordered, strict=True))
            note = (
                f"{renumbered} rollouts use a chunk's 'idx' twice or below 0; their chunks were numbered anew"
            )
            return tuple(numbered), (*reading.notes, *((note,) if renumbered else ()))

        names = [path.name for path in inputs]  # of which ids and notes are made
        return await self._stages.run("read", {"inputs": input_hashes, "names": names}, make, ROLLOUTS)

    async def _chunk(self, rollouts: tuple[Rollout, ...]) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
        from taxonomy.building.stage_files import ROLLOUTS
        from taxonomy.chunking.by_model import chunk_by_model

        chunker = self._parameters.chunker
        undivided = sum(map(is_unchunked, rollouts))
        if not undivided:
            return rollouts, ()

        async def make() -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
            said = f"{undivided} of {len(rollouts)} rollouts came undivided and were divided by {chunker}"
            if chunker != "llm":
                return tuple(chunk_by_rules(rollout, chunker) for rollout in rollouts), (said,)
            assert self._backend is not None
            divided, notes = await chunk_by_model(rollouts, self._backend)
            return divided, (said, *notes)

        made_from: Mapping[str, object] = {
            "rollouts": self._stages.hashes["read"],
            "chunker": chunker,
            "model": _identity(self._backend) if chunker == "llm" else None,
        }
        return await self._stages.run("chunk", made_from, make, ROLLOUTS)

    async def _label(self, rollouts: tuple[Rollout, ...]) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
        from taxonomy.building.stage_files import ROLLOUTS
        from taxonomy.labeling import label_by_model

        if self._parameters.labeler != "llm":
            return rollouts, ()
        if _all_labeled(rollouts):
            return rollouts, ("--labeler llm had nothing to do: every chunk has a label",)

        async def make() -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
            assert self._backend is not None
            return await label_by_model(rollouts, self._backend)

        made_from: Mapping[str, object] = {
            "chunks": list(self._stages.hashes.values())[-1],
            "model": _identity(self._backend),
        }
        return await self._stages.run("label", made_from, make, ROLLOUTS)

    async def _refine(
        self, rollouts: tuple[Rollout, ...], teachers: tuple[Rollout, ...], basis: Basis
    ) -> tuple[str | None, tuple[str, ...]]:
        """The refined embedder, and notes; None where it is not refined."""
        if self._parameters.refine == "none":
            return None, ()
        from taxonomy.refining.stage import refine_embedder, refined_model

        self.refinement = await refine_embedder(
            rollouts,
            teachers,
            basis,
            self._parameters,
            self._stages,
            self._backend,
            _identity(self._backend),
            self._say,
        )
        return f"sentence-transformers:{refined_model(self._stages)}", self.refinement.notes

    async def _relabel(self, built: "BuiltTaxonomy", vectors: "NDArray[np.floating[Any]]") -> "BuiltTaxonomy":
        if self._parameters.relabeler != "llm":
            return built
        from taxonomy.building.relabeling_by_model import choose_thought_types, relabeled
        from taxonomy.building.stage_files import CHOICES

        backend = self._backend
        assert backend is not None
        made_from = {
            "tree": [
                [node.node_id, node.label, node.description, node.parent_id] for node in built.taxonomy.walk()
            ],
            "chunks": [[chunk.text, chunk.sample] for chunk in built.chunks],
            "model": _identity(backend),
        }
        choices = await self._stages.run(
            "relabel", made_from, lambda: choose_thought_types(built, backend, self._say), CHOICES
        )
        return relabeled(built, choices, vectors, backend.model_name)


def _some_labeled(rollouts: Sequence[Rollout]) -> bool:
    return any(chunk.label is not None for rollout in rollouts for chunk in rollout.chunks)


def _all_labeled(rollouts: Sequence[Rollout]) -> bool:
    return all(chunk.label is not None for rollout in rollouts for chunk in rollout.chunks)


def _silent(_: str) -> None:
    pass


def _without_labels(rollout: Rollout) -> Rollout:
    return replace(rollout, chunks=tuple(Chunk(chunk.idx, chunk.text) for chunk in rollout.chunks))
