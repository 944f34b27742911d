"""A training run for torchrun: the tiny model and the easy task, with settings from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from easy_task import parts, train

from hierarchical_reasoning.training.sharding.launch import check_launch


def main(folder: Path, model: Path, settings: dict[str, object]) -> None:
    made = parts(folder, model, settings)
    launch = check_launch(problems_per_update=made.config.problems_per_update, device="cpu")
    result, _ = train(made, launch=launch)
    assert result.last.is_dir()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
