"""``hierarchical-reasoning eval``: a model measured as published numbers are made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierarchical_reasoning.cli.failures import reported, until_interrupted
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedCommand, GroupedOption
from hierarchical_reasoning.cli.serving import refuse_scripted, served
from hierarchical_reasoning.cli.shared_options import (
    FRAMEWORKS,
    HOSTED,
    WHICH_PROBLEMS,
    vllm_options,
    with_options,
)
from hierarchical_reasoning.cli.solving import check_ended_well, finishes_in_flight, solve
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.gsm8k import (
    MAX_NEW_TOKENS,
    SAMPLES,
    TEMPERATURE,
    TOP_P,
    Measure,
    measurements,
    score,
)
from hierarchical_reasoning.stopping import Stop

if TYPE_CHECKING:
    from hierarchical_reasoning.cli.display import Display
    from hierarchical_reasoning.results.records import Summary

_data = partial(click.option, cls=GroupedOption, group="Data and taxonomy")
_measures = partial(click.option, cls=GroupedOption, group="What is measured")
_model = partial(click.option, cls=GroupedOption, group="Models")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_path = click.Path(path_type=Path)


def _default(name: str) -> Any:
    return RunConfig.model_fields[name].default


@click.group(name="eval", context_settings={"help_option_names": ["-h", "--help"]})
def evaluate() -> None:
    """Measure a model as published numbers are made."""


@evaluate.command(cls=GroupedCommand, context_settings=COMMAND_CONTEXT)
@_data(
    "--input_file",
    type=_path,
    required=True,
    help="Problems in GSM8K's format: question, and an answer that ends in #### and a number.",
)
@_data("--n_rows", type=int, help="How many problems. [default: all]")
@_data("--category", help="Only problems of this category.")
@with_options(*WHICH_PROBLEMS)
@_measures(
    "--only", type=click.Choice([str(measure) for measure in Measure]), help="One of the two. [default: both]"
)
@_measures("--samples", type=int, help=f"K of the vote Maj@K. [default: {SAMPLES}]")
@_measures("--temperature", type=float, help=f"Of the vote's draws; greedy has 0. [default: {TEMPERATURE}]")
@_measures(
    "--top_p",
    type=float,
    help=f"Of the vote's draws: from the fewest tokens that hold this share. [default: {TOP_P}]",
)
@_measures(
    "--max_new_tokens", "--max_answer_tokens", "max_answer_tokens",
    type=int,
    help=f"Longest text, greedy and drawn. [default: {MAX_NEW_TOKENS}]",
)  # fmt: skip
@_model("--llm_framework", help=f"Backend: {FRAMEWORKS}. [default: local for directories, else openai]")
@_model(
    "--model_name", "--model_id", "model_name",
    help="Model: a directory, or a name the backend knows. [default: the bundled model]",
)  # fmt: skip
@_model("--prompts_dir", type=_path, help="Folder with a template vanilla.j2 that overrides the shipped one.")
@_model("--device", help="local: auto, cpu, cuda, ... [default: auto]")
@_model(
    "--dtype",
    type=click.Choice(("auto", "bfloat16", "float32")),
    help="local: of the weights. [default: auto]",
)
@_model("--trust_remote_code", is_flag=True, help="local: run code that comes with a model.")
@with_options(*HOSTED, *vllm_options("--model_name"))
@_running("--seed", type=int, help=f"Of draws, ties and intervals. [default: {_default('seed')}]")
@_running("--max_concurrency", type=int, help=f"Texts in flight. [default: {_default('max_concurrency')}]")
@_running(
    "--max_retries",
    type=int,
    help=f"Further tries after a transient error. [default: {_default('max_retries')}]",
)
@_running("--cache_dir", type=_path, help="Where results and caches go. [default: cache]")
@_running("--no_cache", is_flag=True, help="Ask again even what was answered before.")
@_running("--resume", is_flag=True, help="Go on with the newest runs of the same settings in --cache_dir.")
@_running(
    "--fail_on_error",
    metavar="LIMIT",
    help="Stop when more texts end in an error: 3, 10% or 0.1 of all. [default: go on]",
)
def gsm8k(only: str | None, *, resume: bool, **settings: Any) -> None:
    """Accuracy on GSM8K, or any problems in its format: greedy, and by a majority vote.

    The model must put its answer in \\boxed{}: a text without a box counts as wrong. Both measures are runs whose
    results files the `results` command reads.
    """
    from hierarchical_reasoning.cli.display import Display

    with reported():
        given = {name: value for name, value in settings.items() if value is not None}
        refuse_scripted(given)
        runs = measurements(given, None if only is None else Measure(only))
        display, stop = Display(prompt_verbose=False, thinking_verbose=False), Stop()
        where = next(iter(runs.values())).cache_dir
        message = f"interrupted; what is finished is in {where}, go on with --resume"
        until_interrupted(
            _measure(runs, display, stop, resume=resume), message, ends_soon=finishes_in_flight(stop, display)
        )


async def _measure(runs: Mapping[Measure, RunConfig], display: Display, stop: Stop, *, resume: bool) -> None:
    from hierarchical_reasoning.assembly import assemble
    from hierarchical_reasoning.backends import make_backends
    from hierarchical_reasoning.cli.display import Display
    from hierarchical_reasoning.results.file import check_writable

    parts = {measure: assemble(config) for measure, config in runs.items()}
    first = next(iter(runs.values()))
    check_writable(first.cache_dir)
    summaries: dict[Measure, Summary] = {}
    async with served(first, display.line) as serving, make_backends(serving) as backends:
        await backends.check_models()
        for measure, run in parts.items():
            of_one = Display(prompt_verbose=False, thinking_verbose=False)
            of_one.line(f"{measure}:")
            of_one.begin(run.config, run)
            finished = await solve(run, backends, of_one, stop, resume=resume)
            check_ended_well(finished, stop)
            summaries[measure] = finished.head.summary
    for measure, summary in summaries.items():
        display.line(_line(measure, runs[measure], summary))


def _line(measure: Measure, config: RunConfig, summary: Summary) -> str:
    from hierarchical_reasoning.cli.figures import accuracy_text

    name = str(measure) if measure is Measure.GREEDY else f"majority of {config.samples}"
    found = score(summary)
    boxes = f"{found.without_box:,} of {found.n_texts:,} texts had no \\boxed{{}}, and count as wrong"
    return f"{name}: {accuracy_text(found.accuracy)}; {boxes}"
