"""The console script. Commands are imported when they are asked for, so that ``--help`` is quick."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "run": ("hierarchical_reasoning.cli.run:run", "Solve problems, and write how each one went."),
    "compare": (
        "hierarchical_reasoning.cli.compare:compare",
        "Compare arms on the same problems, with statistics and a report.",
    ),
    "compare-report": (
        "hierarchical_reasoning.cli.compare_report:compare_report",
        "Write the report of a comparison study again.",
    ),
    "status": ("hierarchical_reasoning.cli.status:status", "Tell how far a study is."),
    "results": ("hierarchical_reasoning.cli.results:results", "Look at what runs found, and export it."),
    "trees": ("hierarchical_reasoning.cli.trees:trees", "Look at the trees that rollouts grew."),
    "grade": ("hierarchical_reasoning.cli.grade:grade", "Grade answers that are there already."),
    "eval": ("hierarchical_reasoning.cli.eval:evaluate", "Measure a model as published numbers are made."),
    "slurm-job": (
        "hierarchical_reasoning.cli.slurm_job:slurm_job",
        "Run a command in a Slurm job that goes back into the queue in time.",
    ),
    "vllm": ("hierarchical_reasoning.cli.vllm:vllm", "Start, check and stop vLLM servers."),
    "prepare-data": (
        "hierarchical_reasoning.cli.prepare_data:prepare_data",
        "Divide a file of problems into one to train on and one to measure with.",
    ),
    "doctor": ("hierarchical_reasoning.cli.doctor:doctor", "Tell what works here and what does not."),
    "assets": (
        "hierarchical_reasoning.cli.assets:main",
        "Make the shipped problems, taxonomy and model again.",
    ),
    "train": (
        "hierarchical_reasoning.cli.train:train",
        "Train a planner, or a language model, on what its rollouts achieved.",
    ),
    "taxonomy": ("taxonomy.cli:main", "Build and show taxonomies of thought types."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hierarchical-reasoning")
def main() -> None:
    """Taxonomy-guided hierarchical reasoning."""
