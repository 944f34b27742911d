"""From files of rollouts to a taxonomy directory, stage by stage: read, chunk, label, embed, grow, name, write.

What a tree grows from:

- `given`: labels that came with the rollouts. Each is a node of the last level (`taxonomy.build`).
- `around`: few given labels. Each is a node, pure; finer levels divide the texts of a label, coarser ones join labels.
- `described`: labels and descriptions by a model, or more given ones than can stay pure: clustered by what they mean.
- `texts`: chunks without labels, clustered by what they do.

Stages are kept (`taxonomy.stages`), and one is run again only if what it is made from changed.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from taxonomy.chunking import CHUNKERS, chunk_by_rules, is_unchunked
from taxonomy.directory import MANIFEST_FILE
from taxonomy.errors import BuildError, RolloutFileError
from taxonomy.reading import read_inputs
from taxonomy.rollouts import Chunk, Rollout
from taxonomy.stages import StageReport, Stages

if TYPE_CHECKING:
    from llm_backends import Backend
    from taxonomy.built import BuiltTaxonomy

Labeler = Literal["given", "llm", "none"]
Namer = Literal["medoid", "llm"]
Unlabeled = Literal["leave_out", "nearest"]
Basis = Literal["given", "around", "described", "texts"]
FEW_LABELS = 9
"""With so many given labels or fewer, finer levels are sought within them unless told otherwise."""
MAX_CLUSTERS = 15
FINER_NODES_A_LABEL = 4
CHUNKS_A_NODE = 500
"""The least size of a node is a chunk for so many, where it is not given, and 2 at least."""
_VERSIONED_PACKAGES = ("numpy", "scipy", "scikit-learn", "networkx")


@dataclass(frozen=True)
class PipelineParameters:
    """Everything besides the rollouts and the model that decides what is built."""

    chunker: str = "sentences"
    """For traces that are not divided yet: sentences, paragraphs or llm."""
    labeler: Labeler = "given"
    """given: labels that are there; llm: a model labels chunks that have none; none: labels are not used."""
    unlabeled: Unlabeled = "leave_out"
    """What becomes of chunks without a label where others have one."""
    embedder: str | None = None
    """None: tfidf for labels and descriptions, and for many given labels; else the default for texts."""
    namer: Namer = "medoid"
    levels: int = 7
    level_sizes: tuple[int, ...] | None = None
    min_clusters: int = 2
    max_clusters: int | None = None
    """Of the last level. None: the given labels; with few of them four times as many; without any, 15."""
    min_cluster_size: int | None = None
    """Chunks of every node that is no given label. None: 1 in 500, at least 2."""
    linkage: str = "ward"
    max_depth: int = 8
    n_centroids: int = 512
    seed: int = 0
    dimensions: int | None = None
    """None: what the embedder has, which is 100 for tfidf."""
    description_weight: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in (
            ("chunker", (*CHUNKERS, "llm")),
            ("labeler", get_args(Labeler)),
            ("unlabeled", get_args(Unlabeled)),
            ("namer", get_args(Namer)),
        ):
            if getattr(self, name) not in allowed:
                raise BuildError(
                    f"{name} is {getattr(self, name)!r}, allowed are {', '.join(allowed)} (--{name})"
                )
        if self.levels < 1:
            raise BuildError(f"levels is {self.levels}, at least 1 is allowed (--levels)")
        if self.n_centroids < 2:
            raise BuildError(f"n_centroids is {self.n_centroids}, at least 2 is allowed (--n_centroids)")

    @property
    def needs_model(self) -> tuple[str, ...]:
        """The flags that ask for a language model."""
        return tuple(flag for flag in ("chunker", "labeler", "namer") if getattr(self, flag) == "llm")


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

    Raises:
        TaxonomyError: inputs that cannot be read, parameters or data from which nothing can be built, or an output
            that cannot be written.
        BackendError: the model gave no reply; what it replied before is in its cache.
    """
    from taxonomy.directory_writer import check_output_directory, write_taxonomy_directory

    if parameters.needs_model and backend is None:
        flags = " and ".join(f"--{flag} llm" for flag in parameters.needs_model)
        raise BuildError(f"{flags} need a language model (--llm_framework, --model_name)")
    input_hashes = _hashed(inputs)
    made_from: dict[str, object] = {
        "inputs": input_hashes,
        "parameters": asdict(parameters),
        "model": _identity(backend) if parameters.needs_model else None,
        "versions": {package: version(package) for package in _VERSIONED_PACKAGES},
    }
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    if _holds(output, key):
        return PipelineResult(None, (), None, ())
    check_output_directory(output, overwrite=overwrite)
    stages = Stages(stages_dir or stages_beside(output), on_stage)
    build = _Build(parameters, stages, backend)
    built, basis, notes = await build.run(inputs, input_hashes)
    built = replace(built, warnings=(*notes, *built.warnings))
    about: dict[str, object] = {
        "basis": basis,
        "asked_for": asdict(parameters),
        "stages": stages.hashes,
        "build_key": key,
    }
    if made_from["model"] is not None:
        about["model"] = made_from["model"]
    write_taxonomy_directory(built, output, inputs=inputs, overwrite=overwrite, about_the_build=about)
    return PipelineResult(built, tuple(stages.reports), basis, built.warnings)


def stages_beside(output: Path) -> Path:
    """Where the stages of a directory are kept: in `.NAME.stages` beside it."""
    resolved = output.resolve()
    return resolved.parent / f".{resolved.name}.stages"


def _hashed(inputs: Sequence[Path]) -> list[str]:
    from taxonomy.directory_writer import file_hash

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

    def __init__(self, parameters: PipelineParameters, stages: Stages, backend: "Backend | None") -> None:
        self._parameters = parameters
        self._stages = stages
        self._backend = backend

    async def run(
        self, inputs: Sequence[Path], input_hashes: object
    ) -> "tuple[BuiltTaxonomy, Basis, tuple[str, ...]]":
        from taxonomy.tree_of_rollouts import TreeBuild, basis_of

        rollouts, read_notes = await self._read(inputs, input_hashes)
        rollouts, chunk_notes = await self._chunk(rollouts)
        if self._parameters.labeler == "none":
            rollouts = tuple(map(_without_labels, rollouts))
        rollouts, label_notes = await self._label(rollouts)
        basis, basis_notes = basis_of(rollouts, self._parameters)
        tree = TreeBuild(rollouts, basis, self._parameters, self._stages, self._backend)
        built = await tree.run(_identity(self._backend) if self._parameters.namer == "llm" else None)
        return built, basis, (*read_notes, *chunk_notes, *label_notes, *basis_notes)

    async def _read(
        self, inputs: Sequence[Path], input_hashes: object
    ) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
        from taxonomy.stage_files import ROLLOUTS

        async def make() -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
            reading = read_inputs(inputs)
            ordered = sorted(reading.rollouts, key=lambda rollout: rollout.id)
            numbered = [_with_distinct_places(rollout) for rollout in ordered]
            renumbered = sum(a is not b for a, b in zip(numbered, ordered, strict=True))
            note = (
                f"{renumbered} rollouts use a chunk's 'idx' more than once; their chunks were numbered anew"
            )
            return tuple(numbered), (*reading.notes, *((note,) if renumbered else ()))

        suffixes = ["".join(path.suffixes[-2:]) for path in inputs]
        return await self._stages.run("read", {"inputs": input_hashes, "kinds": suffixes}, make, ROLLOUTS)

    async def _chunk(self, rollouts: tuple[Rollout, ...]) -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
        from taxonomy.chunking_by_model import chunk_by_model
        from taxonomy.stage_files import ROLLOUTS

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
        from taxonomy.labeling import label_by_model
        from taxonomy.stage_files import ROLLOUTS

        if self._parameters.labeler != "llm":
            return rollouts, ()

        async def make() -> tuple[tuple[Rollout, ...], tuple[str, ...]]:
            assert self._backend is not None
            return await label_by_model(rollouts, self._backend)

        made_from: Mapping[str, object] = {
            "chunks": list(self._stages.hashes.values())[-1],
            "model": _identity(self._backend),
        }
        return await self._stages.run("label", made_from, make, ROLLOUTS)


def _without_labels(rollout: Rollout) -> Rollout:
    return replace(rollout, chunks=tuple(Chunk(chunk.idx, chunk.text) for chunk in rollout.chunks))


def _with_distinct_places(rollout: Rollout) -> Rollout:
    """The rollout itself, or with its chunks numbered in order where places repeat."""
    if len({chunk.idx for chunk in rollout.chunks}) == len(rollout.chunks):
        return rollout
    return replace(rollout, chunks=tuple(replace(chunk, idx=idx) for idx, chunk in enumerate(rollout.chunks)))
