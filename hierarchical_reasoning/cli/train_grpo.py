"""``hierarchical-reasoning train grpo``, which is also ``python train_model_grpo.py``."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from hierarchical_reasoning.cli.failures import Broken, Interrupted, reported
from hierarchical_reasoning.cli.grouped import GroupedCommand, GroupedOption, joined_words
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.problems import ShapeName
from hierarchical_reasoning.training.config import FOR_BUNDLED_PLANNER, AdvantageKind, GrpoConfig

if TYPE_CHECKING:
    from hierarchical_reasoning.training.log import Record
    from hierarchical_reasoning.training.trainer import Trained

_data = partial(click.option, cls=GroupedOption, group="Data and taxonomy")
_models = partial(click.option, cls=GroupedOption, group="Models")
_rollouts = partial(click.option, cls=GroupedOption, group="Rollouts")
_update = partial(click.option, cls=GroupedOption, group="Update")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_path = click.Path(path_type=Path)


class _TrainCommand(GroupedCommand):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, joined_words(args, "--ground_truth_format"))


def _default(name: str) -> str:
    usual = GrpoConfig.model_fields[name].default
    if name in FOR_BUNDLED_PLANNER:
        return f"[default: {usual}; {FOR_BUNDLED_PLANNER[name]} where the planner is the bundled model]"
    return f"[default: {usual}]"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def train() -> None:
    """Tune the planner on what its rollouts achieved."""


@train.command(
    cls=_TrainCommand,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("-", "_"),
        "max_content_width": 110,
    },
)
@_data(
    "--data_file",
    type=_path,
    help="Problems to train on: .json, .jsonl, .csv or .tsv, also gzipped, or .parquet. [default: the bundled ones]",
)
@_data("--n_rows", type=int, help=f"How many of them. {_default('n_rows')}")
@_data(
    "--eval_file",
    type=_path,
    help="Held-out problems. [default: the bundled test problems with the bundled data, else those after --n_rows]",
)
@_data("--eval_rows", type=int, help=f"How many of them; 0 measures nothing. {_default('eval_rows')}")
@_data("--category", help="Only problems of this category. [default: all]")
@_data(
    "--ground_truth_format",
    help='Format of the answers: number, math, chess ("chess coordinate notation"), choice, countdown, text. '
    "[default: found from the data]",
)
@_data("--shuffle", is_flag=True, help="Take problems in an order drawn with --seed.")
@_data(
    "--problem_shape",
    type=click.Choice(get_args(ShapeName)),
    help="How the rows of the files are laid out. [default: auto, found from the data]",
)
@_data("--problem_field", help="Field with the problem's text. [default: prompt, problem or question]")
@_data("--answer_field", help="Field with the ground truth. [default: answer, ground_truth, ...]")
@_data(
    "--tree_model_path", type=_path, help="Taxonomy: a directory or a .gml file. [default: the bundled one]"
)
@_data(
    "--label_level", type=int, help=f"Level of the taxonomy, 0 the most general. {_default('label_level')}"
)
@_models("--planner_model_name", help="Trained: a model directory, or a name. [default: the bundled model]")
@_models("--reasoning_model_name", help="Frozen: a model directory, or a name. [default: the bundled model]")
@_models(
    "--llm_framework",
    help=f"Backend of the reasoner; in this version local alone. {_default('llm_framework')}",
)
@_models("--vllm_base_url", help="Refused: in this version the reasoner of a training run is run by local.")
@_models("--max_thought_tokens", type=int, help=f"Longest thought. {_default('max_thought_tokens')}")
@_models("--max_answer_tokens", type=int, help=f"Longest final response. {_default('max_answer_tokens')}")
@_models(
    "--num_icl_examples",
    type=int,
    help="Examples shown per thought type. [default: 5; 0 where the reasoner is the bundled model]",
)
@_models("--device", help=f"auto, cpu, cuda, ... {_default('device')}")
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
@_rollouts("--temperature", type=float, help=f"Of the planner's draws. {_default('temperature')}")
@_rollouts(
    "--reasoning_temperature",
    type=float,
    help=f"Of the reasoner's draws. {_default('reasoning_temperature')}",
)
@_rollouts(
    "--length_reward_weight",
    type=float,
    help=f"Weight of 1/(1 + characters written) beside the 1 for a correct answer. {_default('length_reward_weight')}",
)
@_rollouts("--max_concurrency", type=int, help=f"Episodes in flight. {_default('max_concurrency')}")
@_update("--epochs", type=int, help=f"Times each problem is met. {_default('epochs')}")
@_update("--batch_size", type=int, help=f"Problems in a batch. {_default('batch_size')}")
@_update(
    "--gradient_accumulation_steps",
    type=int,
    help=f"Batches that make one update. {_default('gradient_accumulation_steps')}",
)
@_update(
    "--num_iterations",
    type=int,
    help=f"Steps from the same episodes; clip and KL act from the second on. {_default('num_iterations')}",
)
@_update("--learning_rate", type=float, help=f"Of AdamW. {_default('learning_rate')}")
@_update(
    "--advantage_type",
    type=click.Choice(get_args(AdvantageKind)),
    help=f"Reward minus the group's mean; mean divides by the standard deviation too. {_default('advantage_type')}",
)
@_update("--epsilon", type=float, help=f"Ratios are clipped to 1 +- this. {_default('epsilon')}")
@_update(
    "--kl_coeff", type=float, help=f"Weight of KL(old || new), exact over options. {_default('kl_coeff')}"
)
@_update(
    "--max_grad_norm", type=float, help=f"Gradients are scaled down to this norm. {_default('max_grad_norm')}"
)
@_running("--seed", type=int, help=_default("seed"))
@_running("--output_dir", type=_path, help=f"Where checkpoints and logs go. {_default('output_dir')}")
@_running("--cache_dir", type=_path, help=f"Where chosen examples are kept. {_default('cache_dir')}")
@_running("--resume", is_flag=True, help="Go on from the last checkpoint in --output_dir.")
def grpo(resume: bool, vllm_base_url: str | None, **settings: Any) -> None:
    """GRPO: a planner learns from the outcomes of its rollouts which thought type to take next.

    The reasoner is frozen. Without any option the bundled model is planner and reasoner, and learns level 3 of the
    bundled taxonomy on bundled problems. The trained planner is in final/ under --output_dir.
    """
    with reported():
        if vllm_base_url is not None:
            raise ConfigError(
                f"--vllm_base_url {vllm_base_url!r} is for the backend vllm, and a training run's reasoner is run "
                "by the backend local in this version; leave it out, and take --llm_framework local"
            )
        config = GrpoConfig(**{name: value for name, value in settings.items() if value is not None})
        try:
            _train(config, resume=resume)
        except KeyboardInterrupt:
            raise Interrupted(_how_to_go_on(config)) from None


def _how_to_go_on(config: GrpoConfig) -> str:
    from hierarchical_reasoning.training.checkpoints import finished_epochs

    epochs = finished_epochs(config.output_dir)
    if not epochs:
        return "interrupted before an epoch was finished; nothing was kept to go on from"
    return f"interrupted; the last finished epoch is {epochs[max(epochs)]}, go on with --resume"


def _train(config: GrpoConfig, *, resume: bool) -> None:
    from hierarchical_reasoning.training.assembly import assemble_training
    from hierarchical_reasoning.training.errors import TrainingError
    from hierarchical_reasoning.training.trainer import Trainer
    from llm_backends import create_backend

    async def train() -> Trained:
        async with (
            create_backend(
                "local",
                model_name=config.reasoner_path,
                device=config.device,
                model_flag="--reasoning_model_name",
            ) as reasoner,
            Trainer(parts, reasoner, resume=resume, report=_show) as trainer,
        ):
            if trainer.resumed_from is not None:
                click.echo(f"going on from {trainer.resumed_from}")
            elif resume:
                click.echo(f"--resume: no checkpoint in {config.output_dir}; a new run begins")
            return await trainer.run()

    parts = assemble_training(config)
    click.echo(
        f"{len(parts.problems)} problems of {config.data_file}, level {config.label_level}; planner "
        f"{config.planner_model_name}, reasoner {config.reasoning_model_name}"
    )
    for note in parts.notes:
        click.echo(f"note: {note}")
    try:
        trained = asyncio.run(train())
    except TrainingError as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    _show_end(config, trained)


def _show(record: Record) -> None:
    if record.kind == "evaluation":
        errors = f", {record.errors} errors" if record.errors else ""
        click.echo(
            f"{record.when} training, {record.mode}: {record.correct} of {record.n} held-out problems correct "
            f"({100 * record.correct / record.n:.1f} %), {record.steps:.1f} choices a problem{errors}"
        )
        return
    click.echo(
        f"update {record.update} (epoch {record.epoch}): reward {record.reward:.3f}, "
        f"accuracy {100 * record.accuracy:.1f} %, entropy {record.entropy:.3f}, KL {record.kl:.4f}, "
        f"clipped {100 * record.clip_share:.1f} %, {record.groups_without_spread} of {record.groups} groups without "
        f"spread, {record.errors} errors, {record.rollout_seconds:.0f} + {record.update_seconds:.0f} s"
    )


def _show_end(config: GrpoConfig, trained: Trained) -> None:
    if trained.learned_nothing:
        click.echo(
            "ATTENTION: nothing was learned, since the rollouts of every problem had equal rewards; raise "
            "--num_rollouts_per_prompt or --temperature, or take problems that are solved now and then"
        )
    click.echo(
        f"the planner is in {trained.final}; use it with --model_name {trained.final} --label_level "
        f"{config.label_level} --max_reasoning_steps {config.max_steps_per_episode} --num_icl_examples "
        f"{config.n_examples}"
    )


def main() -> None:
    """For the script at the root."""
    grpo.main(prog_name=Path(sys.argv[0]).name)
