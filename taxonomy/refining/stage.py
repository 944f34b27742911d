"""The stage of a build that refines its embedder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taxonomy.building.parameters import Basis, PipelineParameters
from taxonomy.building.stage_files import REFINEMENT
from taxonomy.building.stages import Stages
from taxonomy.embedding import StepText, embed, steps_of
from taxonomy.embedding.sentences import minilm_path
from taxonomy.errors import BuildError
from taxonomy.refining.judged import lesson_of_judgements
from taxonomy.refining.labels import lesson_of_labels
from taxonomy.refining.refinement import Refinement
from taxonomy.refining.triplets import Lesson
from taxonomy.rollouts import Rollout

if TYPE_CHECKING:
    from llm_backends import Backend

REFINE_STAGE = "refine"


def refined_model(stages: Stages) -> Path:
    """Where the model is kept, a directory as sentence-transformers has them."""
    return stages.directory / "refined_model"


async def refine_embedder(
    rollouts: Sequence[Rollout],
    teachers: Sequence[Rollout],
    basis: Basis,
    parameters: PipelineParameters,
    stages: Stages,
    backend: "Backend | None",
    model: Mapping[str, object] | None,
    say: Callable[[str], None],
) -> Refinement:
    """
    Args:
        rollouts: whose steps are to be embedded.
        teachers: the same with all labels that were given, for `refine` "labels".
        basis: of the build.
        parameters: of the build.
        stages: the result goes there, and the model beside it.
        backend: the model that judges, for `refine` "llm".
        model: its identity.
        say: told how far it is.

    Raises:
        BuildError: too little to learn from, or a model that cannot be loaded.
        BackendError: the model that judges gave no reply.
    """
    p = parameters
    if p.refine == "labels" and basis == "described":
        raise BuildError(
            "labels cannot teach an embedder where these themselves are embedded, with their descriptions; let a model "
            "judge them (--refine llm), or embed the texts (--labeler none)"
        )

    async def lesson() -> Lesson:
        if p.refine == "labels":
            return lesson_of_labels(list(steps_of(teachers)), seed=p.seed)
        assert backend is not None
        steps = list(steps_of(rollouts, with_labels=basis == "described"))
        return await lesson_of_judgements(
            steps, vectors_of, backend, count=p.judged_triplets, seed=p.seed, say=say
        )

    def vectors_of(texts: Sequence[str]) -> NDArray[np.float64]:
        return embed([StepText(text) for text in texts], method=str(p.embedder)).astype(np.float64)

    async def make() -> Refinement:
        from taxonomy.refining.training import refine

        learned = await lesson()
        return refine(str(p.embedder), _model_of(str(p.embedder)), learned, refined_model(stages), say)

    made_from = {
        "chunks": list(stages.hashes.values())[-1],
        "embedder": p.embedder,
        "refine": p.refine,
        "seed": p.seed,
        "described": basis == "described",
        "judged": [p.judged_triplets, model] if p.refine == "llm" else None,
    }
    codec = replace(REFINEMENT, is_whole=lambda kept: kept.is_whole(refined_model(stages)))
    return await stages.run(REFINE_STAGE, made_from, make, codec)


def _model_of(embedder: str) -> str:
    return minilm_path() if embedder == "minilm" else embedder.partition(":")[2]
