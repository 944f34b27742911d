"""Grouping chunks again, as the build of a directory did, with another seed or from other draws of its rollouts.

Levels keep the sizes that the directory has, so that each is compared with one of its kind. Nodes are named without
a model, since names change nothing of what is grouped, and nothing is written. Vectors that an embedder makes of each
text by itself (all but `tfidf` and `discourse`, which are fitted to all of them) are made once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.built import BuiltTaxonomy
from taxonomy.building.parameters import Basis, PipelineParameters
from taxonomy.building.stages import Codec, StageReport, Stages
from taxonomy.building.tree_of_rollouts import TreeBuild
from taxonomy.embedding import embed, steps_of
from taxonomy.errors import BuildError
from taxonomy.looking.given_labels import ChunkKey
from taxonomy.rollouts import Rollout

Vectors = NDArray[np.floating[Any]]
Result = TypeVar("Result")
_FITTED_TO_ALL_TEXTS = (None, "tfidf", "discourse")


class TreeAgain:
    """Groups rollouts as a build would."""

    def __init__(
        self,
        rollouts: Sequence[Rollout],
        basis: Basis,
        parameters: PipelineParameters,
        sizes: Sequence[int],
        vectors: Vectors | None,
    ) -> None:
        """
        Args:
            rollouts: what the directory was built from.
            basis: of the build.
            parameters: of the build.
            sizes: of the directory's levels.
            vectors: of the rollouts' chunks, where the build kept them.
        """
        self._basis: Basis = basis
        self._parameters = replace(parameters, namer="medoid", relabeler="nearest", refine="none")
        self._sizes = sizes
        self._n_labels = _n_labels(rollouts) if basis in ("given", "around") else 0
        self._vectors_of: dict[str, Vectors] | None = None
        if parameters.embedder not in _FITTED_TO_ALL_TEXTS:
            self._vectors_of = _by_rollout(rollouts, self._embedded(rollouts) if vectors is None else vectors)

    def group(self, rollouts: Sequence[Rollout], seed: int) -> list[Mapping[ChunkKey, str]]:
        """For each level of the directory, the node of each chunk; nothing for a level that the rollouts, which may
        repeat, do not carry. Copies of a rollout are grouped alike, and are one.

        Raises:
            BuildError: they do not even carry a root.
        """
        drawn = [replace(rollout, id=f"{place:09}") for place, rollout in enumerate(rollouts)]
        original_id = {new.id: old.id for new, old in zip(drawn, rollouts, strict=True)}
        of_draw = None
        if self._vectors_of is not None:
            of_draw = np.concatenate([self._vectors_of[rollout.id] for rollout in rollouts])
        sizes = [self._size(size, _n_labels(rollouts)) for size in self._sizes]
        built = self._built(drawn, sizes, seed, of_draw)
        found = {
            cut.n_clusters: {
                (original_id[chunk.rollout_id], chunk.idx): built.node_id(chunk.sample, level)
                for chunk in built.chunks
            }
            for level, cut in enumerate(built.cuts)
        }
        return [found.get(size, {}) for size in sizes]

    def _size(self, size: int, n_labels: int) -> int:
        """Where a draw misses a given label, levels of labels shrink."""
        return min(size, n_labels) if size <= self._n_labels else size

    def _built(
        self, rollouts: Sequence[Rollout], sizes: Sequence[int], seed: int, vectors: Vectors | None
    ) -> BuiltTaxonomy:
        """With as many of the levels as the rollouts carry, from the root on."""
        wanted = sorted(set(sizes))
        while True:
            parameters = replace(self._parameters, level_sizes=tuple(wanted), seed=seed)
            tree = TreeBuild(rollouts, self._basis, parameters, _Unkept(vectors), None)
            try:
                # In a thread of its own, since that of a notebook runs an event loop already.
                with ThreadPoolExecutor(max_workers=1) as thread:
                    return thread.submit(asyncio.run, tree.run(None)).result()
            except BuildError:
                if len(wanted) == 1:
                    raise
                del wanted[-1]

    def _embedded(self, rollouts: Sequence[Rollout]) -> Vectors:
        p = self._parameters
        steps = list(steps_of(rollouts, with_labels=self._basis == "described"))
        return embed(steps, method=str(p.embedder), dimensions=p.dimensions, seed=p.seed)


def _n_labels(rollouts: Sequence[Rollout]) -> int:
    return len({chunk.label for rollout in rollouts for chunk in rollout.chunks} - {None})


def _by_rollout(rollouts: Sequence[Rollout], vectors: Vectors) -> dict[str, Vectors]:
    ends = np.cumsum([len(rollout.chunks) for rollout in rollouts])
    parts = np.split(vectors, ends[:-1])
    return {rollout.id: part for rollout, part in zip(rollouts, parts, strict=True)}


class _Unkept(Stages):
    """Stages of which nothing is written. The vectors of the chunks may be known before."""

    def __init__(self, vectors: Vectors | None) -> None:
        super().__init__(Path())
        self._vectors = vectors
        self.reports.append(StageReport("rollouts", kept=True, sha256=""))

    async def run(
        self,
        name: str,
        made_from: Mapping[str, object],
        make: Callable[[], Awaitable[Result]],
        codec: Codec[Result],
    ) -> Result:
        known = name == "embed" and self._vectors is not None
        result = cast("Result", self._vectors) if known else await make()
        self.reports.append(StageReport(name, kept=known, sha256=""))
        return result
