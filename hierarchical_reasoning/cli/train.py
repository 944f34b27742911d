"""``hierarchical-reasoning train``: the group of what trains, and what shows how that went."""

from __future__ import annotations

import click

from hierarchical_reasoning.cli.train_grpo import grpo
from hierarchical_reasoning.cli.train_hato import hato
from hierarchical_reasoning.cli.train_language_model import run, tree
from hierarchical_reasoning.cli.train_meta import meta
from hierarchical_reasoning.cli.train_report import report
from hierarchical_reasoning.cli.train_values import values


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def train() -> None:
    """Train a planner, or a language model, on what its rollouts achieved."""


for command in (grpo, run, tree, hato, meta, values, report):
    train.add_command(command)
