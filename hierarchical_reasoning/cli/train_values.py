"""``hierarchical-reasoning train values``: a value head from finished runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from hierarchical_reasoning.cli.failures import reported, until_interrupted
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedCommand, GroupedOption
from hierarchical_reasoning.cli.shared_options import FRAMEWORKS, with_options
from hierarchical_reasoning.search.settings import ValueFeatures
from hierarchical_reasoning.training.values.config import ValuesConfig
from hierarchical_reasoning.values.settings import HEAD_KINDS
from hierarchical_reasoning.wording import counted

if TYPE_CHECKING:
    from hierarchical_reasoning.results.intervals import Accuracy
    from hierarchical_reasoning.training.values.run import TrainedValues

_head = partial(click.option, cls=GroupedOption, group="Value head")
_seen = partial(click.option, cls=GroupedOption, group="What it sees")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_path = click.Path(path_type=Path)


def _default(name: str) -> str:
    return f"[default: {ValuesConfig.model_fields[name].default}]"


_OPTIONS = (
    _head(
        "--uncertainty",
        type=click.Choice(HEAD_KINDS),
        help=f"Its kind, as of a search. {_default('uncertainty')}",
    ),
    _head("--n_members", type=int, help="Networks. [default: 5; 10 thinned ones with dropout]"),
    _head("--hidden_size", type=int, help=f"Units of a layer. {_default('hidden_size')}"),
    _head("--n_layers", type=int, help=f"Hidden layers. {_default('n_layers')}"),
    _head(
        "--test_share",
        type=float,
        help=f"Of the problems: kept apart, to measure the head by; 0: none. {_default('test_share')}",
    ),
    _head(
        "--validation_share",
        type=float,
        help=f"Of the others: to stop and to calibrate by. {_default('validation_share')}",
    ),
    _head("--max_pairs", type=int, help=f"Places that are learned from, at most. {_default('max_pairs')}"),
    _seen(
        "--value_features",
        type=click.Choice(get_args(ValueFeatures)),
        help="States of a model in this process, embeddings of a server, or hashed words. [default: states where the "
        "files' model runs in this process, else words]",
    ),
    _seen("--model_name", help="Model whose states are seen. [default: the one whose traces they are]"),
    _seen("--llm_framework", help=f"Its backend, or that of embeddings: {FRAMEWORKS}."),
    _seen("--embedding_model_name", help="--value_features embeddings: the model that makes them."),
    _seen("--base_url", help="URL of the server of embeddings. [default: the provider's]"),
    _seen("--api_key_env", help="Environment variable with its key. [default: the provider's]"),
    _seen("--device", help=f"auto, cpu, cuda, ... {_default('device')}"),
    _seen(
        "--dtype", type=click.Choice(("auto", "bfloat16", "float32")), help=f"Of weights. {_default('dtype')}"
    ),
    _running("--output_dir", type=_path, help=f"Where the head goes. {_default('output_dir')}"),
    _running(
        "--max_concurrency", type=int, help=f"Calls for embeddings at once. {_default('max_concurrency')}"
    ),
    _running("--cache_dir", type=_path, help=f"Of embeddings that were paid for. {_default('cache_dir')}"),
    _running("--no_cache", is_flag=True, help="Keep none, and use none."),
    _running("--seed", type=int, help=_default("seed")),
)


@click.command(cls=GroupedCommand, context_settings=COMMAND_CONTEXT)
@click.argument("files", nargs=-1, required=True, type=_path, metavar="FILE...")
@with_options(*_OPTIONS)
def values(**settings: Any) -> None:
    """Fit a value head to what the traces in results files (or journals) came to: right or wrong.

    With --samples and --value_head DIR it chooses among the samples of each problem; a search that begins with it knows
    from the start what a thought promises. Several samples of each problem teach most. Problems that are kept apart say
    what choosing by it would bring.
    """
    source = click.get_current_context().get_parameter_source
    given = {name: value for name, value in settings.items() if source(name) is not ParameterSource.DEFAULT}
    with reported():
        config = ValuesConfig(**given)
        until_interrupted(_run(config), "interrupted; nothing was written")


async def _run(config: ValuesConfig) -> None:
    from hierarchical_reasoning.training.values.run import train_values

    _show(await train_values(config, click.echo), config)


def _show(trained: TrainedValues, config: ValuesConfig) -> None:
    fitted, measured = trained.fitted, trained.measured
    click.echo(
        f"learned from {fitted.n_train:,} places, seen as {fitted.estimator.encoder.name}, in "
        f"{counted(fitted.rounds, 'round')}; stopped and calibrated by {fitted.n_validation:,} others"
    )
    if measured is not None:
        click.echo(
            f"{measured.problems:,} problems kept apart, {measured.attempts:,} traces: AUC {_number(measured.auc)}, "
            f"{_number(measured.auc_within)} between traces on one problem; ECE {measured.calibration.ece:.3f}, "
            f"Brier {measured.calibration.brier:.3f}"
        )
        if measured.chose:
            click.echo(
                f"choosing among the traces on each of {measured.best.n:,}: the first {_share(measured.first)}, the "
                f"majority {_share(measured.majority)}, the one valued most {_share(measured.best)}; one is right on "
                f"{_share(measured.any)}"
            )
    click.echo(f"value head: {trained.head}")
    like_the_traces = f"{next(iter(trained.flags))} " if len(trained.flags) == 1 else ""
    click.echo(
        f"choose among samples with it, and the settings of the traces: {like_the_traces}--samples 8 "
        f"--value_head {config.output_dir}"
        f"{_features(config)}"
    )
    click.echo(
        f"search with it: --search beam --value_head {config.output_dir} --uncertainty {config.uncertainty}"
        f"{_features(config)} --local_reward value --path_reward value"
    )


def _features(config: ValuesConfig) -> str:
    """The flags by which a run sees what the head does."""
    if config.value_features == "auto":
        return ""
    of = (
        f" --embedding_model_name {config.embedding_model_name}"
        if config.value_features == "embeddings"
        else ""
    )
    return f" --value_features {config.value_features}{of}"


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"


def _share(accuracy: Accuracy) -> str:
    if accuracy.value is None:
        return "-"
    return f"{100 * accuracy.value:.1f} % [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"
