"""The main command: ``python hierarchical_reasoning.py --label_level N``. See ``--help``."""

from hierarchical_reasoning.cli.script import run_script

if __name__ == "__main__":
    run_script("hierarchical_reasoning.cli.run")
