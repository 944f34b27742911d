"""``python -m hierarchical_reasoning.sample_tasks``: make the shipped assets again, or files of further problems."""

from __future__ import annotations

from pathlib import Path

import click

from hierarchical_reasoning.assets import ASSETS
from hierarchical_reasoning.cli.failures import reported
from hierarchical_reasoning.cli.grouped import COMMAND_CONTEXT
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.sample_tasks import stages
from hierarchical_reasoning.sample_tasks.family_problems import ALL_FAMILIES, write_families

STAGES = ("problems", "rollouts", "taxonomy", "model")


@click.command(context_settings=COMMAND_CONTEXT)
@click.argument("stage", nargs=-1, type=click.Choice(STAGES))
@click.option(
    "--output",
    default=ASSETS,
    type=click.Path(path_type=Path, exists=True, file_okay=False, writable=True),
    help="Folder to write into.",
)
@click.option("--device", default="auto", help="Where the model is trained: auto, cpu or cuda.")
@click.option(
    "--first_phase", default=0, help="Of the model's training: later phases start from the model there."
)
@click.option(
    "--family",
    multiple=True,
    type=click.Choice(ALL_FAMILIES),
    help="With the stage problems: train.jsonl and test.jsonl of this family, with worked answers; can be repeated.",
)
@click.option("--n_train", type=click.IntRange(1), help="With --family: problems of each. [default: 400]")
@click.option("--n_test", type=click.IntRange(1), help="With --family: problems of each. [default: 200]")
@click.option("--seed", type=int, help="With --family. [default: 0]")
def main(
    stage: tuple[str, ...],
    output: Path,
    device: str,
    first_phase: int,
    family: tuple[str, ...],
    **of_family: int | None,
) -> None:
    """Make STAGEs of the shipped assets again: all by default, each from the one before.

    With --family, files of problems of families of your choice instead, in --output.
    """
    with reported():
        if family:
            _write_families(stage, output, family, of_family)
            return
        for name, value in of_family.items():
            if value is not None:
                raise ConfigError(f"--{name} {value} goes with --family")
        wanted = stage or STAGES
        if "problems" in wanted:
            click.echo(f"problems: {', '.join(map(str, stages.write_problems(output)))}")
        if "rollouts" in wanted:
            click.echo(f"rollouts: {stages.write_sample_rollouts(output)}")
        if "taxonomy" in wanted:
            click.echo(f"taxonomy: {stages.write_taxonomy(output)}")
        if "model" in wanted:
            click.echo(
                f"model: {stages.write_model(output, device=device, first_phase=first_phase, report=click.echo)}"
            )


def _write_families(
    stage: tuple[str, ...], output: Path, families: tuple[str, ...], given: dict[str, int | None]
) -> None:
    if stage != ("problems",):
        raise ConfigError("--family goes with the stage problems, and with no other")
    if output.resolve() == ASSETS.resolve():
        raise ConfigError("--family: name a folder with --output; the shipped files stay as they are")
    sizes = {"n_train": 400, "n_test": 200, "seed": 0} | {
        name: value for name, value in given.items() if value is not None
    }
    paths = write_families(
        output,
        tuple(dict.fromkeys(families)),
        {"train": sizes["n_train"], "test": sizes["n_test"]},
        sizes["seed"],
    )
    click.echo(f"problems: {', '.join(map(str, paths))}")
