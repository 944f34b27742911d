"""``hierarchical-reasoning train grpo``, which is also ``python train_model_grpo.py``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedOption, ReasoningCommand
from hierarchical_reasoning.cli.serving import refuse_scripted
from hierarchical_reasoning.cli.shared_options import (
    FRAMEWORKS,
    HIGH_LEVEL,
    HOSTED,
    TAXONOMY,
    WHICH_PROBLEMS,
    prompt_options,
    vllm_options,
    with_options,
)
from hierarchical_reasoning.cli.training_options import TrainingOptions
from hierarchical_reasoning.cli.training_run import train_planner_at_terminal
from hierarchical_reasoning.training.config import (
    FOR_BUNDLED_PLANNER,
    AdvantageKind,
    GrpoConfig,
    KlReference,
)

_data = partial(click.option, cls=GroupedOption, group="Data and taxonomy")
_models = partial(click.option, cls=GroupedOption, group="Models")
_rollouts = partial(click.option, cls=GroupedOption, group="Rollouts")
_update = partial(click.option, cls=GroupedOption, group="Update")
_devices = partial(click.option, cls=GroupedOption, group="Devices and memory")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_path = click.Path(path_type=Path)


_OPTIONS = TrainingOptions(GrpoConfig, FOR_BUNDLED_PLANNER, "the planner is the bundled model")
_default = _OPTIONS.default


@click.command(
    cls=ReasoningCommand,
    context_settings=COMMAND_CONTEXT,
)
@with_options(*_OPTIONS.data())
@with_options(*WHICH_PROBLEMS)
@TAXONOMY
@_data(
    "--label_level", type=int, help=f"Level of the taxonomy, 0 the most general. {_default('label_level')}"
)
@_models("--planner_model_name", help="Trained: a model directory, or a name. [default: the bundled model]")
@_models("--reasoning_model_name", help="Frozen: a model directory, or a name. [default: the bundled model]")
@_models(
    "--llm_framework",
    help=f"Backend of the reasoner: {FRAMEWORKS}. [default: local for the bundled model and directories, else openai]",
)
@_models(
    "--dtype",
    type=click.Choice(("auto", "bfloat16", "float32")),
    help="Of the reasoner's weights, where it is local. [default: auto]",
)
@_models("--trust_remote_code", is_flag=True, help="Run code that comes with the reasoner.")
@_models("--max_thought_tokens", type=int, help=f"Longest thought. {_default('max_thought_tokens')}")
@_models("--max_answer_tokens", type=int, help=f"Longest final response. {_default('max_answer_tokens')}")
@with_options(*HIGH_LEVEL, *HOSTED, *vllm_options("--reasoning_model_name"))
@with_options(*prompt_options("reasoner"))
@_rollouts(
    "--num_rollouts_per_prompt",
    type=int,
    help=f"Episodes of a problem, which are compared with each other. {_default('num_rollouts_per_prompt')}",
)
@_rollouts(
    "--max_steps_per_episode",
    type=int,
    help=f'Steps at most, the last being "Finish thinking". {_default("max_steps_per_episode")}',
)
@_rollouts(
    "--sample_action/--no_sample_action",
    default=None,
    help="Whether the planner's choices are drawn; argmax rollouts are nearly all alike. [default: drawn]",
)
@_rollouts("--temperature", type=float, help=f"Of the reasoner's draws. {_default('temperature')}")
@_rollouts(
    "--planner_temperature",
    type=float,
    help="Of the planner's draws. [default: --temperature; without that, 1.0 where the planner is the bundled model]",
)
@_rollouts(
    "--length_reward_weight",
    type=float,
    help=f"Weight of 1/(1 + characters written) beside the 1 for a correct answer. {_default('length_reward_weight')}",
)
@_rollouts(
    "--max_concurrency", type=int, help=f"Episodes in flight, in each process. {_default('max_concurrency')}"
)
@_rollouts(
    "--max_retries",
    type=int,
    help=f"Further tries of a call after a transient error. {_default('max_retries')}",
)
@_rollouts(
    "--reasoner_patience",
    type=float,
    help=f"Seconds for which a reasoner that keeps failing is waited for. {_default('reasoner_patience')}",
)
@with_options(*_OPTIONS.steps())
@_update(
    "--advantage_type",
    type=click.Choice(get_args(AdvantageKind)),
    help=f"Reward minus the group's mean; mean divides by the standard deviation too. {_default('advantage_type')}",
)
@_update("--epsilon", type=float, help=f"Ratios are clipped to 1 +- this. {_default('epsilon')}")
@_update("--kl_coeff", type=float, help=f"Weight of the KL, exact over options. {_default('kl_coeff')}")
@_update(
    "--kl_reference",
    type=click.Choice(get_args(KlReference)),
    help=f"What the KL holds to: the planner that acted, or the one at the start. {_default('kl_reference')}",
)
@with_options(*_OPTIONS.devices())
@with_options(*_OPTIONS.running())
@_running("--no_cache", is_flag=True, help="Ask again even what was answered before.")
def grpo(resume: bool, report_to: tuple[str, ...], **settings: Any) -> None:
    """GRPO: a planner learns from the outcomes of its rollouts which thought type to take next.

    The reasoner is frozen. Without any option the bundled model is planner and reasoner, and learns level 3 of the
    bundled taxonomy on bundled problems. --output_dir then has best and last, model directories of the planner;
    rollouts, whose traces `hierarchical-reasoning results` shows; and report/index.html.
    """
    with reported():
        given = {name: value for name, value in settings.items() if value is not None}
        refuse_scripted(given)
        config = GrpoConfig(report_to=report_to, **given)
        train_planner_at_terminal(config, resume=resume)


def main() -> None:
    """For the script at the root."""
    grpo.main(prog_name=Path(sys.argv[0]).name)
