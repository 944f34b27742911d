"""The command line of this very installation, for processes and jobs that do a part of a study."""

from __future__ import annotations

import sys

PROGRAM = (sys.executable, "-c", "from hierarchical_reasoning.cli.main import main; main()")
