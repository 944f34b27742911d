"""From a configuration to what a run and a training run are made of alike: in-context examples, the reasoner, and what
the models are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from hierarchical_reasoning.backends import make_backend, open_cache
from hierarchical_reasoning.examples_file import read_examples
from hierarchical_reasoning.model_combinations import model_flag, models_by_role
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.prompts import Prompts
from hierarchical_reasoning.reasoner import Reasoner
from hierarchical_reasoning.reasoning_config import ModelChoice, ReasoningConfig
from hierarchical_reasoning.results.file import check_writable
from hierarchical_reasoning.results.records import RoleUsage
from llm_backends import Backend, Price, PriceTable, Sampling, backend_class
from llm_backends.model_files import model_files
from taxonomy import ThoughtType
from taxonomy.examples import LevelExamples
from taxonomy.examples_by_model import choose_with_model

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Examples = Mapping[str, tuple[str, ...]]
"""In-context examples by thought type, as shown."""


_Config = TypeVar("_Config", bound=ReasoningConfig)
_Parts = TypeVar("_Parts", bound="DataclassInstance")


def model_identities(config: ReasoningConfig) -> dict[str, dict[str, object]]:
    """By role, what a model is, for the record and for resuming. A backend that is cheap to make is made, which finds a
    missing key and a wrong address."""
    return {role: _identity(config, model) for role, model in models_by_role(config).items()}


def prices_by_role(config: ReasoningConfig) -> dict[str, Price | None]:
    """What a role's tokens cost; None where its model has no known price."""
    table = PriceTable.load(config.prices)
    models = models_by_role(config).items()
    return {role: table.price(model.framework, model.model_name) for role, model in models}


def shown_examples(
    config: ReasoningConfig, options: Sequence[ThoughtType], chosen: LevelExamples | None
) -> tuple[Examples, tuple[str, ...]]:
    """The examples that prompts show, and notes on them.

    Args:
        options: the thought types of the level.
        chosen: the examples of the level; None: they are chosen here, without a model.
    """
    if config.n_examples == 0:
        return {}, ()
    if config.examples_file is not None:
        examples, note = read_examples(config.examples_file, options)
        return {name: texts[: config.n_examples] for name, texts in examples.items()}, (note,)
    if chosen is None:
        from taxonomy.examples import examples_for_level

        cache_dir = check_writable(config.cache_dir)
        chosen = examples_for_level(config.tree_model_path, config.label_level, cache_dir=cache_dir)
    return chosen.shown(config.n_examples), chosen.notes


async def examples_by_model(config: ReasoningConfig) -> tuple[LevelExamples, RoleUsage] | None:
    """Those that the high-level model chooses, and what that took; None where no model is to choose any."""
    high_level = config.high_level_model
    if high_level is None or not config.shows_taxonomy_examples:
        return None
    cache = open_cache(config)
    try:
        async with make_backend(config, high_level, cache, flag=model_flag(config, "examples")) as backend:
            await backend.check_model()
            chosen = await choose_with_model(
                config.tree_model_path,
                config.label_level,
                backend,
                cache_dir=check_writable(config.cache_dir),
            )
            spent = backend.meter.total
    finally:
        if cache is not None:
            cache.close()
    return chosen, RoleUsage.priced(spent, prices_by_role(config)["examples"])


async def with_examples_by_model(
    assemble: Callable[[_Config, LevelExamples | None], _Parts], config: _Config, serving: _Config | None
) -> _Parts:
    """What `assemble` makes of a configuration and in-context examples, where the high-level model chooses these;
    nothing is spent before everything else is found to be right.

    Args:
        serving: the configuration with the address of a server that was started for it; None: as it is.
    """
    if config.high_level_model is not None:
        assemble(config, no_examples(config))
    by_model = await examples_by_model(serving or config)
    if by_model is None:
        return assemble(config, None)
    chosen, spent = by_model
    return replace(assemble(config, chosen), examples_spent=spent)


def no_examples(config: ReasoningConfig) -> LevelExamples:
    """In place of examples that are still to be chosen."""
    return LevelExamples(config.label_level, {}, ())


def make_reasoner(
    config: ReasoningConfig,
    prompts: Prompts,
    backend: Backend,
    examples: Examples,
    observer: Observer | None = None,
    *,
    top_p: float = 1.0,
) -> Reasoner:
    """The reasoner, with the settings for it."""
    return Reasoner(
        backend,
        prompts,
        Sampling(temperature=config.temperature, top_p=top_p, seed=config.seed),
        max_thought_tokens=config.max_thought_tokens,
        max_answer_tokens=config.max_answer_tokens,
        examples=examples,
        observer=observer or Observer(),
    )


def _identity(config: ReasoningConfig, model: ModelChoice) -> dict[str, object]:
    identity: dict[str, object] = {"framework": model.framework, "model": model.model_path}
    if backend_class(model.framework).cheap_to_make:
        return identity | dict(make_backend(config, model, cache=None).cache_identity())
    return identity | {"files": model_files(model.model_path)}
