"""From the settings of a run to its value head: which it is, what it sees, and a solver whose answers it values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from hierarchical_reasoning.errors import ValueHeadError
from hierarchical_reasoning.values.encoders import HashedWords, HiddenStates, ServedEmbeddings
from hierarchical_reasoning.wording import counted
from taxonomy.atomic import file_hash

if TYPE_CHECKING:
    from hierarchical_reasoning.backends import Backends
    from hierarchical_reasoning.config import RunConfig
    from hierarchical_reasoning.problems import Problem
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


def value_head_facts(
    config: RunConfig, problems: Sequence[Problem]
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """What stands, in the settings of a run, for the file of the value head that it begins with; and what the user
    should know of that head.

    Raises:
        ValueHeadError: it is none that can be read, or it learned from other vectors than it would see.
    """
    if config.value_head is None or not (config.values_answers or config.learns_values):
        return {}, ()
    from hierarchical_reasoning.values.head_files import FILE, digest_of, read_head_header

    header = read_head_header(config.value_head)
    if header["encoder"] != (sees := encoder_name(config)):
        raise ValueHeadError(
            f"--value_head {config.value_head} learned from {header['encoder']}, and here it would see {sees}; give "
            f"{_flags_for(header['encoder'])}, or another head"
        )
    settings = {"value_head_sha256": file_hash(config.value_head / FILE)}
    head = f"--value_head {config.value_head}"
    if header["problems"] is None:
        return settings, (
            f"SEEN? {head} does not say which problems it was fitted to, as an earlier version wrote it; if they are "
            "among those here, what it chooses for them holds for no others",
        )
    fitted_to = frozenset(header["problems"])
    seen = sum(digest_of(problem) in fitted_to for problem in problems)
    if not seen:
        return settings, ()
    which = "all" if seen == len(problems) else f"{seen} of the"
    return settings, (
        f"SEEN: {head} was fitted to {which} {counted(len(problems), 'problem')} here, so what it chooses for them "
        "holds for no others",
    )


def _flags_for(encoder: str) -> str:
    """Which let a value head see the vectors of an encoder of that name."""
    if encoder == HashedWords.name:
        return "--value_features words"
    if encoder == HiddenStates.name:
        return "--value_features states, and a model in this process"
    return f"--value_features embeddings --embedding_model_name {encoder.removeprefix('embeddings of ')}"


def _sees_words(config: RunConfig) -> bool:
    return config.value_features == "words" or config.framework != "local"
