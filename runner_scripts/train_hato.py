"""``hierarchical-reasoning train hato`` as a script, which torchrun starts: from any directory. See ``--help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierarchical_reasoning.cli.script import run_script

if __name__ == "__main__":
    run_script("hierarchical_reasoning.cli.train_hato")
