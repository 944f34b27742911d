"""Which settings of a run that trains a language model go together."""

from __future__ import annotations

from collections.abc import Iterator

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig

_OF_EXPLORERS = {
    "linear": ("num_rollouts_per_prompt",),
    "entropy_tree": (
        *("max_depth", "min_segment_len", "entropy_threshold", "entropy_topk"),
        *("coverage_min_chars", "coverage_children_max", "delimiters"),
    ),
    "thought_tree": (
        *("branching_factor", "branching_depth", "max_leaves", "max_steps_per_episode"),
        *("max_thought_tokens", "max_answer_tokens", "planner_temperature"),
        *("label_level", "tree_model_path", "num_icl_examples", "examples_file"),
    ),
}
"""The settings that one explorer alone reads."""
_NO_CLIPPING = "--num_iterations 1, since no ratio has left 1 then"


def check_language_model(config: LanguageModelConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect; those that cannot be served are refused.

    Raises:
        ConfigError: a combination that no run can have.
    """
    if config.llm_framework not in (None, "local"):
        raise ConfigError(
            f"--llm_framework {config.llm_framework}: the model in training acts in this process (local), so that "
            "every update acts with the newest weights"
        )
    if config.answers_are_judged:
        raise ConfigError(
            f"--ground_truth_format {config.ground_truth_format}: no model judges answers here; give a format that is "
            "graded without one (number, math, boxed, chess, choice, countdown or text)"
        )
    return tuple(_notes(config))


def _notes(config: LanguageModelConfig) -> Iterator[str]:
    usual = LanguageModelConfig(
        **{name: getattr(config, name) for name in ("model_id", "explorer", "credit", "objective", "preset")}
    )
    for does_not_apply, names, where in _rules(config):
        for name in names:
            value = getattr(config, name)
            if does_not_apply and value != getattr(usual, name):
                yield f"--{name} {value} has no effect with {where}"
    if config.preset == "treerpo" and config.explorer != "entropy_tree":
        yield f"--preset treerpo: its rules for splitting have no effect with --explorer {config.explorer}"
    if config.adaptive_clip and config.num_iterations == 1:
        yield f"--adaptive_clip has no effect with {_NO_CLIPPING}; give 2 or more"


def _rules(config: LanguageModelConfig) -> Iterator[tuple[bool, tuple[str, ...], str]]:
    """Settings, whether they have no effect, and with what."""
    for explorer, names in _OF_EXPLORERS.items():
        yield explorer != config.explorer, names, f"--explorer {config.explorer}"
    yield config.explorer == "thought_tree", ("max_new_tokens",), "--explorer thought_tree"
    estimator = f"--adv_estimator {config.adv_estimator}"
    yield config.adv_estimator != "hapo", ("norm_adv_by_std_in_grpo",), estimator
    yield not config.needs_entropy, ("entropy_pivot",), "nothing that reads entropies"
    yield not config.adaptive_temperature, ("temperature_tau",), "--no_adaptive_temperature"
    yield not config.adaptive_advantage, ("adv_beta",), "--no_adaptive_advantage"
    yield not config.adaptive_clip, ("clip_alpha",), "--no_adaptive_clip"
    yield not config.filter_groups, ("max_num_gen_batches",), "--no_filter_groups"
    yield config.num_iterations == 1, ("clip_ratio_low", "clip_ratio_high", "clip_ratio_c"), _NO_CLIPPING
