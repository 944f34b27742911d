"""The later stages of a build: from labeled or unlabeled chunks to a named tree."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.built import BuiltTaxonomy, LabeledChunk, tree_nodes
from taxonomy.building.given_labels import (
    MAX_GIVEN_LABELS,
    build_taxonomy,
    check_ids,
    members_of_labels,
    positions_by_label,
    vectors_of_labels,
)
from taxonomy.building.growing import FinerRules, Grown, grow_around_labels, grow_from_vectors
from taxonomy.building.parameters import (
    FEW_LABELS,
    FINER_NODES_A_LABEL,
    MAX_CLUSTERS,
    Basis,
    PipelineParameters,
)
from taxonomy.building.relabeling import with_remaining_chunks
from taxonomy.building.stage_files import GROWN, NAMES, VECTORS
from taxonomy.building.stages import Stages
from taxonomy.embedding import DEFAULT_METHOD, StepText, embed, identity, steps_of
from taxonomy.errors import BuildError
from taxonomy.model import Taxonomy
from taxonomy.naming.composed import Member
from taxonomy.naming.functions import shown_functions
from taxonomy.naming.node_facts import facts_of
from taxonomy.naming.nodes import Names, names_without_model
from taxonomy.refining.stage import REFINE_STAGE
from taxonomy.rollouts import Chunk, Rollout, rollout_lines

if TYPE_CHECKING:
    from llm_backends import Backend

Vectors = NDArray[np.floating[Any]]
_WORD = re.compile(r"\w")


def basis_of(
    rollouts: Sequence[Rollout], parameters: PipelineParameters, *, labels_are_given: bool = True
) -> tuple[Basis, tuple[str, ...]]:
    """What the tree is to grow from, and what is to be said of that.

    Args:
        rollouts: as they are to be built from.
        parameters: of the build.
        labels_are_given: False where a model made the labels up.

    Raises:
        BuildError: there are no chunks with words, or parameters that do not fit the labels.
    """
    chunks = [chunk for rollout in rollouts for chunk in rollout.chunks]
    if not chunks:
        raise BuildError("the rollouts hold no chunks to build from")
    if not any(_WORD.search(chunk.text) for chunk in chunks):
        raise BuildError(f"none of the {len(chunks)} chunks holds a word")
    n_labels = len({chunk.label for chunk in chunks if chunk.label is not None})
    if n_labels == 0:
        note = f"none of the {len(chunks)} chunks has a label: they were clustered by their texts"
        return "texts", () if parameters.labeler == "none" else (note,)
    if not labels_are_given:
        return "described", ()
    if n_labels > MAX_GIVEN_LABELS:
        note = (
            f"the chunks carry {n_labels} different labels, of which {MAX_GIVEN_LABELS} at most stay pure: they were "
            "clustered by what they say"
        )
        return "described", (note,)
    basis = _basis_of_labels(n_labels, parameters)
    return basis, _unused(basis, parameters)


def _basis_of_labels(n_labels: int, parameters: PipelineParameters) -> Basis:
    most = parameters.max_clusters
    if parameters.level_sizes is not None:
        return "around" if parameters.level_sizes[-1] > n_labels else "given"
    if most is None:
        return "around" if n_labels <= FEW_LABELS else "given"
    if most < n_labels:
        raise BuildError(
            f"max_clusters is {most}, but the chunks carry {n_labels} given labels, which stay whole: at least "
            f"{n_labels} is allowed, or --labeler none, which does without labels (--max_clusters)"
        )
    return "around" if most > n_labels else "given"


def _unused(basis: Basis, parameters: PipelineParameters) -> tuple[str, ...]:
    """Notes on parameters that were set and play no part."""
    names = (
        ["min_clusters"]
        if basis == "around"
        else ["min_clusters", "min_cluster_size", "linkage", "n_centroids"]
    )
    usual = PipelineParameters()
    changed = [f"--{name}" for name in names if getattr(parameters, name) != getattr(usual, name)]
    if not changed:
        return ()
    return (f"{' and '.join(changed)} played no part: the levels that join given labels are chosen without",)


def _few_texts(different: int, wanted: int) -> str:
    if different == 1:
        return "the chunks have one and the same text, so there is one thought type"
    return f"the chunks have {different} different texts, so the last level has no more thought types, not {wanted}"


@dataclass(frozen=True)
class _Step:
    """A chunk and the rollout it is of."""

    rollout: Rollout
    chunk: Chunk


class TreeBuild:
    """Embed, grow, name."""

    def __init__(
        self,
        rollouts: Sequence[Rollout],
        basis: Basis,
        parameters: PipelineParameters,
        stages: Stages,
        backend: "Backend | None",
        embedder: str | None = None,
    ) -> None:
        """
        Args:
            rollouts: sorted by id.
            basis: what the tree grows from.
            parameters: of the build.
            stages: those before are done.
            backend: the model that names, where one does.
            embedder: a refined copy of the one that the parameters name.
        """
        check_ids(rollouts)
        self._rollouts = rollouts
        self._basis = basis
        self._parameters = parameters
        self._stages = stages
        self._backend = backend
        self._input_hash = next(sha for name, sha in reversed(stages.hashes.items()) if name != REFINE_STAGE)
        self._all = [_Step(rollout, chunk) for rollout in rollouts for chunk in rollout.chunks]
        self._rows = [row for row, s in enumerate(self._all) if basis == "texts" or s.chunk.label is not None]
        self._steps = [self._all[row] for row in self._rows]
        self._places_others = parameters.unlabeled == "nearest" and len(self._rows) < len(self._all)
        default = "tfidf" if basis in ("given", "described") else DEFAULT_METHOD
        self._embedder = embedder or parameters.embedder or default
        self._vectors: Vectors | None = None

    async def run(self, model: Mapping[str, object] | None) -> BuiltTaxonomy:
        """
        Args:
            model: the identity of the model that names, where one does.
        """
        usual = self._basis == "given" and self._embedder == "tfidf" and model is None
        needs_vectors = self._places_others or not usual
        vectors = await self._embed() if needs_vectors else None
        if self._basis == "given" and model is None:
            built = self._from_given(vectors)
        else:
            built = await self._grow_and_name(vectors, model)
        if self._places_others:
            assert vectors is not None
            chunks = [(step.rollout.id, step.chunk.idx, step.chunk.text) for step in self._all]
            built = with_remaining_chunks(built, chunks, vectors)
        return built

    def taken(self, built: BuiltTaxonomy) -> dict[str, object]:
        """What stands for parameters that were left open."""
        p = self._parameters
        return {
            "embedder": p.embedder or self._embedder,
            "levels": len(built.cuts),
            "max_clusters": built.cuts[-1].n_clusters if p.max_clusters is None else p.max_clusters,
            "min_cluster_size": p.least_size(len(self._rows)),
        }

    async def chunk_vectors(self, built: BuiltTaxonomy) -> Vectors:
        """Of the chunks of the tree that was built here, a row each."""
        vectors = await self._embed()
        return vectors if len(built.chunks) == len(self._all) else vectors[self._rows]

    async def _embed(self) -> Vectors:
        if self._vectors is None:
            self._vectors = await self._embedded()
        return self._vectors

    async def _embedded(self) -> Vectors:
        p = self._parameters
        steps: list[StepText] = list(steps_of(self._rollouts, with_labels=self._basis == "described"))

        async def make() -> Vectors:
            return embed(steps, method=self._embedder, dimensions=p.dimensions, seed=p.seed)

        made_from = {
            "chunks": self._input_hash,
            "embedder": p.embedder or self._embedder,
            "made_by": identity(p.embedder or self._embedder),
            "refined": self._stages.hashes.get(REFINE_STAGE),
            "labels": [p.labeler, self._basis == "described"],
            "dimensions": p.dimensions,
            "seed": p.seed,
        }
        vectors = await self._stages.run("embed", made_from, make, VECTORS)
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise BuildError(
                f"the embedding of chunk {self._all[row].chunk.idx} of rollout {self._all[row].rollout.id!r} is not "
                f"finite; another embedder can be chosen (--embedder)"
            )
        return vectors

    def _from_given(self, vectors: Vectors | None) -> BuiltTaxonomy:
        p = self._parameters
        own = None if vectors is None else np.asarray(vectors[self._rows], dtype=np.float64)
        return build_taxonomy(
            self._rollouts,
            levels=p.n_levels,
            level_sizes=p.level_sizes,
            seed=p.seed,
            dimensions=100 if p.dimensions is None else p.dimensions,
            description_weight=p.description_weight,
            vectors=own,
        )

    async def _grow_and_name(
        self, vectors: Vectors | None, model: Mapping[str, object] | None
    ) -> BuiltTaxonomy:
        assert vectors is not None
        own = vectors[self._rows]
        p = self._parameters
        warnings: list[str] = []
        left_out = len(self._all) - len(self._rows)
        if left_out and not self._places_others and self._basis != "given":  # which says so itself
            warnings.append(f"{left_out} of {len(self._all)} chunks have no label and were left out")
        descriptions, undescribed = self._descriptions(warnings)
        grown = await self._grow(own, vectors)
        names, notes = await self._names(grown, own, descriptions, undescribed, model)
        pure = self._basis != "described"
        given = [step.chunk.label if pure else None for step in self._steps]
        chunks = tuple(
            LabeledChunk(step.rollout.id, step.chunk.idx, step.chunk.text, label, sample)
            for step, label, sample in zip(self._steps, given, grown.sample_of_chunk, strict=True)
        )

        def name(level: int, cluster: int, _items: list[int]) -> tuple[str, str]:
            found = names[level][cluster]
            return found.label, found.description

        nodes = tuple(tree_nodes(grown.cuts, grown.samples, name))
        return BuiltTaxonomy(
            taxonomy=Taxonomy(nodes, source="the taxonomy being built"),
            cuts=grown.cuts,
            samples=grown.samples,
            chunks=chunks,
            parameters=p,
            rollouts_sha256=hashlib.sha256(rollout_lines(self._rollouts)).hexdigest(),
            warnings=(*warnings, *grown.warnings, *notes),
        )

    @cached_property
    def _described(self) -> tuple[list[Member], tuple[str, ...]]:
        """The given labels, sorted, and what is to be said of their descriptions."""
        chunks = [
            LabeledChunk(step.rollout.id, step.chunk.idx, step.chunk.text, step.chunk.label, 0)
            for step in self._steps
        ]
        said: list[str] = []
        members = members_of_labels(self._rollouts, positions_by_label(chunks, at_most=None), said)
        return members, tuple(said)

    def _descriptions(self, warnings: list[str]) -> tuple[dict[str, str], frozenset[str]]:
        """Of each label; and the labels that came without one."""
        if self._basis == "texts":
            return {}, frozenset()
        members, said = self._described
        if self._basis == "around":
            warnings.extend(said)
        described = {step.chunk.label for step in self._steps if (step.chunk.description or "").strip()}
        return (
            {member.label: member.description for member in members},
            frozenset(member.label for member in members if member.label not in described),
        )

    async def _grow(self, own: Vectors, everything: Vectors) -> Grown:
        p = self._parameters
        least = p.least_size(len(own))
        made_from = {
            "vectors": hashlib.sha256(np.ascontiguousarray(everything).tobytes()).hexdigest(),
            "chunks": self._input_hash,
            "basis": self._basis,
            "labeler": p.labeler,
            "levels": [p.levels, p.level_sizes, p.min_clusters, p.max_clusters, p.max_depth],
            "nodes": [least, p.linkage, p.n_centroids, p.seed, p.description_weight, p.dimensions],
        }

        async def make() -> Grown:
            if self._basis == "given":
                return self._grown_of_given(own)
            if self._basis == "around":
                return self._grow_around(own, least)
            return self._grow_from_vectors(own, least)

        return await self._stages.run("grow", made_from, make, GROWN)

    def _grow_from_vectors(self, own: Vectors, least: int) -> Grown:
        p = self._parameters
        rules = p.rules(least, p.max_clusters)
        warnings: tuple[str, ...] = ()
        different = self._different_texts()
        if self._basis == "texts" and p.level_sizes is None and different < rules.max_clusters:
            warnings = (_few_texts(different, rules.max_clusters),)
            if different == 1:
                rules = replace(rules, fixed_sizes=(1,))
            else:
                rules = p.rules(least, max(different, p.min_clusters))
        grown = grow_from_vectors(own, rules, n_centroids=p.n_centroids, seed=p.seed)
        return replace(grown, warnings=(*warnings, *grown.warnings))

    def _different_texts(self) -> int:
        """Of chunks; the same text under two labels counts twice."""
        return len({(step.chunk.label, " ".join(step.chunk.text.casefold().split())) for step in self._steps})

    def _grown_of_given(self, own: Vectors) -> Grown:
        built = self._from_given(own)
        return Grown(built.cuts, built.samples, tuple(chunk.sample for chunk in built.chunks), built.warnings)

    def _grow_around(self, own: Vectors, least: int) -> Grown:
        p = self._parameters
        labels = sorted({str(step.chunk.label) for step in self._steps})
        position = {label: place for place, label in enumerate(labels)}
        label_of_chunk = [position[str(step.chunk.label)] for step in self._steps]
        if p.level_sizes is not None and len(labels) not in p.level_sizes:
            raise BuildError(
                f"level sizes are {p.level_sizes}, but the given labels, which are {len(labels)}, must be one of "
                "the levels (--level_sizes)"
            )
        most = p.max_clusters or max(MAX_CLUSTERS, FINER_NODES_A_LABEL * len(labels))
        different = self._different_texts()
        rules = FinerRules(
            levels=p.n_levels,
            max_clusters=min(most, different),
            min_cluster_size=least,
            linkage=p.linkage,
            max_depth=p.most_levels_below_root,
            fixed_sizes=p.level_sizes,
        )
        grown = grow_around_labels(
            labels,
            label_of_chunk,
            own,
            self._label_vectors(own, label_of_chunk, len(labels)),
            rules,
            n_centroids=p.n_centroids,
            seed=p.seed,
        )
        if p.level_sizes is not None or different >= most:
            return grown
        return replace(grown, warnings=(_few_texts(different, most), *grown.warnings))

    def _label_vectors(
        self, own: Vectors, label_of_chunk: Sequence[int], n_labels: int
    ) -> NDArray[np.float64]:
        double = np.asarray(own, dtype=np.float64)
        of_chunk = np.asarray(label_of_chunk)
        means = np.stack([double[of_chunk == number].mean(axis=0) for number in range(n_labels)])
        weight, seed = self._parameters.description_weight, self._parameters.seed
        return vectors_of_labels(self._described[0], means, weight, seed)

    async def _names(
        self,
        grown: Grown,
        own: Vectors,
        descriptions: Mapping[str, str],
        undescribed: frozenset[str],
        model: Mapping[str, object] | None,
    ) -> tuple[Names, tuple[str, ...]]:
        pure = self._basis != "described"

        async def make() -> tuple[Names, tuple[str, ...]]:
            texts = [step.chunk.text for step in self._steps]
            labels = [step.chunk.label for step in self._steps]
            seen = list(steps_of(self._rollouts, with_labels=False))
            shown = shown_functions([seen[row] for row in self._rows])
            facts = facts_of(grown, texts, own, labels, descriptions, shown)
            traces = [step.rollout.id for step in self._steps]
            names = names_without_model(grown, facts, texts, traces, labels_are_pure=pure)
            if model is None:
                return names, ()
            from taxonomy.naming.by_model import name_by_model

            assert self._backend is not None
            named = await name_by_model(
                facts, names, self._backend, self._space, labels_are_pure=pure, undescribed=undescribed
            )
            return named.names, named.notes

        made_from = {
            "grown": self._stages.hashes["grow"],
            "chunks": self._input_hash,
            "vectors": self._stages.hashes["embed"],
            "model": model,
        }
        return await self._stages.run("name", made_from, make, NAMES)

    def _space(self, texts: Sequence[str]) -> Vectors:
        """Names and chunks in one space: the embedder's own where that understands sentences, else TF-IDF."""
        p = self._parameters
        method = "tfidf" if self._embedder == DEFAULT_METHOD else self._embedder
        return embed([StepText(text) for text in texts], method=method, seed=p.seed)
