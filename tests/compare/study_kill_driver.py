"""Sessions of one study, each of the shard that its line names; see `killing`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import openai.resources.chat.completions  # noqa: F401 - a first call would import it
from killing import run_sessions

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.compare.plan import read_plan
from hierarchical_reasoning.compare.work import run_shard


def main() -> None:
    study = Path(sys.argv[1])
    plan = read_plan(StudyFiles(study))
    for arm in plan.arms:
        assemble(plan.config(arm))  # for what it imports when it is called
    run_sessions(lambda line: asyncio.run(run_shard(study, Shard.parse(line))))


if __name__ == "__main__":
    main()
