"""Tunes the planner: ``python train_model_grpo.py --label_level N``. See ``--help``."""

from hierarchical_reasoning.cli.script import run_script

if __name__ == "__main__":
    run_script("hierarchical_reasoning.cli.train_grpo")
