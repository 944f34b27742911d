"""Many problems, one run: solved side by side, graded, journaled, summed up.

A problem that fails becomes an entry with the outcome ``error``; what no problem could survive (a key refused, a
model gone, a disk full) ends the run. Either way everything finished is in the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hierarchical_reasoning.assembly import Run
from hierarchical_reasoning.attempt import attempt, entry_of
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.cautions import cautions_among
from hierarchical_reasoning.error_limit import errors_allowed
from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.journal.lines import JournalHeader
from hierarchical_reasoning.journal.of_run import Attempt, RunJournal, open_journal, resolved
from hierarchical_reasoning.memory import MeasuringMemory
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.file import find_results, write_results
from hierarchical_reasoning.results.records import (
    ResultEntry,
    ResultsFile,
    ResultsHead,
    RoleUsage,
    Summary,
    TreesSummary,
)
from hierarchical_reasoning.results.summary import Plan, summarize
from hierarchical_reasoning.results.trees import summarize_trees
from hierarchical_reasoning.solvers import Solution, Solver
from hierarchical_reasoning.stopping import Stop, StopCause
from hierarchical_reasoning.versions import versions
from llm_backends import Spent

__all__ = ["Finished", "execute", "open_journal", "results_head", "work"]


@dataclass(frozen=True)
class Finished:
    """A run that came to its end, or was stopped before."""

    head: ResultsHead
    """The results file without its entries."""
    path: Path
    """Of the results file."""
    journal: Path
    first: ResultEntry | None
    """Entry of the results; None where there is none."""
    backend_notes: tuple[str, ...] = ()
    """What the backends did otherwise than asked."""
    is_new: bool = True
    """False: nothing was owed, and `path` is what an earlier session wrote."""
    stopped: StopCause | None = None
    """None unless the run was asked to stop; `head.summary` says whether anything is missing."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Of the notes in the results file, those without which its figures mislead."""
        return cautions_among(self.head.config.get("notes", ()))

    @property
    def results(self) -> ResultsFile:
        """The whole results file, read."""
        return ResultsFile.model_validate_json(self.path.read_bytes())


async def execute(
    run: Run, backends: Backends, journal: RunJournal, observer: Observer, stop: Stop | None = None
) -> Finished:
    """Solve every problem that the journal owes, and write the results file.

    Where nothing is owed and an earlier session wrote these very results, its file stands and no other is written.
    The run stops early when `stop` asks for it, or when more problems end in an error than ``--fail_on_error`` allows:
    what is in flight is finished, and the results that are there are written as partial ones.

    Raises:
        UsageError, BackendError: what ends a run (see :data:`hierarchical_reasoning.fatal.FATAL`).
    """
    stop = stop or Stop()
    await work(run, backends, journal, observer, stop)
    if not journal.owed:
        written = find_results(journal.path.parent, journal.path.stem, journal.entries)
        if written is not None:
            first = next(journal.entries(), None)
            return Finished(written[1], written[0], journal.path, first, backends.notes, is_new=False)
    return _write(run, backends, journal, stop)


async def work(
    run: Run,
    backends: Backends,
    journal: RunJournal,
    observer: Observer,
    stop: Stop,
    *,
    in_flight: asyncio.Semaphore | None = None,
) -> None:
    """Solve every problem that the journal owes, or until `stop` asks to end; raises as `execute`.

    Args:
        in_flight: bounds the problems in flight of several runs together; None: this one is bounded by itself.
    """
    run = replace(run, verifier=run.verifier.judged_by(backends.judge))
    observer.kept(journal.kept())
    solver = run.make_solver(backends, observer)
    working = _Working(run, solver, journal, observer, stop, in_flight)
    try:
        if journal.owed:
            attempts = [(attempt.problem, attempt.sample) for attempt in journal.attempts]
            await solver.begin(attempts, {attempt.key for attempt in journal.owed}, journal.trees)
        await working.all()
    finally:
        await run.verifier.aclose()


class _Working:
    """The problems of a session, side by side."""

    def __init__(
        self,
        run: Run,
        solver: Solver,
        journal: RunJournal,
        observer: Observer,
        stop: Stop,
        in_flight: asyncio.Semaphore | None,
    ) -> None:
        self._run = run
        self._solver = solver
        self._journal = journal
        self._observer = observer
        self._stop = stop
        self._in_flight = in_flight or asyncio.Semaphore(run.config.max_concurrency)
        self._owed = iter(journal.owed)
        self._errors = journal.kept_errors
        limit = run.config.fail_on_error
        self._errors_allowed = None if limit is None else errors_allowed(limit, journal.n)
        self._unfinished: dict[str, Spent] = {}

    async def all(self) -> None:
        """Solve what is owed, until all is done or the run is to stop. An error that ends the run ends every problem in
        flight with it."""
        n_workers = min(self._run.config.max_concurrency, len(self._journal.owed))
        workers = [asyncio.create_task(self._one_after_another()) for _ in range(n_workers)]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            with suppress(OutputError):  # what ended the run is the error to report
                self._end()
            raise
        if workers:
            self._end()

    async def _one_after_another(self) -> None:
        while True:
            async with self._in_flight:
                if self._stop.cause is not None or (due := next(self._owed, None)) is None:
                    return
                await self._one(due)

    async def _one(self, due: Attempt) -> None:
        solution = Solution()
        self._stop.in_flight += 1
        try:
            entry = await _solve(self._run, self._solver, due, solution)
        except BaseException:
            for role, spent in solution.spent.items():
                self._unfinished[role] = self._unfinished.get(role, Spent()) + spent
            raise
        finally:
            self._stop.in_flight -= 1
        if solution.tree is not None and entry.error is None:
            self._journal.trees.append(solution.tree)
        self._journal.append(entry)
        self._observer.finished(entry)
        self._count(entry)

    def _count(self, entry: ResultEntry) -> None:
        self._errors += entry.outcome is Outcome.ERROR
        if self._errors_allowed is not None and self._errors > self._errors_allowed:
            limit, n = self._run.config.fail_on_error, self._journal.n
            self._stop.request(
                StopCause.TOO_MANY_ERRORS,
                f"more errors than --fail_on_error {limit} allows: {self._errors}, and {self._errors_allowed} of {n} "
                f"are allowed; the last is {entry.reason}",
            )

    def _end(self) -> None:
        prices = self._run.prices
        self._journal.end_session(
            {role: RoleUsage.priced(spent, prices.get(role)) for role, spent in self._unfinished.items()}
        )


async def _solve(run: Run, solver: Solver, due: Attempt, solution: Solution) -> ResultEntry:
    memory = MeasuringMemory()
    attempted = await attempt(solver, run.verifier, due.problem, solution, sample=due.sample)
    config = run.config
    return entry_of(
        attempted,
        run.verifier,
        run.prices,
        label_level=config.label_level,
        use_hierarchical=not config.vanilla_baseline,
        memory=memory.so_far(),
    )


def _write(run: Run, backends: Backends, journal: RunJournal, stop: Stop) -> Finished:
    config = run.config
    summary = summarize(
        journal.entries(),
        plan=Plan(journal.n, config.samples, config.seed, run.verifier.ballot),
        superseded=journal.superseded(),
        sessions=journal.sessions,
        stopped=stop.message or None,
        trees=_trees(run, journal),
    )
    head = results_head(
        run,
        summary,
        journal.header,
        {"backends": backends.described(), "notes": [*run.notes, *backends.notes]},
    )
    path = write_results(journal.path.parent, journal.path.stem, head, journal.entries())
    first = next(journal.entries(), None)
    return Finished(head, path, journal.path, first, backends.notes, stopped=stop.cause)


def results_head(
    run: Run, summary: Summary, header: JournalHeader, besides: Mapping[str, object]
) -> ResultsHead:
    """A results file without its entries.

    Args:
        header: of the journal that the entries are from.
        besides: what is to be recorded with the settings.
    """
    config, now = run.config, versions()
    return ResultsHead(
        model_name=config.model_name,
        label_level=config.label_level,
        use_hierarchical_reasoning=not config.vanilla_baseline,
        summary=summary,
        config={
            **resolved(config),
            "fingerprint": header.fingerprint,
            "versions": dict(header.versions),
            **({} if now == dict(header.versions) else {"versions_of_last_session": now}),
            "problems_sha256": run.problems.sha256,
            "answer_format": run.verifier.format,
            **besides,
        },
    )


def _trees(run: Run, journal: RunJournal) -> TreesSummary | None:
    """Of the attempts that are in the results; one that ended in an error has none."""
    if run.config.search is None:
        return None
    return summarize_trees(
        journal.trees.in_order(attempt.key for attempt in journal.attempts),
        ballot=run.verifier.ballot,
        calibrated=run.config.learns_values and run.config.path_reward != "value",
    )
