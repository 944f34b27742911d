"""The options that every command that trains takes: problems, steps of the optimizer, devices, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from hierarchical_reasoning.cli.grouped import GroupedOption
from hierarchical_reasoning.cli.shared_options import Decorator
from hierarchical_reasoning.training.config import LrSchedule, Tracker, TrainingConfig

_data = partial(click.option, cls=GroupedOption, group="Data and taxonomy")
_update = partial(click.option, cls=GroupedOption, group="Update")
_devices = partial(click.option, cls=GroupedOption, group="Devices and memory")
_running = partial(click.option, cls=GroupedOption, group="Running and results")
_path = click.Path(path_type=Path)


class TrainingOptions:
    """With the defaults of one kind of training."""

    def __init__(
        self,
        config: type[TrainingConfig],
        special: Mapping[str, Any],
        where: str,
        *,
        usual: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            special: other defaults.
            where: they hold.
            usual: what holds elsewhere, where the configuration has something else.
        """
        fields = config.model_fields
        self._usual = {name: field.default for name, field in fields.items()} | dict(usual or {})
        self._special = special
        self._where = where

    def default(self, name: str) -> str:
        """What help says of a field."""
        usual = self._usual[name]
        if name in self._special and self._special[name] != usual:
            return f"[default: {usual}; {self._special[name]} where {self._where}]"
        return f"[default: {usual}]"

    def data(self) -> tuple[Decorator, ...]:
        """Which problems."""
        return (
            _data(
                "--data_file",
                type=_path,
                help="Problems to train on: .json, .jsonl, .csv or .tsv, also gzipped, or .parquet. "
                "[default: the bundled ones]",
            ),
            _data("--n_rows", type=int, help=f"How many of them. {self.default('n_rows')}"),
            _data(
                "--eval_file",
                type=_path,
                help="Held-out problems. [default: the bundled test problems with the bundled data, else those "
                "after --n_rows]",
            ),
            _data(
                "--eval_rows",
                type=int,
                help=f"How many of them; 0 measures nothing. {self.default('eval_rows')}",
            ),
            _data("--category", help="Only problems of this category. [default: all]"),
            _data(
                "--ground_truth_format",
                help='Format of the answers: number, math, chess ("chess coordinate notation"), choice, countdown, '
                "text, judge. [default: found from the data]",
            ),
        )

    def steps(self) -> tuple[Decorator, ...]:
        """How the optimizer goes."""
        return (
            _update("--epochs", type=int, help=f"Times each problem is met. {self.default('epochs')}"),
            _update("--batch_size", type=int, help=f"Problems in a batch. {self.default('batch_size')}"),
            _update(
                "--gradient_accumulation_steps",
                type=int,
                help=f"Batches that make one update. {self.default('gradient_accumulation_steps')}",
            ),
            _update(
                "--num_iterations",
                type=int,
                help="Steps from the same episodes; the clip acts from the second on. "
                f"{self.default('num_iterations')}",
            ),
            _update(
                "--filter_groups/--no_filter_groups",
                default=None,
                help="Replace groups without spread by those of other problems, instead of leaving them out. "
                "[default: leave out]",
            ),
            _update(
                "--max_num_gen_batches",
                type=int,
                help="Times that episodes are rolled out for one update, at most. "
                f"{self.default('max_num_gen_batches')}",
            ),
            _update("--learning_rate", type=float, help=f"Of AdamW. {self.default('learning_rate')}"),
            _update(
                "--warmup_steps",
                type=int,
                help=f"Steps in which the learning rate rises linearly. {self.default('warmup_steps')}",
            ),
            _update(
                "--lr_schedule",
                type=click.Choice(get_args(LrSchedule)),
                help=f"After the warm-up: constant, or linear to 0 at the end. {self.default('lr_schedule')}",
            ),
            _update(
                "--max_grad_norm",
                type=float,
                help=f"Gradients are scaled down to this norm. {self.default('max_grad_norm')}",
            ),
        )

    def devices(self) -> tuple[Decorator, ...]:
        """Where, in how much memory."""
        return (
            _devices("--device", help=f"auto, cpu, cuda, ... {self.default('device')}"),
            _devices(
                "--lora_r",
                type=int,
                help=f"Rank of LoRA adapters; 0 trains all weights. {self.default('lora_r')}",
            ),
            _devices("--lora_alpha", type=int, help="Their scale. [default: twice --lora_r]"),
            _devices(
                "--bf16/--no_bf16",
                default=None,
                help="Passes in bfloat16; what is trained stays float32. [default: on a GPU]",
            ),
            _devices(
                "--gradient_checkpointing/--no_gradient_checkpointing",
                default=None,
                help="Compute activations again instead of keeping them. [default: keep]",
            ),
            _devices(
                "--tokens_per_pass",
                type=int,
                help="Tokens in a forward and backward pass: lower it for less memory. "
                "[default: 4096 on a CPU, else 16384]",
            ),
        )

    def running(self) -> tuple[Decorator, ...]:
        """What is measured and kept on the way."""
        return (
            _running(
                "--eval_every",
                type=int,
                help=f"Updates between evaluations; 0: only before and after. {self.default('eval_every')}",
            ),
            _running(
                "--val_before_train/--no_val_before_train",
                default=None,
                help="Measure before the first update too. [default: measure]",
            ),
            _running("--val_only", is_flag=True, help="Measure, and train nothing."),
            _running(
                "--save_every", type=int, help=f"Updates between checkpoints. {self.default('save_every')}"
            ),
            _running(
                "--save_total_limit",
                type=int,
                help=f"Checkpoints kept, the newest; the best besides. {self.default('save_total_limit')}",
            ),
            _running(
                "--logging_steps",
                type=int,
                help=f"Updates between those that are printed. {self.default('logging_steps')}",
            ),
            _running(
                "--report_to",
                multiple=True,
                type=click.Choice(get_args(Tracker)),
                help="Where figures go besides the log; may be given twice. [default: nowhere]",
            ),
            _running("--project_name", help=f"Of the run, in --report_to. {self.default('project_name')}"),
            _running(
                "--experiment_name",
                help="Of the run, in --report_to. [default: the last part of --output_dir]",
            ),
            _running("--seed", type=int, help=self.default("seed")),
            _running(
                "--output_dir",
                type=_path,
                help=f"Where checkpoints and logs go. {self.default('output_dir')}",
            ),
            _running("--cache_dir", type=_path, help=f"Where caches go. {self.default('cache_dir')}"),
            _running("--resume", is_flag=True, help="Go on from the last checkpoint in --output_dir."),
        )
