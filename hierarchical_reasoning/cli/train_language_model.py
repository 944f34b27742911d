"""``hierarchical-reasoning train run`` and ``train tree``: a language model learns to reason from its own rollouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import REASONING_CONTEXT, GroupedOption, ReasoningCommand
from hierarchical_reasoning.cli.shared_options import TAXONOMY, WHICH_PROBLEMS, Decorator, with_options
from hierarchical_reasoning.cli.training_options import TrainingOptions
from hierarchical_reasoning.cli.training_run import train_language_model_at_terminal
from hierarchical_reasoning.reasoning_config import BUNDLED
from hierarchical_reasoning.training.config import Aggregation
from hierarchical_reasoning.training.language_model.config import (
    PRESETS,
    CreditName,
    EstimatorName,
    ExplorerName,
    LanguageModelConfig,
    ObjectiveName,
    PresetName,
)

_model = partial(click.option, cls=GroupedOption, group="Model and prompts")
_how = partial(click.option, cls=GroupedOption, group="What is explored, credited and optimized")
_sampling = partial(click.option, cls=GroupedOption, group="Sampling")
_tree = partial(click.option, cls=GroupedOption, group="Trees")
_loss = partial(click.option, cls=GroupedOption, group="Advantages and loss")
_hapo = partial(click.option, cls=GroupedOption, group="HAPO")
_path = click.Path(path_type=Path)
_OPTIONS = TrainingOptions(LanguageModelConfig, PRESETS["bundled"], "the model is the bundled one")
_OF_TREE = TrainingOptions(
    LanguageModelConfig, PRESETS["bundled"], "the model is the bundled one", usual=PRESETS["treerpo"]
)
_default = _OPTIONS.default

_MODEL = (
    _model("--model_id", help="Trained: a model directory, or a name. [default: the bundled model]"),
    _model("--prompts_dir", type=_path, help="Folder of templates that override the shipped ones."),
)


def _sampling_options(default: Callable[[str], str]) -> tuple[Decorator, ...]:
    return (
        _sampling("--temperature", type=float, help=f"Of the draws. {default('temperature')}"),
        _sampling("--top_p", type=float, help=f"1 cuts nothing off. {default('top_p')}"),
        _sampling("--top_k", type=int, help=f"0 cuts nothing off. {default('top_k')}"),
        _sampling("--repetition_penalty", type=float, help=f"1 is none. {default('repetition_penalty')}"),
        _sampling("--max_new_tokens", type=int, help=f"Of one stream. {default('max_new_tokens')}"),
        _sampling("--max_concurrency", type=int, help=f"Streams at once. {default('max_concurrency')}"),
    )


def _entropy_tree_options(default: Callable[[str], str]) -> tuple[Decorator, ...]:
    return (
        _tree(
            "--max_depth", type=int, help=f"Deeper nodes are not split for entropy. {default('max_depth')}"
        ),
        _tree(
            "--min_segment_len",
            type=int,
            help=f"Tokens of a segment before a split, characters before a cut. {default('min_segment_len')}",
        ),
        _tree(
            "--entropy_threshold",
            type=float,
            help=f"Nats that the next token's entropy must exceed. {default('entropy_threshold')}",
        ),
        _tree(
            "--entropy_topk",
            type=int,
            help=f"Likeliest tokens that the entropy is taken over. {default('entropy_topk')}",
        ),
        _tree(
            "--coverage_min_chars",
            type=int,
            help=f"Characters that a cut takes off at least. {default('coverage_min_chars')}",
        ),
        _tree(
            "--coverage_children_max",
            type=int,
            help=f"Continuations of an answer that is cut back. {default('coverage_children_max')}",
        ),
    )


_LINEAR = (
    _tree(
        "--num_rollouts_per_prompt",
        type=int,
        help=f"linear: answers to a problem. {_default('num_rollouts_per_prompt')}",
    ),
)
_THOUGHT_TREE = (
    TAXONOMY,
    _tree("--label_level", type=int, help=f"thought_tree: level of the taxonomy. {_default('label_level')}"),
    _tree(
        "--branching_factor",
        type=int,
        help=f"thought_tree: thought types tried at a choice. {_default('branching_factor')}",
    ),
    _tree(
        "--branching_depth",
        type=int,
        help=f"thought_tree: choices that branch, from the first. {_default('branching_depth')}",
    ),
    _tree("--max_leaves", type=int, help=f"thought_tree: at most. {_default('max_leaves')}"),
    _tree(
        "--max_steps_per_episode",
        type=int,
        help=f"thought_tree: steps of a path at most. {_default('max_steps_per_episode')}",
    ),
    _tree(
        "--planner_temperature",
        type=float,
        help="thought_tree: at which thought types are drawn. [default: --temperature]",
    ),
    _tree(
        "--max_thought_tokens",
        type=int,
        help=f"thought_tree: longest thought. {_default('max_thought_tokens')}",
    ),
    _tree(
        "--max_answer_tokens",
        type=int,
        help=f"thought_tree: longest final response. {_default('max_answer_tokens')}",
    ),
    _tree(
        "--num_icl_examples",
        type=int,
        help="thought_tree: examples shown per thought type. [default: as the model was trained, else 5]",
    ),
)
_LOSS = (
    _loss(
        "--adv_estimator",
        type=click.Choice(get_args(EstimatorName)),
        help="Reward minus the group's mean; scaled: by the standard deviation; hapo: over tokens. "
        "[default: as --objective has it]",
    ),
    _loss(
        "--norm_adv_by_std_in_grpo/--no_norm_adv_by_std_in_grpo",
        default=None,
        help="Of hapo: divide by the standard deviation. [default: divide]",
    ),
    _loss("--clip_ratio_low", type=float, help=f"{_default('clip_ratio_low')}"),
    _loss("--clip_ratio_high", type=float, help="[default: 0.2; 0.28 with dapo]"),
    _loss("--clip_ratio_c", type=float, help=f"Of the dual clip. {_default('clip_ratio_c')}"),
    _loss(
        "--loss_agg_mode",
        type=click.Choice(get_args(Aggregation)),
        help="[default: token-mean; seq-mean-token-mean with grpo on linear rollouts]",
    ),
    _loss(
        "--kl_coeff", type=float, help=f"Weight of the KL to the model at the start. {_default('kl_coeff')}"
    ),
)
_HAPO = (
    _hapo(
        "--entropy_pivot",
        type=float,
        help=f"Quantile of entropies that tells sure tokens from unsure ones. {_default('entropy_pivot')}",
    ),
    _hapo(
        "--adaptive_temperature/--no_adaptive_temperature",
        default=None,
        help="Draw unsure tokens at a higher temperature. [default: with hapo]",
    ),
    _hapo("--temperature_tau", type=float, help=f"By what share at most. {_default('temperature_tau')}"),
    _hapo(
        "--adaptive_advantage/--no_adaptive_advantage",
        default=None,
        help="Redistribute advantages by entropy. [default: with hapo]",
    ),
    _hapo("--adv_beta", type=float, help=f"How far. {_default('adv_beta')}"),
    _hapo(
        "--adaptive_clip/--no_adaptive_clip",
        default=None,
        help="Clip by entropy. [default: with hapo]",
    ),
    _hapo("--clip_alpha", type=float, help=f"How far. {_default('clip_alpha')}"),
)
_ALIASES = {
    "dataset": "data_file",
    "per_device_train_batch_size": "batch_size",
    "save_steps": "save_every",
    "torch_dtype": "bf16",
}
"""Of `train tree`, the names that its published command has."""
_PRESET = _how(
    "--preset",
    type=click.Choice(get_args(PresetName)),
    help="Settings that go together, for what is not given. [default: bundled where the model is the bundled one; else "
    "none, and treerpo with `train tree`]",
)


def _command(of: TrainingOptions, *options: Decorator) -> Decorator:
    return with_options(
        *of.data(),
        *WHICH_PROBLEMS,
        *options,
        *_LOSS,
        *_HAPO,
        *of.steps(),
        *of.devices(),
        *of.running(),
    )


@click.command(cls=ReasoningCommand, context_settings=REASONING_CONTEXT)
@_command(
    _OPTIONS,
    *_MODEL,
    _how(
        "--explorer",
        type=click.Choice(get_args(ExplorerName)),
        help=f"How rollouts grow. {_default('explorer')}",
    ),
    _how(
        "--credit",
        type=click.Choice(get_args(CreditName)),
        help=f"How rewards reach tokens. {_default('credit')}",
    ),
    _how(
        "--objective",
        type=click.Choice(get_args(ObjectiveName)),
        help=f"Named settings of the loss; dapo sets --filter_groups as well. {_default('objective')}",
    ),
    _PRESET,
    _how(
        "--config",
        type=_path,
        help="YAML file of settings: verl's keys for HAPO, and flags by their names. A flag that is given wins.",
    ),
    *_sampling_options(_default),
    *_LINEAR,
    *_entropy_tree_options(_default),
    *_THOUGHT_TREE,
)
def run(resume: bool, report_to: tuple[str, ...], config: Path | None, **settings: Any) -> None:
    """Any explorer, credit and objective together: a language model learns to reason from its own rollouts.

    Without any option the bundled model learns from bundled problems by GRPO. --output_dir then has best and last,
    model directories; rollouts, with the answers and the trees of every update; and report/index.html.
    """
    given = _given(settings, report_to)
    with reported():
        notes: tuple[str, ...] = ()
        if config is not None:
            from hierarchical_reasoning.training.language_model.settings_file import read_settings_file

            given, notes = read_settings_file(config).under(given)
        _train(resume, given, notes)


@click.command(cls=ReasoningCommand, context_settings=REASONING_CONTEXT)
@_command(
    _OF_TREE,
    *_MODEL,
    _model("--dataset", type=_path, help="As --data_file."),
    _model("--torch_dtype", type=click.Choice(("bfloat16", "float32")), help="As --bf16, --no_bf16."),
    _PRESET,
    *_sampling_options(_OF_TREE.default),
    *_entropy_tree_options(_OF_TREE.default),
    _tree("--per_device_train_batch_size", type=int, help="As --batch_size: of all devices together."),
    _tree("--save_steps", type=int, help="As --save_every."),
    _tree(
        "--gpu_memory_utilization", type=float, help="Of a vLLM server; has no effect, since there is none."
    ),
    _tree("--enable_prefix_caching", is_flag=True, help="Of a vLLM server; prefixes are kept here anyway."),
)
def tree(resume: bool, report_to: tuple[str, ...], **settings: Any) -> None:
    """TreeRPO: answers branch where the model is unsure, and each segment is judged by the answers below it.

    `train run` with --explorer entropy_tree, --credit descendant_mean and --objective grpo.
    """
    given = _given(settings, report_to)
    notes = tuple(_without_effect(given))
    _rename_aliases(given)
    named = {"explorer": "entropy_tree", "credit": "descendant_mean", "objective": "grpo"}
    if given.get("model_id", BUNDLED) != BUNDLED:
        named["preset"] = "treerpo"
    with reported():
        _train(resume, named | given, notes)


def _given(settings: Mapping[str, Any], report_to: tuple[str, ...]) -> dict[str, Any]:
    """Those that were given, so that files and presets have the others."""
    source = click.get_current_context().get_parameter_source
    everything = {**settings, "report_to": report_to}
    return {name: value for name, value in everything.items() if source(name) is not ParameterSource.DEFAULT}


def _without_effect(given: dict[str, Any]) -> Iterator[str]:
    """Takes out what is about a vLLM server."""
    if (share := given.pop("gpu_memory_utilization", None)) is not None:
        yield f"--gpu_memory_utilization {share} has no effect: the model acts in this process, without vLLM"
    if given.pop("enable_prefix_caching", False):
        yield "--enable_prefix_caching has no effect: branches always take up what their prefix computed"


def _rename_aliases(given: dict[str, Any]) -> None:
    """Raises UsageError where two names of a setting are given."""
    dataset = given.get("dataset")
    if dataset is not None and not dataset.exists():
        raise click.UsageError(
            f"--dataset {str(dataset)!r} is no file; a dataset of a hub is first downloaded, as .jsonl or .parquet"
        )
    for other, name in _ALIASES.items():
        if other in given and name in given:
            raise click.UsageError(f"--{other} and --{name} are the same; give one")
        if other in given:
            given[name] = given.pop(other)
    if isinstance(given.get("bf16"), str):
        given["bf16"] = given["bf16"] == "bfloat16"


def _train(resume: bool, given: Mapping[str, Any], notes: tuple[str, ...]) -> None:
    train_language_model_at_terminal(LanguageModelConfig(**given), resume=resume, notes=notes)
