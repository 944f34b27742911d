"""``hierarchical-reasoning run``, which is also ``python hierarchical_reasoning.py``."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from hierarchical_reasoning.cli.failures import reported, until_interrupted
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, GroupedOption, ReasoningCommand
from hierarchical_reasoning.cli.search_options import SEARCH
from hierarchical_reasoning.cli.serving import refuse_scripted, served
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
from hierarchical_reasoning.cli.solving import check_ended_well, finishes_in_flight, solve
from hierarchical_reasoning.config import PlannerName, RunConfig
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.stopping import Stop

if TYPE_CHECKING:
    from hierarchical_reasoning.cli.display import Display

_data = partial(click.option, cls=GroupedOption, group="Data and taxonomy")
_reasoning = partial(click.option, cls=GroupedOption, group="Reasoning")
_model = partial(click.option, cls=GroupedOption, group="Models")
_others = partial(click.option, cls=GroupedOption, group="Other models for other roles")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_showing = partial(click.option, cls=GroupedOption, group="What is shown")
_path = click.Path(path_type=Path)
_NEWEST = "newest"
"""The value of ``--resume`` without one."""


def _default(name: str) -> Any:
    return RunConfig.model_fields[name].default


@click.command(
    cls=ReasoningCommand,
    context_settings=COMMAND_CONTEXT,
)
@_data(
    "--input_file",
    type=_path,
    help="Problems: .json, .jsonl, .csv or .tsv, also gzipped, or .parquet. [default: the bundled test problems]",
)
@TAXONOMY
@_data("--category", help="Only problems of this category.")
@_data("--n_rows", type=int, help=f"How many problems. [default: {_default('n_rows')}]")
@_data(
    "--ground_truth_format",
    help='Format of the answers: number, math, chess ("chess coordinate notation"), choice, countdown, text, judge, '
    "boxed, ungraded. [default: found from the data]",
)
@with_options(*WHICH_PROBLEMS)
@_reasoning("--vanilla_baseline", is_flag=True, help="One call a problem, without thought types.")
@_reasoning(
    "--label_level",
    type=int,
    help=f"Level of the taxonomy, 0 the most general. [default: {_default('label_level')}]",
)
@_reasoning(
    "--max_reasoning_steps",
    type=int,
    help=f'Steps at most, the last being "Finish thinking". [default: {_default("max_reasoning_steps")}]',
)
@_reasoning(
    "--planner",
    type=click.Choice(get_args(PlannerName)),
    help=f"Who picks the thought types. [default: {_default('planner')}]",
)
@_reasoning("--planner_sequence", help="For --planner fixed: thought types with semicolons between them.")
@_reasoning(
    "--rollouts_file",
    type=_path,
    help="For --planner markov: labeled rollouts. [default: the chunks in --tree_model_path]",
)
@_reasoning("--joint", is_flag=True, help="Choose the thought type and write the thought in one call.")
@with_options(*SEARCH)
@with_options(*prompt_options("model"))
@_model(
    "--llm_framework",
    help=f"Backend: {FRAMEWORKS}. [default: local for the bundled model and directories, else openai]",
)
@_model("--model_name", help="Model: a directory, or a name the backend knows. [default: the bundled model]")
@_model("--temperature", type=float, help=f"Of every draw; 0 is greedy. [default: {_default('temperature')}]")
@_model(
    "--top_p",
    type=float,
    help="Of the reasoner's draws: from the fewest tokens that hold this share. [default: 1, all]",
)
@_model("--planner_temperature", type=float, help="Of the planner's draws. [default: --temperature]")
@_model(
    "--max_choice_tokens",
    type=int,
    help=f"Longest reply of a planner, its reasoning included. [default: {_default('max_choice_tokens')}]",
)
@_model(
    "--max_thought_tokens", type=int, help=f"Longest thought. [default: {_default('max_thought_tokens')}]"
)
@_model(
    "--max_answer_tokens",
    type=int,
    help=f"Longest final response. [default: {_default('max_answer_tokens')}]",
)
@_model("--device", help="local: auto, cpu, cuda, ... [default: auto]")
@_model(
    "--dtype",
    type=click.Choice(("auto", "bfloat16", "float32")),
    help="local: of the weights. [default: auto]",
)
@_model("--trust_remote_code", is_flag=True, help="local: run code that comes with a model.")
@_others("--planner_model_name", help="Model that plans. [default: --model_name]")
@_others("--planner_llm_framework", help="Its backend. [default: as --llm_framework]")
@_others("--planner_base_url", help="URL of its server.")
@_others("--planner_api_key_env", help="Environment variable with its key.")
@_others("--planner_extra_body", help="JSON object of fields to send to it besides.")
@with_options(*HIGH_LEVEL, *HOSTED, *vllm_options("--model_name"))
@_running(
    "--samples", type=int, help=f"Of every problem: majority vote, pass@k. [default: {_default('samples')}]"
)
@_running("--seed", type=int, help=f"[default: {_default('seed')}]")
@_running("--max_concurrency", type=int, help=f"Problems in flight. [default: {_default('max_concurrency')}]")
@_running(
    "--max_retries",
    type=int,
    help=f"Further tries after a transient error. [default: {_default('max_retries')}]",
)
@_running("--cache_dir", type=_path, help="Where results and caches go. [default: cache]")
@_running("--no_cache", is_flag=True, help="Ask again even what was answered before.")
@_running("--dry_run", is_flag=True, help="Count calls, tokens and cost at most, and spend nothing.")
@_running(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[JOURNAL]",
    help="Go on with the newest run of the same settings in --cache_dir, or with this one, results_....jsonl.",
)
@_running(
    "--retry_errors/--no_retry_errors",
    default=None,
    help="On --resume, solve problems again that ended in an error. [default: retry_errors]",
)
@_running(
    "--fail_on_error",
    metavar="LIMIT",
    help="Stop when more problems end in an error: 3, 10% or 0.1 of all. [default: go on]",
)
@_showing("--prompt_verbose", is_flag=True, help="Print every prompt.")
@_showing("--thinking_verbose", is_flag=True, help="Print choices and thoughts as they come.")
def run(
    resume: str | None, dry_run: bool, prompt_verbose: bool, thinking_verbose: bool, **settings: Any
) -> None:
    """Solve problems: a planner picks thought types from a taxonomy, a reasoner writes the thoughts.

    Without any option, the bundled model solves ten bundled problems at level 3.
    """
    from hierarchical_reasoning.cli.display import Display

    with reported():
        given = {name: value for name, value in settings.items() if value is not None}
        refuse_scripted(given)
        if resume is None and "retry_errors" in given:
            flag = "--retry_errors" if given["retry_errors"] else "--no_retry_errors"
            raise ConfigError(f"{flag} says what a resumed run does; give --resume too")
        config = RunConfig(**_with_vllm_model(given))
        display = Display(prompt_verbose=prompt_verbose, thinking_verbose=thinking_verbose)
        if dry_run:
            if resume is not None:
                raise ConfigError("--dry_run counts a whole run, --resume goes on with one; give one of them")
            _dry_run(config, display)
            return
        stop = Stop()
        message = f"interrupted; what is finished is in {config.cache_dir}, go on with --resume"
        until_interrupted(
            _run(config, display, stop, resume=_newest_or_named(resume)),
            message,
            ends_soon=finishes_in_flight(stop, display),
        )


def _newest_or_named(resume: str | None) -> bool | Path:
    return resume == _NEWEST if resume is None or resume == _NEWEST else Path(resume)


def _with_vllm_model(given: dict[str, Any]) -> dict[str, Any]:
    """`VLLM_MODEL` names the model where the server is vLLM's and the command line names none."""
    if given.get("llm_framework") == "vllm" and "model_name" not in given and os.environ.get("VLLM_MODEL"):
        return given | {"model_name": os.environ["VLLM_MODEL"]}
    return given


def _dry_run(config: RunConfig, display: Display) -> None:
    from hierarchical_reasoning.dry_run import estimate

    display.estimated(asyncio.run(estimate(config)))


async def _run(config: RunConfig, display: Display, stop: Stop, *, resume: bool | Path) -> None:
    from hierarchical_reasoning.assembly import check, prepare
    from hierarchical_reasoning.backends import make_backends
    from hierarchical_reasoning.results.file import check_writable

    check(config)
    check_writable(config.cache_dir)
    async with served(config, display.line) as serving:
        parts = await prepare(config, serving=serving)
        display.begin(config, parts)
        async with make_backends(serving) as backends:
            await backends.check_models()
            finished = await solve(parts, backends, display, stop, resume=resume)
    check_ended_well(finished, stop)


def main() -> None:
    """For the script at the root."""
    run.main(prog_name=Path(sys.argv[0]).name)
