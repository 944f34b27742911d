"""A training run for torchrun: the tiny planner and the scripted reasoner, with settings from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fake_reasoner import config, reasoner, train

from hierarchical_reasoning.training.planner.assembly import assemble_training
from hierarchical_reasoning.training.sharding.launch import check_launch


def main(folder: Path, planner: Path, settings: dict[str, object]) -> None:
    made = assemble_training(config(folder, planner, settings))
    launch = check_launch(problems_per_update=made.config.problems_per_update, device="cpu")
    result, _ = train(made, reasoner(), launch=launch)
    assert result.last.is_dir()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
