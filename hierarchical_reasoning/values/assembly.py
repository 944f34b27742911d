"""From the settings of a run to what its value head sees, and to a solver whose answers it values."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hierarchical_reasoning.backends import Backends

if TYPE_CHECKING:
    from hierarchical_reasoning.config import RunConfig
    from hierarchical_reasoning.solvers.base import Solver
    from hierarchical_reasoning.values.encoders import Encoder
    from hierarchical_reasoning.values.learned import LearnedValue
    from llm_backends.hosted.chat_completions import ChatCompletionsBackend
    from llm_backends.local.backend import LocalBackend


def valued(solver: Solver, config: RunConfig, backends: Backends) -> Solver:
    """The solver, with the value head of the run valuing what it answers."""
    from hierarchical_reasoning.solvers.valued import ValuedSolver

    folder, encoder = config.value_head, encoder_of(config, backends)
    assert folder is not None, "there is one where answers are valued"

    async def load() -> LearnedValue:
        from hierarchical_reasoning.values.learned import LearnedValue

        return await LearnedValue.load(folder, encoder)

    return ValuedSolver(solver, load)


def encoder_of(config: RunConfig, backends: Backends) -> Encoder:
    """What a value head of these settings sees of places."""
    from hierarchical_reasoning.values.encoders import HashedWords, HiddenStates, ServedEmbeddings

    features = config.value_features
    if features == "embeddings":
        return ServedEmbeddings(cast("ChatCompletionsBackend", backends.embedder))
    if features == "words" or config.framework != "local":
        return HashedWords()
    return HiddenStates(cast("LocalBackend", backends.reasoner).model)
