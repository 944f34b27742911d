"""What a run shows: a live line on a terminal, plain lines elsewhere, and a table at the end."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from hierarchical_reasoning.assembly import Run
from hierarchical_reasoning.cli.figures import (
    accuracy_text,
    cost_text,
    memory_text,
    sampling_cells,
    trees_cells,
)
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import ResultEntry, RoleUsage, TreesSummary
from hierarchical_reasoning.runner import Finished
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.wording import counted
from llm_backends import Message
from taxonomy.terminal import visible

if TYPE_CHECKING:
    from hierarchical_reasoning.dry_run import Estimate

_SECONDS_BETWEEN_LINES = 5.0
_RULE = "+ " + "-" * 73


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Raise it, and not SystemExit as rich would: what ends one problem must not leave the others' tasks behind."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Display(Observer):
    """Prints a run as it goes. Text of models, problems and taxonomies is printed as it is: never read as markup, its
    control characters made visible."""

    def __init__(self, *, prompt_verbose: bool, thinking_verbose: bool) -> None:
        self._console = _Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
        self._prompt_verbose = prompt_verbose
        self._thinking_verbose = thinking_verbose
        self._outcomes: Counter[Outcome] = Counter()
        self._graded = 0
        self._tokens = 0
        self._total = 0
        self._noun = "problem"
        self._last_line = 0.0
        self._progress: Progress | None = None

    def begin(self, config: RunConfig, run: Run) -> None:
        """Say what is about to run."""
        self._noun = "problem" if config.samples == 1 else "sample"
        how = (
            "vanilla" if config.vanilla_baseline else f"level {config.label_level}, planner {config.planner}"
        )
        samples = "" if config.samples == 1 else f", {config.samples} samples each"
        self.line(f"{counted(len(run.problems.problems), 'problem')} of {run.problems.path}{samples}, {how}")
        address = "" if config.reasoner.base_url is None else f" at {config.reasoner.base_url}"
        self.line(
            f"model {config.model_name} ({config.framework}{address}), temperature {config.temperature}, "
            f"seed {config.seed}"
        )
        planner = config.asked_planner
        if planner is not None and planner != config.reasoner:
            address = "" if planner.base_url is None else f" at {planner.base_url}"
            self.line(f"planner's model {planner.model_name} ({planner.framework}{address})")
        if planner is not None and config.planner_sampling_temperature != config.temperature:
            self.line(f"planner's temperature {config.planner_sampling_temperature}")
        for note in run.notes:
            self.line(f"note: {note}")

    def go_on(self, notes: Sequence[str], journal: Path) -> None:
        """Say where what is finished goes."""
        for note in notes:
            self.line(f"note: {note}")
        self.line(f"finished problems go to {journal}")

    @contextmanager
    def progress(self, owed: int) -> Iterator[None]:
        """Show how far the run is while the block runs: problems kept from earlier sessions, and those owed."""
        self._total, self._last_line = owed, time.monotonic()
        if not self._console.is_terminal:
            yield
            return
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as self._progress:
            self._progress.add_task("loading", total=owed)
            yield

    def kept(self, entries: Iterator[ResultEntry]) -> None:
        for entry in entries:
            self._count(entry)
        kept = self._outcomes.total()
        self._total += kept
        if self._progress is not None and kept:
            # A reset, since these would otherwise count as the speed of this session.
            self._progress.reset(
                self._progress.task_ids[0],
                total=self._total,
                completed=kept,
                description=self._status(),
            )

    def finished(self, entry: ResultEntry) -> None:
        self._count(entry)
        done = self._outcomes.total()
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], advance=1, description=self._status())
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES or done == self._total:
            self._last_line = time.monotonic()
            self.line(f"{done}/{counted(self._total, self._noun)}: {self._status()}")

    def _count(self, entry: ResultEntry) -> None:
        self._outcomes[entry.outcome] += 1
        self._tokens += sum(u.prompt_tokens + u.completion_tokens for u in entry.usage.values())
        self._graded += entry.outcome is not Outcome.UNGRADED

    def _status(self) -> str:
        return (
            f"accuracy {_percent(self._outcomes[Outcome.CORRECT], self._graded)}, {self._tokens:,} tokens, "
            f"{self._outcomes[Outcome.ERROR]} errors"
        )

    def asked(self, problem: Problem, messages: Sequence[Message]) -> None:
        if self._prompt_verbose:
            text = "\n".join(f"[{m.role}] {m.content}" if len(messages) > 1 else m.content for m in messages)
            body = "\n".join(f"| {line}" for line in text.splitlines())
            self.line(f"PROMPT ({problem.id}):\n{_RULE}\n{body}\n{_RULE}")

    def chose(self, problem: Problem, name: str) -> None:
        if self._thinking_verbose:
            what = "I've finished thinking" if name == FINISH else "I'll select the next thought type"
            self.line(f"{problem.id} >>> {what}: [{name}]")

    def thought(self, problem: Problem, text: str) -> None:
        if self._thinking_verbose:
            self.line(f"{problem.id} >>> {text}")

    def end(self, finished: Finished) -> None:
        """One trace, the table, the alarms, and where the results are."""
        if not self._thinking_verbose and finished.first is not None:
            self._show_trace(finished.first)
        self._console.print(_results_table(finished))
        if (trees := finished.head.summary.trees) is not None:
            self._console.print(_trees_table(trees))
        for note in finished.backend_notes:
            self.line(f"note: {note}")
        for alarm in (*finished.cautions, *finished.head.summary.alarms):
            self._console.print(Text.assemble(("ATTENTION ", "bold red"), visible(alarm)))
        where = "" if finished.is_new else ", from before: nothing was owed"
        self.line(f"results: {finished.path}{where}")

    def finishing(self, in_flight: int) -> None:
        """Say that nothing new is begun."""
        self.line(
            f"interrupted: finishing {counted(in_flight, self._noun)} in flight, then writing what is there; "
            "interrupt again to stop at once"
        )

    def estimated(self, estimate: Estimate) -> None:
        """What a run would take at most."""
        for note in estimate.notes:
            self.line(f"note: {note}")
        table = Table(title=f"At most, for {counted(estimate.n_problems, 'problem')}", title_justify="left")
        for heading in ("role", "calls", "tokens in", "tokens out", "cost"):
            table.add_column(heading, justify="left" if heading == "role" else "right")
        rows = dict(estimate.usage)
        if len(rows) > 1 and estimate.total is not None:
            rows["total"] = estimate.total
        for role, used in rows.items():
            cost = cost_text(used.cost_usd)
            table.add_row(
                role, f"{used.calls:,}", f"{used.prompt_tokens:,}", f"{used.completion_tokens:,}", cost
            )
        self._console.print(table)

    def _show_trace(self, entry: ResultEntry) -> None:
        self._console.print(Text(f"\n{visible(entry.problem)}", "bold"))
        for step in entry.steps:
            chosen = (f"[{visible(step.thought_type or '')}] ", "cyan")
            self._console.print(Text.assemble(chosen, visible(step.thought)))
        outcome = (entry.outcome.value, "bold")
        self._console.print(
            Text.assemble(visible(entry.final_response), "  ", outcome, f": {visible(entry.reason)}\n")
        )

    def line(self, text: str) -> None:
        """Show a line."""
        self._console.print(Text(visible(text)))


def _results_table(finished: Finished) -> Table:
    summary = finished.head.summary
    table = Table(title="Results", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_row("accuracy, all problems", accuracy_text(summary.accuracy))
    if summary.outcomes[Outcome.ERROR]:
        table.add_row("accuracy, without errors", accuracy_text(summary.accuracy_completed))
    for name, value in () if summary.sampling is None else sampling_cells(summary.sampling):
        table.add_row(name, value)
    for outcome, count in summary.outcomes.items():
        if count:
            table.add_row(outcome.value, str(count))
    if summary.thoughts_cut_off:
        table.add_row("thoughts cut off (--max_thought_tokens)", f"{summary.thoughts_cut_off:,}")
    _add_usage(table, summary.usage)
    table.add_row("tokens per problem", f"{summary.tokens_per_problem or 0:,.0f}")
    if summary.usage and not _is_local(finished.head.config):
        table.add_row("cost", cost_text(summary.cost_usd))
        before = sum(usage.cost_from_cache_usd or 0.0 for usage in summary.usage.values())
        if before:
            table.add_row("cost, paid before", cost_text(before))
    if summary.seconds_per_problem is not None:
        table.add_row("seconds per problem", f"{summary.seconds_per_problem:.1f}")
    if finished.is_new:
        table.add_row(f"seconds, {counted(summary.sessions, 'session')}", f"{summary.wall_seconds or 0:.1f}")
    if summary.peak_memory_bytes is not None:
        table.add_row("peak memory of the process", memory_text(summary.peak_memory_bytes))
    if summary.peak_gpu_memory_bytes is not None:
        table.add_row("peak memory of its GPUs", memory_text(summary.peak_gpu_memory_bytes))
    return table


def _trees_table(trees: TreesSummary) -> Table:
    table = Table(title="Trees", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in trees_cells(trees):
        table.add_row(name, value)
    return table


def _add_usage(table: Table, usage_by_role: Mapping[str, RoleUsage]) -> None:
    for role, usage in usage_by_role.items():
        table.add_row(
            f"{role}: calls, tokens in (cached), out",
            f"{usage.calls:,}, {usage.prompt_tokens:,} ({usage.cached_tokens:,}), {usage.completion_tokens:,}",
        )
        if usage.from_cache:
            table.add_row(f"{role}: replies received before", f"{usage.from_cache:,}")
        for reason, count in sorted(usage.repeats.items()):
            table.add_row(f"{role}: asked again after {reason}", f"{count:,}")


def _is_local(config: Mapping[str, Any]) -> bool:
    return all(backend["framework"] == "local" for backend in config["backends"].values())


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
