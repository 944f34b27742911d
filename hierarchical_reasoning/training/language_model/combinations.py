"""Which settings of a run that trains a language model go together."""

from __future__ import annotations

from collections.abc import Iterator

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.model_combinations import check_high_level_model, check_server_settings
from hierarchical_reasoning.reasoning_config import MODEL_SETTINGS
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
    "search_tree": (
        *("max_depth", "branching_factor", "search_algorithm", "max_nodes_per_level", "max_nodes"),
        *("verification_threshold", "pruning_threshold", "sparse_materialization", "uncertainty"),
        *("max_thought_tokens", "max_answer_tokens", "planner_temperature"),
        *("label_level", "tree_model_path", "num_icl_examples", "examples_file"),
    ),
}
"""The settings that are read by some explorers and not by others."""
_REWARD_WEIGHTS = ("reward_alpha", "reward_beta", "reward_gamma")
_OF_JUDGE = (
    *(f"high_level_{name}" for name in MODEL_SETTINGS),
    *("structured_output", "requests_per_minute", "request_timeout", "prices"),
)
_NO_CLIPPING = "--num_iterations 1, since no ratio has left 1 then"


def check_language_model(config: LanguageModelConfig) -> tuple[str, ...]:
    """Notes on settings that have no effect; those that cannot be served are refused.

    Raises:
        ConfigError: a combination that no run can have.
    """
    if config.framework not in ("local", "vllm"):
        raise ConfigError(
            f"--llm_framework {config.framework}: the model in training acts in this process (local) or behind a vLLM "
            "server (vllm), which both take its weights before every update"
        )
    check_server_settings(config)
    if config.answers_are_judged:
        raise ConfigError(
            f"--ground_truth_format {config.ground_truth_format}: no model judges answers here; give a format that is "
            "graded without one (number, math, boxed, chess, choice, countdown or text)"
        )
    if config.credit == "hierarchical" and not any(getattr(config, name) for name in _REWARD_WEIGHTS):
        raise ConfigError(
            "--reward_alpha 0, --reward_beta 0 and --reward_gamma 0: with --credit hierarchical all nodes are alike "
            "then; give one of them more"
        )
    if config.kl_in_reward and not config.kl_coeff:
        raise ConfigError("--kl_in_reward with --kl_coeff 0: nothing is taken off; give --kl_coeff more")
    _check_local_reward(config)
    if config.problems_rolled_out < config.problems_per_update:
        raise ConfigError(
            f"--gen_batch_size {config.gen_batch_size} is less than the {config.problems_per_update} problems that an "
            "update learns from (--batch_size times --gradient_accumulation_steps); give as many or more"
        )
    return tuple(_notes(config))


def _check_local_reward(config: LanguageModelConfig) -> None:
    if config.credit != "hierarchical" or config.local_reward == "heuristic":
        return
    told = f"--local_reward {config.local_reward}"
    if not config.reward_alpha:
        raise ConfigError(f"{told} with --reward_alpha 0: nothing reads it then; give --reward_alpha more")
    if config.local_reward == "value" and config.explorer != "search_tree":
        raise ConfigError(
            f"{told} is what the value head of --explorer search_tree expects, and --explorer is {config.explorer}; "
            "take that, or --local_reward heuristic or judge"
        )
    if config.local_reward == "judge":
        if config.high_level_model is None:
            raise ConfigError(f"{told} has a model rate thoughts; name it with --high_level_model_name")
        check_high_level_model(config)


def without_effect(config: LanguageModelConfig) -> Iterator[tuple[str, str]]:
    """The settings that nothing reads, and with what that is so."""
    for does_not_apply, names, where in _rules(config):
        if does_not_apply:
            yield from ((name, where) for name in names)


def usual_for(config: LanguageModelConfig) -> LanguageModelConfig:
    """A run of the same kind, of which nothing else was said; settings that it has are not noted."""
    kind = ("model_id", "explorer", "credit", "objective", "preset")
    return LanguageModelConfig(**{name: getattr(config, name) for name in kind})


def _notes(config: LanguageModelConfig) -> Iterator[str]:
    usual = usual_for(config)
    for name, where in without_effect(config):
        if (value := getattr(config, name)) != getattr(usual, name):
            yield f"--{name} {value} has no effect with {where}"
    if config.preset == "treerpo" and config.explorer != "entropy_tree":
        yield f"--preset treerpo: its rules for splitting have no effect with --explorer {config.explorer}"
    if config.adaptive_clip and config.num_iterations == 1:
        yield f"--adaptive_clip has no effect with {_NO_CLIPPING}; give 2 or more"


def _rules(config: LanguageModelConfig) -> Iterator[tuple[bool, tuple[str, ...], str]]:
    """Settings, whether they have no effect, and with what."""
    read = _OF_EXPLORERS[config.explorer]
    of_others = dict.fromkeys(name for names in _OF_EXPLORERS.values() for name in names if name not in read)
    yield True, tuple(of_others), f"--explorer {config.explorer}"
    yield config.framework == "local", ("vllm_base_url",), "--llm_framework local"
    yield not config.vllm_auto_start, ("gpu_memory_utilization",), "no vLLM server that is started here"
    yield config.thinks_in_steps, ("max_new_tokens",), f"--explorer {config.explorer}"
    reads_weights = config.credit == "hierarchical" or config.explorer == "search_tree"
    yield not reads_weights, _REWARD_WEIGHTS, f"--credit {config.credit}"
    yield config.credit != "hierarchical", ("local_reward",), f"--credit {config.credit}"
    yield not config.judges_thoughts, _OF_JUDGE, "no model that rates thoughts (--local_reward judge)"
    estimator = f"--adv_estimator {config.adv_estimator}"
    yield config.adv_estimator != "hapo", ("norm_adv_by_std_in_grpo",), estimator
    yield not config.needs_entropy, ("entropy_pivot",), "nothing that reads entropies"
    yield not config.adaptive_temperature, ("temperature_tau",), "--no_adaptive_temperature"
    yield not config.adaptive_advantage, ("adv_beta",), "--no_adaptive_advantage"
    yield not config.adaptive_clip, ("clip_alpha",), "--no_adaptive_clip"
    yield not config.filter_groups, ("max_num_gen_batches", "filter_groups_metric"), "--no_filter_groups"
    yield config.num_iterations == 1, ("clip_ratio_low", "clip_ratio_high", "clip_ratio_c"), _NO_CLIPPING
