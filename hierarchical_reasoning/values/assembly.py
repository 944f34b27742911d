"""From the settings of a run to what its value head sees, and to a solver whose answers it values."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hierarchical_reasoning.values.encoders import HashedWords, HiddenStates, ServedEmbeddings

if TYPE_CHECKING:
    from hierarchical_reasoning.backends import Backends
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
    if config.value_features == "embeddings":
        return ServedEmbeddings(cast("ChatCompletionsBackend", backends.embedder))
    if _sees_words(config):
        return HashedWords()
    return HiddenStates(cast("LocalBackend", backends.reasoner).model)


def encoder_name(config: RunConfig) -> str:
    """The name that `encoder_of` will have, before there are backends."""
    if config.value_features == "embeddings":
        return f"embeddings of {config.embedding_model_name}"
    return HashedWords.name if _sees_words(config) else HiddenStates.name


def _sees_words(config: RunConfig) -> bool:
    return config.value_features == "words" or config.framework != "local"
