"""``hierarchical-reasoning train meta``: a start from which a few steps suffice for a family that was never seen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from hierarchical_reasoning.cli.failures import Broken, reported, until_interrupted
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedOption
from hierarchical_reasoning.cli.shared_options import with_options
from hierarchical_reasoning.cli.words_options import WordsCommand
from hierarchical_reasoning.problems import ShapeName
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.meta.config import (
    EncoderName,
    LearnFrom,
    MetaAlgorithm,
    MetaConfig,
    Trained,
)

if TYPE_CHECKING:
    from hierarchical_reasoning.training.meta.run import MetaRecord
    from hierarchical_reasoning.training.meta.transfer import TransferRow

_meta = partial(click.option, cls=GroupedOption, group="Meta-learning")
_families = partial(click.option, cls=GroupedOption, group="Families")
_model = partial(click.option, cls=GroupedOption, group="Model and prompts")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_path = click.Path(path_type=Path)


def _default(name: str) -> str:
    value = MetaConfig.model_fields[name].default
    return f"[default: {' '.join(map(str, value)) if isinstance(value, tuple) else value}]"


_META = (
    _meta("--meta_algorithm", type=click.Choice(get_args(MetaAlgorithm)), help=_default("meta_algorithm")),
    _meta(
        "--parameters",
        type=click.Choice(get_args(Trained)),
        help=f"What is learned: LoRA adapters of the language model, or a value head. {_default('parameters')}",
    ),
    _meta(
        "--inner_lr",
        type=float,
        help="Of gradient descent on one family. [default: 0.01; 0.5 for adapters of the bundled model]",
    ),
    _meta("--n_inner_steps", type=int, help=f"Of it, in an outer step. {_default('n_inner_steps')}"),
    _meta(
        "--meta_lr",
        type=float,
        help=f"reptile: step towards the adapted parameters, up to 1. {_default('meta_lr')}",
    ),
    _meta(
        "--outer_lr",
        type=float,
        help=f"maml: of Adam; also that of the jointly trained start. {_default('outer_lr')}",
    ),
    _meta("--first_order", is_flag=True, help="maml: leave out second derivatives."),
    _meta("--meta_steps", type=int, help=f"Outer steps, each over all families. {_default('meta_steps')}"),
    _meta(
        "--batch_size",
        type=int,
        help=f"Problems of an inner step. {_default('batch_size')[:-1]}; 2 for adapters of the bundled model]",
    ),
)
_FAMILIES = (
    _families(
        "--data_file",
        type=_path,
        help="Problems: .json, .jsonl, .csv or .tsv, also gzipped, or .parquet. [default: generated sample problems]",
    ),
    _families("--family_field", help="Field of a row that names its family. [default: its category]"),
    _families(
        "--families",
        multiple=True,
        help="To train on: two or more, behind each other. [default: all of --data_file but --unseen]",
    ),
    _families(
        "--unseen",
        help="The family to adapt to. [default: unit_price or ratio, where problems are generated]",
    ),
    _families("--n_train", type=int, help=f"Problems of each family trained on. {_default('n_train')}"),
    _families("--n_support", type=int, help=f"Of the unseen one, to adapt with. {_default('n_support')}"),
    _families(
        "--n_test",
        type=int,
        help=f"Of the unseen one, to measure with. {_default('n_test')[:-1]}; 24 for adapters of the bundled model]",
    ),
    _families(
        "--adaptation_steps",
        multiple=True,
        type=int,
        help=f"Measure after so many steps, behind each other. {_default('adaptation_steps')}",
    ),
    _families(
        "--learn_from",
        type=click.Choice(get_args(LearnFrom)),
        help="Answers that the model draws itself, or those that problems come with. [default: drawn; solutions for "
        "adapters of the bundled model, where problems are generated]",
    ),
    _families(
        "--solution_field",
        help=f"Field of a row with a right answer; --learn_from solutions. {_default('solution_field')}",
    ),
    _families(
        "--num_rollouts_per_prompt",
        type=int,
        help=f"Answers that the model draws to a problem. {_default('num_rollouts_per_prompt')}",
    ),
    _families("--problem_shape", type=click.Choice(get_args(ShapeName)), help="How rows are laid out."),
    _families("--problem_field", help="Field of a row with the problem's text."),
    _families("--answer_field", help="Field of a row with the ground truth."),
    _families("--ground_truth_format", help="Format of the answers. [default: found from the data]"),
)
_MODEL = (
    _model("--model_id", help="A model directory, or a name. [default: the bundled model]"),
    _model("--prompts_dir", type=_path, help="Folder of templates that override the shipped ones."),
    _model("--temperature", type=float, help=f"Of what is drawn to learn from. {_default('temperature')}"),
    _model("--max_new_tokens", type=int, help=f"Of an answer. {_default('max_new_tokens')}"),
    _model("--lora_r", type=int, help=f"adapter: rank. {_default('lora_r')}"),
    _model("--lora_alpha", type=int, help="adapter: scale. [default: twice --lora_r]"),
    _model(
        "--encoder",
        type=click.Choice(get_args(EncoderName)),
        help=f"head: sees the states of the model, or hashed words. {_default('encoder')}",
    ),
    _model("--hidden_size", type=int, help=f"head: units of a layer. {_default('hidden_size')}"),
    _model("--n_layers", type=int, help=f"head: hidden layers. {_default('n_layers')}"),
    _model("--n_models", type=int, help=f"head: members. {_default('n_models')}"),
    _model("--device", help=f"auto, cpu, cuda, ... {_default('device')}"),
    _model(
        "--dtype",
        type=click.Choice(("auto", "bfloat16", "float32")),
        help=f"Of the frozen weights. {_default('dtype')}",
    ),
)
_RUNNING = (
    _running("--max_concurrency", type=int, help=f"Answers at once. {_default('max_concurrency')}"),
    _running("--seed", type=int, help=_default("seed")),
    _running("--save_every", type=int, help=f"Outer steps between checkpoints. {_default('save_every')}"),
    _running("--output_dir", type=_path, help=f"Where everything goes. {_default('output_dir')}"),
    _running("--resume", is_flag=True, help="Go on from the last checkpoint in --output_dir."),
)


@click.command(cls=WordsCommand, context_settings=COMMAND_CONTEXT)
@with_options(*_META, *_FAMILIES, *_MODEL, *_RUNNING)
def meta(resume: bool, **settings: Any) -> None:
    """Learn a start across families of problems (Reptile or MAML), and measure it on a family that it never met.

    Without any option adapters of the bundled model are learned on worked answers to three families that it does not
    know. --output_dir then has last, a model directory (or a value head), and results.json: the unseen family before
    and after adaptation, beside the plain start and one that was trained jointly.
    """
    source = click.get_current_context().get_parameter_source
    given = {name: value for name, value in settings.items() if source(name) is not ParameterSource.DEFAULT}
    with reported():
        config = MetaConfig(**given)
        until_interrupted(
            _run(config, resume=resume),
            f"interrupted; what is in {config.output_dir} stays: go on with --resume",
        )


async def _run(config: MetaConfig, *, resume: bool) -> None:
    from hierarchical_reasoning.training.meta.assembly import assemble_meta
    from hierarchical_reasoning.training.meta.run import train_meta

    parts = assemble_meta(config)
    click.echo(
        f"{config.meta_algorithm} on {config.parameters}: families {', '.join(parts.problems.train)}; unseen "
        f"{parts.problems.unseen}; {config.output_dir}"
    )
    for note in parts.notes:
        click.echo(f"note: {note}")
    try:
        results = await train_meta(parts, resume=resume, report=lambda record: _show(config, record))
    except TrainingError as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    click.echo(f"results: {results.path}; {results.last}")


def _show(config: MetaConfig, record: MetaRecord | TransferRow) -> None:
    from hierarchical_reasoning.training.meta.run import MetaRecord

    if isinstance(record, MetaRecord):
        click.echo(
            f"outer step {record.update} of {config.meta_steps}: loss {record.before:.4f}, {record.after:.4f} after "
            f"{config.n_inner_steps} inner steps; jointly trained {record.joint:.4f}; {record.seconds:.1f} s"
        )
        return
    loss = "" if record.loss is None else f", loss {record.loss:.4f}"
    auc = "" if record.auc is None else f", AUC {record.auc:.3f}"
    click.echo(
        f"{record.start} start, {record.k} steps on the unseen family: {record.accuracy:.1%} "
        f"[{record.low:.1%}, {record.high:.1%}] ({record.correct} of {record.n}){loss}{auc}"
    )
