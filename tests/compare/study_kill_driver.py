"""Runs sessions of one study in forked processes, for whoever kills them; see `kill_driver`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401 - a first call would import it

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.plan import read_plan
from hierarchical_reasoning.compare.work import run_shard


def main() -> None:
    study = Path(sys.argv[1])
    plan = read_plan(StudyFiles(study))
    for arm in plan.arms:
        assemble(plan.config(arm))  # for what it imports when it is called
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os.close(0)
            asyncio.run(run_shard(study, Shard.parse(line)))
            os._exit(0)
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
