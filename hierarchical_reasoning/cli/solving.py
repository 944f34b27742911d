"""One run at a terminal: its journal, its progress, its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hierarchical_reasoning.cli.failures import Broken, Interrupted
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.stopping import Stop, StopCause

if TYPE_CHECKING:
    from hierarchical_reasoning.assembly import Run
    from hierarchical_reasoning.backends import Backends
    from hierarchical_reasoning.cli.display import Display
    from hierarchical_reasoning.runner import Finished


def finishes_in_flight(stop: Stop, display: Display) -> Callable[[], bool]:
    """For `until_interrupted`: have a run finish what is in flight, once, and say so."""

    def finishing() -> bool:
        if stop.cause is not None or not stop.in_flight:
            return False
        stop.request(StopCause.INTERRUPTED, "interrupted")
        display.finishing(stop.in_flight)
        return True

    return finishing


async def solve(
    parts: Run, backends: Backends, display: Display, stop: Stop, *, resume: bool | Path
) -> Finished:
    """Solve what the journal owes, and show how it goes and what came out."""
    from hierarchical_reasoning.runner import execute, open_journal

    journal, notes = open_journal(parts, resume=resume)
    with journal:
        display.go_on(notes, journal.path)
        with display.progress(len(journal.owed)):
            finished = await execute(parts, backends, journal, display, stop)
    display.end(finished)
    return finished


def check_ended_well(finished: Finished, stop: Stop) -> None:
    """Raises Broken or Interrupted where a run was stopped, or came to nothing."""
    summary = finished.head.summary
    if finished.stopped is StopCause.TOO_MANY_ERRORS:
        raise Broken(f"stopped: {stop.message}; go on with --resume")
    if finished.stopped is StopCause.INTERRUPTED:
        owed = f"{summary.missing} of {summary.n + summary.missing} are owed, go on with --resume"
        raise Interrupted(f"interrupted; {owed if summary.missing else 'all was finished'}")
    if summary.n and summary.outcomes[Outcome.ERROR] == summary.n:
        raise Broken(f"every one of the {summary.n} problems ended in an error; go on with --resume")
