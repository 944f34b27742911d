"""What a study shows: a live line for each arm on a terminal, plain lines elsewhere, and a table at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hierarchical_reasoning.cli.figures import cost_text
from hierarchical_reasoning.compare.status import ArmStatus, StudyStatus, StudyWatch, study_status
from hierarchical_reasoning.compare.summary import footnotes, table
from hierarchical_reasoning.wording import counted
from taxonomy.terminal import visible

if TYPE_CHECKING:
    from hierarchical_reasoning.compare.beginning import Begun
    from hierarchical_reasoning.compare.dry_run import StudyEstimate
    from hierarchical_reasoning.compare.layout import Shard, StudyFiles
    from hierarchical_reasoning.compare.record import StudyRecord
    from hierarchical_reasoning.compare.report import Report
    from hierarchical_reasoning.compare.work import ShardFinished

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_LINES_OF_A_SHARD = 60.0
"""Whose log is kept, as a rule, and one of many."""


class CompareDisplay:
    """Prints a study as it goes; text of models, problems and names is printed as it is, and never read as markup."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
        self._said: set[str] = set()

    def line(self, text: str) -> None:
        """Show a line."""
        self._console.print(Text(visible(text)))

    def notes(self, notes: Iterable[str]) -> None:
        """Show what the user should know, each thing once."""
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self.line(f"note: {note}")

    def begun(self, files: StudyFiles, begun: Begun) -> None:
        """Say what the study is."""
        plan = begun.plan
        config = plan.common
        arms = ", ".join(arm.name for arm in plan.arms)
        self.line(f"study {files.directory}: {arms}")
        if begun.added and len(begun.added) < len(plan.arms):
            self.line(f"added: {', '.join(begun.added)}")
        implied = [arm.name for arm in plan.arms if arm.implied]
        if implied:
            self.line(f"note: {', '.join(implied)} is there because other arms are measured by it")
        self.line(f"model {config.model_name}, temperature {config.temperature}, seed {config.seed}")
        self.notes(begun.notes)

    def owed(self, files: StudyFiles) -> int:
        """Attempts that the study owes now; errors that are tried again among them."""
        status = study_status(files.directory)
        return status.owed + sum(arm.errors for arm in status.arms)

    def waiting(self, files: StudyFiles) -> bool:
        """Whether matched baselines are still to be chosen."""
        return bool(study_status(files.directory).waiting)

    @asynccontextmanager
    async def watching(
        self, files: StudyFiles, every_s: float = _SECONDS_BETWEEN_LINES
    ) -> AsyncIterator[None]:
        """Show how far the study is while the block runs, whatever processes are at it.

        Args:
            every_s: between two lines, where there is no terminal.
        """
        watch = StudyWatch(files.directory)
        live = self._console.is_terminal
        shown = _Live(self._console, watch.now()) if live else _Lines(self, watch.now(), every_s)

        async def look() -> None:
            while True:
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
                shown.show(watch.now())

        with shown:
            looking = asyncio.create_task(look())
            try:
                yield
                shown.show(watch.now(), last=True)
            finally:
                looking.cancel()
                with suppress(asyncio.CancelledError):
                    await looking

    def shard_done(self, shard: Shard, finished: ShardFinished) -> None:
        """Say how a shard ended."""
        self.notes(finished.notes)
        if finished.stopped is not None:
            return
        if finished.waiting:
            self.line(
                f"shard {shard} is done as far as can be told: the matched baselines of {', '.join(finished.waiting)} "
                "are chosen when all shards are done; then do it again"
            )
        else:
            self.line(f"shard {shard} is done")

    def merged(self, files: StudyFiles, record: StudyRecord, report: Report | None) -> None:
        """The table, what it shows, and where everything is."""
        self.line("")
        self.line(table(record))
        self.line("")
        for text in (*footnotes(record), *record.sentences):
            self.line(f"- {text}")
        if report is not None:
            self.notes(report.notes)
            self.line(f"report: {report.html}")
        self.line(f"summary: {files.summary}")
        self.line(f"statistics: {files.comparison}")
        self.line(f"results: {files.directory / 'arms'}")

    def estimated(self, estimate: StudyEstimate) -> None:
        """What a study would take at most."""
        self.notes(estimate.notes)
        shown = Table(title=f"At most, for {counted(estimate.problems, 'problem')}", title_justify="left")
        for heading in ("arm", "calls", "tokens in", "tokens out", "cost"):
            shown.add_column(heading, justify="left" if heading == "arm" else "right")
        for name, used in [*((arm.name, arm.usage) for arm in estimate.arms), ("total", estimate.total)]:
            tokens = f"{used.prompt_tokens:,}", f"{used.completion_tokens:,}"
            shown.add_row(name, f"{used.calls:,}", *tokens, cost_text(used.cost_usd))
        self._console.print(shown)

    def status(self, files: StudyFiles, status: StudyStatus) -> None:
        """How far a study is."""
        arms = Table(title=f"{files.directory}", title_justify="left")
        for heading in ("arm", "done", "failed", "owed", "right so far"):
            arms.add_column(heading, justify="left" if heading == "arm" else "right")
        for arm in status.arms:
            cells = f"{arm.done:,} of {arm.n:,}", f"{arm.errors:,}", f"{arm.owed:,}", accuracy_of(arm)
            arms.add_row(visible(arm.label), *cells)
        self._console.print(arms)
        if status.shards:
            shards = Table(title="Shards", title_justify="left")
            for heading in ("shard", "state", "host", "process", "begun", "ended", "message"):
                shards.add_column(heading, overflow="fold")
            for one in status.shards:
                state = "lost" if one.is_lost else one.state
                cells = str(one.process), one.begun, one.ended or "-", visible(one.message)
                shards.add_row(str(one.shard), state, one.host, *cells)
            self._console.print(shards)
        if status.waiting:
            self.line(f"matched baselines not chosen yet: {', '.join(status.waiting)}")
        self.line("complete" if status.is_complete else f"{counted(status.owed, 'attempt')} owed")


class _Live:
    """A bar for each arm."""

    def __init__(self, console: Console, first: StudyStatus) -> None:
        columns = (
            TextColumn("{task.fields[label]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console)
        self._tasks: dict[str, TaskID] = {}
        self.show(first)

    def show(self, status: StudyStatus, *, last: bool = False) -> None:
        for arm in status.arms:
            if arm.name not in self._tasks:
                self._tasks[arm.name] = self._progress.add_task(
                    accuracy_of(arm), total=arm.n, completed=arm.done, label=visible(arm.label)
                )
            self._progress.update(
                self._tasks[arm.name], total=arm.n, completed=arm.done, description=accuracy_of(arm)
            )

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


class _Lines:
    """A line now and then."""

    def __init__(self, display: CompareDisplay, first: StudyStatus, every_s: float) -> None:
        self._display = display
        self._begun, self._first = time.monotonic(), first.done
        self._every_s = every_s
        self._next = self._begun + every_s

    def show(self, status: StudyStatus, *, last: bool = False) -> None:
        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + self._every_s
        arms = "; ".join(f"{arm.label} {arm.done:,}/{arm.n:,}, {accuracy_of(arm)}" for arm in status.arms)
        left = "" if last else self._left(status, now)
        self._display.line(f"{status.done:,}/{counted(status.n, 'attempt')}{left}: {arms}")

    def _left(self, status: StudyStatus, now: float) -> str:
        done = status.done - self._first
        return f", {status.owed * (now - self._begun) / done:,.0f} s left" if done else ""

    def __enter__(self) -> None:
        return

    def __exit__(self, *error: object) -> None:
        return


def accuracy_of(arm: ArmStatus) -> str:
    """Of all attempts so far, samples that vote included; the merge has the figures of problems, with intervals."""
    return f"{100 * arm.correct / arm.graded:.1f} %" if arm.graded else "-"
