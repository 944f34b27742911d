"""``hierarchical-reasoning prepare-data``."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import get_args

import click

from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT
from hierarchical_reasoning.errors import UsageError
from hierarchical_reasoning.problems import ShapeName
from hierarchical_reasoning.wording import counted

_path = click.Path(path_type=Path)
_DECIMAL = re.compile(r"[0-9]{0,9}\.?[0-9]{1,18}")


@click.command(
    name="prepare-data",
    context_settings=COMMAND_CONTEXT,
)
@click.argument("file", type=_path)
@click.option("--output", type=_path, required=True, help="Directory to write into.")
@click.option(
    "--train_share", default="0.9", show_default=True, help="Share of the problems to train on, rounded down."
)
@click.option("--seed", type=int, help="Draw the problems to train on. [default: the first ones are taken]")
@click.option("--name", help="Of the written files. [default: FILE's, without _train]")
@click.option("--overwrite", is_flag=True, help="Replace files of these names.")
@click.option(
    "--problem_shape",
    type=click.Choice(get_args(ShapeName)),
    default="auto",
    help="How the rows of FILE are laid out. [default: auto, found from the data]",
)
@click.option("--problem_field", help="Field with the problem's text. [default: prompt, problem or question]")
@click.option("--answer_field", help="Field with the ground truth. [default: answer, ground_truth, ...]")
def prepare_data(
    file: Path,
    output: Path,
    train_share: str,
    seed: int | None,
    name: str | None,
    *,
    overwrite: bool,
    problem_shape: str,
    problem_field: str | None,
    answer_field: str | None,
) -> None:
    """Divide the problems of FILE into NAME_train.jsonl, to train on, and NAME_val.jsonl, to measure with.

    Rows stay as they are. Every one is checked first as a run would.
    """
    from hierarchical_reasoning.problems.reading import open_problems
    from hierarchical_reasoning.problems.splitting import write_split

    with reported():
        share = _share(train_share)
        problems = open_problems(
            file, shape=problem_shape, problem_field=problem_field, answer_field=answer_field, flag="FILE"
        )
        split = write_split(problems, output, train_share=share, seed=seed, name=name, overwrite=overwrite)
        for note in problems.notes:
            click.echo(f"note: {note}")
        if split.n_unanswered:
            click.echo(f"note: {counted(split.n_unanswered, 'problem')} without an answer")
        if split.n_shared:
            click.echo(
                f"note: {split.n_shared} of the problems to measure with are to train on as well, word for word, which "
                "training refuses"
            )
        click.echo(f"{counted(split.n_train, 'problem')} to train on: {split.train_file}")
        click.echo(f"{counted(split.n_val, 'problem')} to measure with: {split.val_file}")


def _share(text: str) -> Fraction:
    if _DECIMAL.fullmatch(text) is None:
        raise UsageError(f"--train_share {text[:40]!r} is no decimal as in 0.9; it lies between 0 and 1")
    share = Fraction(text)
    if not 0 < share < 1:
        raise UsageError(f"--train_share {text} must lie between 0 and 1")
    return share
