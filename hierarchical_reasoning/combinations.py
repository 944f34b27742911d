"""Which settings of a run go together."""

from __future__ import annotations

from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.model_combinations import (
    check_extra_body,
    check_gives_json,
    check_models,
    notes_on_unused,
    unused_model_settings,
)
from hierarchical_reasoning.reasoning_config import MODEL_SETTINGS
from hierarchical_reasoning.search.combinations import check_search, notes_on_search, unused_search_settings

_TAXONOMY_SETTINGS = frozenset({"tree_model_path", "label_level", "num_icl_examples", "examples_file"})
_THOUGHT_SETTINGS = frozenset({"planner", "max_reasoning_steps", "max_thought_tokens"})
_PLANNER_SETTINGS = frozenset(
    {*(f"planner_{name}" for name in MODEL_SETTINGS), "planner_temperature", "max_choice_tokens"}
)


def check_combinations(config: RunConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect; one that needs another setting is refused without it."""
    mode = "--vanilla_baseline" if config.vanilla_baseline else f"--planner {config.planner}"
    if config.planner_sequence is not None and mode != "--planner fixed":
        raise ConfigError(f"--planner_sequence goes with --planner fixed, not with {mode}")
    if config.rollouts_file is not None and mode != "--planner markov":
        raise ConfigError(f"--rollouts_file goes with --planner markov, not with {mode}")
    if config.joint and mode != "--planner model":
        raise ConfigError(f"--joint has one model choose and think in one call; it does not go with {mode}")
    if config.joint:
        check_gives_json(config.reasoner, "--joint", "--llm_framework")
    check_search(config, mode)
    _check_samples(config, mode)
    check_extra_body("planner_", config.planner_extra_body, config.planner_model)
    check_models(config)
    searching = "no --search" if config.search is None else f"--search {config.search}"
    notes = notes_on_unused(config, _unused(config, mode), f"{mode} and --llm_framework {config.framework}")
    notes += notes_on_unused(config, unused_search_settings(config), searching)
    return (*notes, *notes_on_search(config))


def _check_samples(config: RunConfig, mode: str) -> None:
    """Planners that draw differ from sample to sample; what a model writes at temperature 0 does not."""
    planner_draws = config.asked_planner is not None and config.planner_sampling_temperature > 0
    if (
        config.samples > 1
        and config.temperature == 0
        and not planner_draws
        and mode not in ("--planner uniform", "--planner markov")
    ):
        raise ConfigError(
            f"--samples {config.samples} with --temperature 0 takes the likeliest words every time, so that all "
            "samples of a problem are the same; give a --temperature above 0, or --samples 1"
        )


def _unused(config: RunConfig, mode: str) -> set[str]:
    unused = unused_model_settings(config, config.planner_model)
    if mode in ("--vanilla_baseline", "--planner untyped"):
        unused |= _TAXONOMY_SETTINGS
    if config.vanilla_baseline:
        unused |= _THOUGHT_SETTINGS
    if config.asked_planner is None:
        unused |= _PLANNER_SETTINGS
    return unused
