"""``hierarchical-reasoning train hato``: a language model learns from trees of thoughts, whose nodes have rewards."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedOption, ReasoningCommand
from hierarchical_reasoning.cli.language_model_options import LanguageModelOptions
from hierarchical_reasoning.cli.train_language_model import given_settings
from hierarchical_reasoning.cli.training_run import train_language_model_at_terminal
from hierarchical_reasoning.training.hato.usual import FOR_BUNDLED, USUAL
from hierarchical_reasoning.training.language_model.config import OBJECTIVES, PRESETS, LanguageModelConfig

_how = partial(click.option, cls=GroupedOption, group="What is explored, credited and optimized")
_BUNDLED = {name: LanguageModelConfig.model_fields[name].default for name in PRESETS["hato"]}
_OPTIONS = LanguageModelOptions(
    LanguageModelConfig,
    {**_BUNDLED, **PRESETS["bundled"], **FOR_BUNDLED},
    "the model is the bundled one",
    usual={**PRESETS["hato"], **OBJECTIVES["dapo"], **USUAL},
)


@click.command(cls=ReasoningCommand, context_settings=COMMAND_CONTEXT)
@_OPTIONS.command(
    _how(
        "--config",
        type=click.Path(path_type=Path),
        help="Directory with model_config.yaml, training_config.yaml and hato_config.yaml. A flag that is given wins.",
    ),
    *_OPTIONS.how(),
    *_OPTIONS.preset(),
    *_OPTIONS.sampling(),
    *_OPTIONS.exploration(),
    *_OPTIONS.rewards(),
    *_OPTIONS.thoughts(),
    *_OPTIONS.thought_tree(),
    *_OPTIONS.search(),
    *_OPTIONS.depth(),
)
def hato(config: Path | None, resume: bool, report_to: tuple[str, ...], **settings: Any) -> None:
    """HATO: trees of thoughts, in which every node has a local, a path and a causal reward.

    `train run` with --credit hierarchical and --objective dapo. Without any option the bundled model learns from
    bundled problems; --config takes HATO's three files of settings.
    """
    flags = given_settings(settings, report_to)
    with reported():
        from hierarchical_reasoning.training.hato.reading import read_hato_files
        from hierarchical_reasoning.training.hato.settings import hato_run

        files = None if config is None else read_hato_files(config)
        run = hato_run(files, flags, resume=resume)
        train_language_model_at_terminal(run.config, resume=run.resume, notes=run.notes)


def main() -> None:
    """For the script in `runner_scripts`."""
    hato.main(prog_name=Path(sys.argv[0]).name)
