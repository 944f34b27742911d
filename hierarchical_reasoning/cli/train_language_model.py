"""``hierarchical-reasoning train run`` and ``train tree``: a language model learns to reason from its own rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedOption, ReasoningCommand
from hierarchical_reasoning.cli.language_model_options import LanguageModelOptions
from hierarchical_reasoning.cli.training_run import train_language_model_at_terminal
from hierarchical_reasoning.reasoning_config import BUNDLED
from hierarchical_reasoning.training.language_model.config import PRESETS, LanguageModelConfig

_model = partial(click.option, cls=GroupedOption, group="Model and prompts")
_how = partial(click.option, cls=GroupedOption, group="What is explored, credited and optimized")
_tree = partial(click.option, cls=GroupedOption, group="Trees")
_path = click.Path(path_type=Path)
_OF_RUN = LanguageModelOptions(LanguageModelConfig, PRESETS["bundled"], "the model is the bundled one")
_OF_TREE = LanguageModelOptions(
    LanguageModelConfig, PRESETS["bundled"], "the model is the bundled one", usual=PRESETS["treerpo"]
)
_ALIASES = {
    "dataset": "data_file",
    "per_device_train_batch_size": "batch_size",
    "save_steps": "save_every",
    "torch_dtype": "bf16",
}
"""Of `train tree`, the names that its published command has."""


@click.command(cls=ReasoningCommand, context_settings=COMMAND_CONTEXT)
@_OF_RUN.command(
    *_OF_RUN.how(),
    *_OF_RUN.preset(),
    _how(
        "--config",
        type=_path,
        help="YAML file of settings: verl's keys for HAPO, and flags by their names. A flag that is given wins.",
    ),
    *_OF_RUN.sampling(),
    *_OF_RUN.exploration(),
    *_OF_RUN.rewards(),
    *_OF_RUN.linear(),
    *_OF_RUN.depth(),
    *_OF_RUN.entropy_tree(),
    *_OF_RUN.thoughts(),
    *_OF_RUN.thought_tree(),
    *_OF_RUN.search(),
)
def run(resume: bool, report_to: tuple[str, ...], config: Path | None, **settings: Any) -> None:
    """Any explorer, credit and objective together: a language model learns to reason from its own rollouts.

    Without any option the bundled model learns from bundled problems by GRPO. --output_dir then has best and last,
    model directories; rollouts, with the answers and the trees of every update; and report/index.html.
    """
    given = given_settings(settings, report_to)
    with reported():
        notes: tuple[str, ...] = ()
        if config is not None:
            from hierarchical_reasoning.training.language_model.settings_file import read_settings_file

            given, notes = read_settings_file(config).under(given)
        _train(resume, given, notes)


@click.command(cls=ReasoningCommand, context_settings=COMMAND_CONTEXT)
@_OF_TREE.command(
    _model("--dataset", type=_path, help="As --data_file."),
    _model("--torch_dtype", type=click.Choice(("bfloat16", "float32")), help="As --bf16, --no_bf16."),
    *_OF_TREE.preset(),
    *_OF_TREE.sampling(),
    *_OF_TREE.depth(),
    *_OF_TREE.entropy_tree(),
    _tree("--per_device_train_batch_size", type=int, help="As --batch_size: of all devices together."),
    _tree("--save_steps", type=int, help="As --save_every."),
    _tree(
        "--enable_prefix_caching", is_flag=True, help="Has no effect: what prefixes computed is always kept."
    ),
)
def tree(resume: bool, report_to: tuple[str, ...], **settings: Any) -> None:
    """TreeRPO: answers branch where the model is unsure, and each segment is judged by the answers below it.

    `train run` with --explorer entropy_tree, --credit descendant_mean and --objective grpo.
    """
    given = given_settings(settings, report_to)
    notes = tuple(_without_effect(given))
    _rename_aliases(given)
    named = {"explorer": "entropy_tree", "credit": "descendant_mean", "objective": "grpo"}
    if given.get("model_id", BUNDLED) != BUNDLED:
        named["preset"] = "treerpo"
    with reported():
        _train(resume, named | given, notes)


def given_settings(settings: Mapping[str, Any], report_to: tuple[str, ...]) -> dict[str, Any]:
    """Those that were given, so that files and presets have the others."""
    source = click.get_current_context().get_parameter_source
    everything = {**settings, "report_to": report_to}
    return {name: value for name, value in everything.items() if source(name) is not ParameterSource.DEFAULT}


def _without_effect(given: dict[str, Any]) -> Iterator[str]:
    """Takes it out."""
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
