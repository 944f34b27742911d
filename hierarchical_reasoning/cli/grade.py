"""``hierarchical-reasoning grade``."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, get_args

import click

from hierarchical_reasoning.cli.failures import reported, until_interrupted
from hierarchical_reasoning.cli.figures import accuracy_text, visible_cell
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT, ReasoningCommand
from hierarchical_reasoning.errors import ConfigError, OutputError, ReasoningError
from hierarchical_reasoning.problems import ShapeName
from hierarchical_reasoning.wording import counted
from llm_backends import BackendError
from taxonomy.atomic import written_atomically
from taxonomy.terminal import visible

if TYPE_CHECKING:
    from hierarchical_reasoning.config import RunConfig
    from hierarchical_reasoning.grading import GradeTally, Prediction, PredictionFile
    from hierarchical_reasoning.problems import Problem
    from hierarchical_reasoning.verifiers import Grade, Verifier

_STDOUT = Path("-")
_path = click.Path(path_type=Path)


@click.command(cls=ReasoningCommand, context_settings=COMMAND_CONTEXT)
@click.argument("file", type=_path)
@click.option(
    "--ground_truth_format",
    help="Format of the answers: number, math, chess, choice, countdown, text, judge. [default: that of the run, or "
    "found from the data]",
)
@click.option(
    "--output", type=_path, required=True, help="File to write, a line for each line; - for stdout."
)
@click.option("--overwrite", is_flag=True, help="Replace --output if it exists.")
@click.option(
    "--prediction_field", default="prediction", show_default=True, help="Field with what was answered."
)
@click.option("--problem_field", help="Field with the problem's text. [default: prompt, problem or question]")
@click.option("--answer_field", help="Field with the ground truth. [default: answer, ground_truth, ...]")
@click.option(
    "--problem_shape",
    type=click.Choice(get_args(ShapeName)),
    default="auto",
    help="How the rows of FILE are laid out. [default: auto, found from the data]",
)
@click.option(
    "--input_file",
    type=_path,
    help="Problems of the run, for fields that its results leave out (fen, choices).",
)
@click.option("--number_tolerance", type=float, help="For the format number: relative. [default: 0]")
@click.option("--high_level_model_name", help="For the format judge: the model.")
@click.option("--high_level_llm_framework", help="Its backend. [default: openai]")
@click.option("--high_level_base_url", help="URL of its server.")
@click.option("--high_level_api_key_env", help="Environment variable with its key.")
@click.option("--high_level_extra_body", help="JSON object of fields to send to it besides.")
@click.option(
    "--cache_dir", type=_path, help="For the format judge: where its replies are kept. [default: cache]"
)
@click.option(
    "--no_cache", is_flag=True, default=None, help="For the format judge: ask again even what was answered."
)
@click.option(
    "--prices", type=_path, help="For the format judge: JSON with your prices, over the shipped ones."
)
def grade(
    file: Path,
    output: Path,
    overwrite: bool,
    input_file: Path | None,
    prediction_field: str,
    problem_shape: str,
    problem_field: str | None,
    answer_field: str | None,
    **settings: Any,
) -> None:
    """Grade the predictions in FILE without solving anything.

    FILE has rows (.jsonl, .csv, ...), each with a `prediction` beside the fields of its problem, or is the results file
    or the journal of a run, which is graded again. For each a line of JSON is written, in their order: id, outcome,
    extracted, reason, how. Without --ground_truth_format judge no model is asked.
    """
    from hierarchical_reasoning.config import RunConfig
    from hierarchical_reasoning.grading import RowFormat, open_predictions

    with reported():
        given = {name: value for name, value in settings.items() if value is not None}
        config = RunConfig(**given)
        _check_output(file, output, overwrite=overwrite)
        problems = None if input_file is None else _by_id(input_file)
        rows = RowFormat(prediction_field, problem_field, answer_field, problem_shape)
        opened = open_predictions(file, rows, problems)
        for note in opened.notes:
            _note(note)
        config = _as_recorded(config, opened)
        _check_judge(config, given)
        grading = _grade(config, opened, output)
        until_interrupted(grading, f"interrupted; {output} was not written")


def _as_recorded(config: RunConfig, opened: PredictionFile) -> RunConfig:
    """With the format that the run was graded in, where there was a run and no format is given."""
    if config.ground_truth_format is not None or opened.run is None:
        return config
    recorded = opened.run.facts.config.answer_format
    if recorded is None:
        raise ConfigError(
            f"{opened.run.path} does not say in which format it was graded; name one with --ground_truth_format"
        )
    _note(f"answer format: {recorded} (that of the run)")
    return config.model_copy(update={"ground_truth_format": recorded})


def _check_judge(config: RunConfig, given: dict[str, Any]) -> None:
    for_judge = sorted(given.keys() - {"ground_truth_format", "number_tolerance"})
    if for_judge and not config.answers_are_judged:
        given_format = config.ground_truth_format or "not given"
        raise ConfigError(f"--{for_judge[0]} is for --ground_truth_format judge, and it is {given_format}")
    if config.answers_are_judged and config.judge_model is None:
        raise ConfigError(
            "--ground_truth_format judge has a model judge; name it with --high_level_model_name"
        )


def _check_output(file: Path, output: Path, *, overwrite: bool) -> None:
    if output == _STDOUT:
        return
    if output.exists() and file.exists() and output.samefile(file):
        raise OutputError(f"--output {output} is the file to grade; choose another name")
    if output.exists() and (output.is_dir() or not overwrite):
        raise OutputError(
            f"--output {output} exists; choose another name, or give --overwrite to replace a file"
        )


def _by_id(path: Path) -> dict[str, Problem]:
    from hierarchical_reasoning.problems import read_problems

    return {problem.id: problem for problem in read_problems(path).problems}


async def _grade(config: RunConfig, predictions: PredictionFile, output: Path) -> None:
    from hierarchical_reasoning.grading import GradeTally, graded
    from hierarchical_reasoning.results.tally import Tally

    run = predictions.run
    tally = GradeTally(Tally(config.seed if run is None else run.facts.config.seed))
    async with _verifier(config, predictions) as verifier:
        with _opened(output) as lines:
            async for prediction, found in graded(verifier, predictions):
                tally.add(prediction, found, has_truth=verifier.ground_truth(prediction.problem) is not None)
                lines.write(_line(prediction, found))
    _summarize(config, tally, output)


@dataclass(frozen=True)
class _Problems(Iterable["Problem"]):
    """What was predicted for, read anew each time it is gone through."""

    predictions: PredictionFile

    def __iter__(self) -> Iterator[Problem]:
        return (prediction.problem for prediction in self.predictions)


@asynccontextmanager
async def _verifier(config: RunConfig, predictions: PredictionFile) -> AsyncIterator[Verifier]:
    from hierarchical_reasoning.backends import make_backend, open_cache
    from hierarchical_reasoning.verifiers import verifier_for

    verifier, note = verifier_for(
        config.ground_truth_format,
        (),
        found_in=_Problems(predictions),
        number_tolerance=config.number_tolerance,
    )
    if config.ground_truth_format is None:
        _note(note)
    if config.judge_model is None:
        async with verifier:
            yield verifier
        return
    cache = open_cache(config)
    try:
        backend = make_backend(config, config.judge_model, cache, flag="--high_level_model_name")
        async with backend:
            await backend.check_model()
            yield verifier.judged_by(backend)
    finally:
        if cache is not None:
            cache.close()


@contextmanager
def _opened(output: Path) -> Iterator[BinaryIO]:
    if output == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with written_atomically(output) as file:
            yield file
    except OSError as error:
        if isinstance(error, ReasoningError | BackendError):  # some of which are OSErrors too
            raise
        raise OutputError(f"--output {output} cannot be written ({error.strerror})") from error


def _line(prediction: Prediction, found: Grade) -> bytes:
    line: dict[str, Any] = {"id": prediction.problem.id}
    if prediction.sample is not None:
        line["sample"] = prediction.sample
    line |= {
        "outcome": found.outcome.value,
        "extracted": found.extracted,
        "reason": found.reason,
        "how": found.how,
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _summarize(config: RunConfig, tally: GradeTally, output: Path) -> None:
    counts = ", ".join(f"{outcome} {count:,}" for outcome, count in tally.counts.outcomes.most_common())
    accuracy = accuracy_text(tally.counts.accuracy)
    share = accuracy if tally.counts.accuracy.value is None else f"accuracy {accuracy}"
    click.echo(f"{tally.counts.n:,} predictions: {share}; {counts}", err=True)
    if tally.repeated_ids:
        shown = visible_cell(", ".join(tally.repeated_ids[:3]))
        more = ", ..." if len(tally.repeated_ids) > 3 else ""
        _note(
            f"{counted(len(tally.repeated_ids), 'id')} in more than one row ({shown}{more}): every row is graded, and "
            "counts by itself"
        )
    if config.judge_model is not None:
        click.echo(_cost(config, tally), err=True)
    if tally.alarm is not None:
        click.echo(f"ATTENTION {tally.alarm}", err=True)
    if output != _STDOUT:
        click.echo(f"grades: {output}", err=True)


def _cost(config: RunConfig, tally: GradeTally) -> str:
    from hierarchical_reasoning.results.records import RoleUsage
    from llm_backends import PriceTable

    model = config.judge_model
    assert model is not None
    used = RoleUsage.priced(
        tally.spent, PriceTable.load(config.prices).price(model.framework, model.model_name)
    )
    cost = "price unknown (--prices)" if used.cost_usd is None else f"${used.cost_usd:,.4f}"
    return (
        f"judge: {used.calls:,} calls ({used.from_cache:,} from the cache), {used.prompt_tokens:,} tokens in, "
        f"{used.completion_tokens:,} out, {cost}"
    )


def _note(text: str) -> None:
    click.echo(f"note: {visible(text)}", err=True)
