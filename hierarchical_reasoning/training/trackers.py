"""What trackers are told outside of the trainer: Weights & Biases reads its project from the environment alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hierarchical_reasoning.training.config import TrainingConfig

_PROJECT = "WANDB_PROJECT"
_FOLDER = "WANDB_DIR"


@contextmanager
def tracked(config: TrainingConfig) -> Iterator[None]:
    """Have the trackers of a run named as the configuration has it for the block, and end what they began.

    A project that the environment names holds where the configuration was given none; so does a folder for its files,
    which are in ``--output_dir`` otherwise.
    """
    if "wandb" not in config.report_to:
        yield
        return
    import wandb

    before = {name: os.environ.get(name) for name in (_PROJECT, _FOLDER)}
    given = "project_name" in config.model_fields_set
    os.environ[_PROJECT] = config.project_name if given else before[_PROJECT] or config.project_name
    os.environ[_FOLDER] = before[_FOLDER] or str(config.output_dir)
    try:
        yield
    finally:
        wandb.finish()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
