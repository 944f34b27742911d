"""Try what a run needs of a vLLM server: ``python check_vllm_server.py``, from any directory. See ``--help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hierarchical_reasoning.cli.script import run_script

if __name__ == "__main__":
    run_script("hierarchical_reasoning.cli.vllm", "check")
