"""`python forked_builds.py JSON`: builds by the command line, one after another, some of them killed.

The process imports what a build needs once; every build is a fork of it, so that it does not cost the time of the
imports. A report on each goes to standard output, a line of JSON. `run_builds` starts all this.
"""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from taxonomy.building.pipeline import stages_beside
from taxonomy.cli import main
from taxonomy.drawing import draw_tree
from taxonomy.embedding import embed, steps_of
from taxonomy.model import Taxonomy, TaxonomyNode
from taxonomy.rollouts import Chunk, Rollout


@dataclass(frozen=True)
class Build:
    """One build, when it has ended."""

    output: str
    """Name of its directory."""
    status: int
    """Below 0 for a signal."""
    began: float
    """Seconds of `time.perf_counter`, which all processes share."""
    ended: float
    cpu_s: float
    log: str
    """What it printed."""
    files: list[str] | None
    """In its directory; None where there is none."""
    finished: list[str]
    """Stages whose result and stamp are on disk."""
    replies: int
    """In the cache of replies."""


@dataclass(frozen=True)
class Kill:
    """When to kill a build. Time on the wall would depend on how busy the machine is."""

    cpu_s: float = math.inf
    """When it has used so many seconds of processor time."""
    replies: float = math.inf
    """When its cache holds so many replies."""


Plan = tuple[str, Sequence[object], Kill | None]
"""Name of the output, arguments, and when the build is killed."""


def run_builds(directory: Path, builds: Sequence[Plan]) -> list[Build]:
    """In a process of their own, one after another."""
    plan = [
        [name, [str(part) for part in arguments], None if kill is None else asdict(kill)]
        for name, arguments, kill in builds
    ]
    found = subprocess.run(
        [sys.executable, __file__, json.dumps({"directory": str(directory), "builds": plan})],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "OPENAI_API_KEY": "x",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return [Build(**json.loads(line)) for line in found.stdout.splitlines()]


def start(arguments: list[str], log: Path) -> int:
    child = os.fork()
    if child:
        return child
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    status = 1
    try:
        main(arguments)
    except SystemExit as error:
        status = int(error.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


def finished_stages(output: Path) -> list[str]:
    return [
        stamp.name.split(".")[0]
        for stamp in stages_beside(output).glob("[!.]*.made_from.json")
        if stamp.with_name(stamp.name.removesuffix(".made_from.json")).exists()
    ]


def replies_received(output: Path) -> int:
    file = stages_beside(output) / "replies.sqlite"
    if not file.exists():
        return 0
    with sqlite3.connect(file) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE name = 'replies'").fetchone()
        return int(database.execute("SELECT count(*) FROM replies").fetchone()[0]) if found else 0


def wait_and_kill(child: int, output: Path, kill: Kill) -> None:
    """Until it is time, or the child has ended by itself."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if cpu_seconds(child) >= kill.cpu_s or (
            kill.replies < math.inf and replies_received(output) >= kill.replies
        ):
            os.kill(child, signal.SIGKILL)
            return
        time.sleep(0.002)


def cpu_seconds(child: int) -> float:
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(arguments: list[str], output: Path, kill: Kill | None) -> None:
    began = time.perf_counter()
    child = start([*arguments, "--output", str(output)], output.with_suffix(".log"))
    if kill is not None:
        wait_and_kill(child, output, kill)
    _, status, used = os.wait4(child, 0)
    report = Build(
        output=output.name,
        status=os.waitstatus_to_exitcode(status),
        began=began,
        ended=time.perf_counter(),
        cpu_s=used.ru_utime + used.ru_stime,
        log=output.with_suffix(".log").read_text(),
        files=sorted(entry.name for entry in output.iterdir()) if output.exists() else None,
        finished=finished_stages(output),
        replies=replies_received(output),
    )
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    sys.stdout.flush()


def warm_up() -> None:
    """Load what is otherwise loaded when it is first used."""
    import taxonomy.building.tree_of_rollouts  # noqa: F401

    steps = list(steps_of([Rollout("a", "p", (Chunk(0, "So it is."), Chunk(1, "Wait.")))], with_labels=False))
    assert np.isfinite(embed(steps)).all()
    assert draw_tree(Taxonomy((TaxonomyNode("0", "root"),)))


if __name__ == "__main__":
    warm_up()
    asked = json.loads(sys.argv[1])
    for name, arguments, kill in asked["builds"]:
        run(arguments, Path(asked["directory"]) / name, kill and Kill(**kill))
