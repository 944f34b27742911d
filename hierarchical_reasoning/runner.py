"""Many problems, one run: solved side by side, graded, journaled, summed up.

A problem that fails becomes an entry with the outcome ``error``; what no problem could survive (a key refused, a
model gone, a disk full) ends the run. Either way everything finished is in the journal.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

from pydantic import ValidationError

from hierarchical_reasoning.assembly import Run
from hierarchical_reasoning.backends import Backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import JournalError, UsageError
from hierarchical_reasoning.journal import Journal, JournalRecord, fingerprint, read_header
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results import (
    ErrorRecord,
    ResultEntry,
    ResultsFile,
    RoleUsage,
    check_writable,
    find_results,
    results_stem,
    summarize,
    write_results,
)
from hierarchical_reasoning.solvers import Solution, Solver
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.verifiers import Grade, Verifier
from llm_backends import (
    AuthenticationError,
    BackendClosedError,
    BackendError,
    CacheError,
    EngineDiedError,
    ModelNotFoundError,
)

FATAL = (
    UsageError,
    AuthenticationError,
    ModelNotFoundError,
    EngineDiedError,
    BackendClosedError,
    CacheError,
    BrokenPipeError,
)
"""What ends a run: every further problem would end the same way, or nobody reads what is printed any more."""
_PACKAGES = (
    "hierarchical-reasoning",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "networkx",
    "chess",
    "openai",
    "together",
    "anthropic",
)


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    results: ResultsFile
    path: Path
    journal: Path
    backend_notes: tuple[str, ...] = ()
    """What the backends did otherwise than asked."""
    is_new: bool = True
    """False: nothing was owed, and `path` is what an earlier session wrote."""


def open_journal(run: Run, *, resume: bool) -> tuple[Journal, tuple[str, ...]]:
    """The journal to write, and notes on what was found in it.

    With ``resume`` the newest journal of the same settings in ``--cache_dir`` goes on; a new one is begun where there
    is none.

    Raises:
        OutputError: the directory cannot be written.
        JournalError: the journal to go on with is damaged or of another version, or another process writes it.
    """
    config = run.config
    directory = check_writable(config.cache_dir)
    notes: list[str] = []
    if resume:
        found = _newest_of(directory, fingerprint(run.settings), notes)
        if found is not None:
            journal = Journal.resume(found, settings=run.settings)
            try:
                kept, n = len(_kept(run, journal)), len(run.problems.problems)
            except JournalError:
                journal.close()
                raise
            nothing_owed = "; nothing is owed" if kept == n else ""
            notes.append(f"resuming {found}: {kept} of {n} problems are done{nothing_owed}")
            return journal, (*notes, *filter(None, [journal.contents.torn]))
        notes.append(f"--resume: no run with these settings in {directory}; a new one begins")
    stem = results_stem(
        config.model_name,
        level=config.label_level,
        hierarchical=not config.vanilla_baseline,
        now=datetime.now(),
    )
    examples_usage = run.examples_spent.model_dump(mode="json") if run.examples_spent else None
    journal = _create(directory, stem, run.settings, _resolved(config) | {"examples_usage": examples_usage})
    return journal, tuple(notes)


def owed(run: Run, journal: Journal) -> list[Problem]:
    """The problems not yet finished when the journal was opened; those that ended in an error are owed again."""
    kept = _kept(run, journal)
    return [problem for problem in run.problems.problems if problem.id not in kept]


async def execute(run: Run, backends: Backends, journal: Journal, observer: Observer) -> Finished:
    """Solve every problem that the journal does not have yet, and write the results file.

    Where nothing is owed and an earlier session wrote these very results, its file stands and no other is written.

    Raises:
        UsageError, BackendError: what ends a run (see :data:`FATAL`).
    """
    started = time.perf_counter()
    entries = _kept(run, journal)
    if entries:
        observer.kept(tuple(entries.values()))
    solver = run.make_solver(backends, observer)
    slots = asyncio.Semaphore(run.config.max_concurrency)

    async def one(problem: Problem) -> None:
        async with slots:
            entry = await _solve(run, solver, problem)
        journal.append(problem.id, entry.model_dump(mode="json"))
        entries[problem.id] = entry
        observer.finished(entry)

    tasks = [asyncio.create_task(one(problem)) for problem in owed(run, journal)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ordered = tuple(entries[problem.id] for problem in run.problems.problems)
    written = None if tasks else find_results(journal.path.parent, journal.path.stem, ordered)
    if written is not None:
        return Finished(written[1], written[0], journal.path, backends.notes, is_new=False)
    return _write(run, backends, journal, ordered, time.perf_counter() - started)


async def _solve(run: Run, solver: Solver, problem: Problem) -> ResultEntry:
    started = time.perf_counter()
    solution = Solution()
    error: Exception | None = None
    grade: Grade | None = None
    try:
        await solver.solve(problem, solution)
        grade = _grade(run.verifier, problem, solution)
    except FATAL:
        raise
    except Exception as caught:  # noqa: BLE001 - the boundary where a failure becomes data
        error = caught
        if isinstance(caught, BackendError) and caught.role is not None:
            solution.spend(caught.role, caught.spent)
    return _entry(run, problem, solution, grade, error, time.perf_counter() - started)


def _grade(verifier: Verifier, problem: Problem, solution: Solution) -> Grade:
    return verifier.grade(problem, solution.final_response, truncated=solution.truncated)


def _entry(
    run: Run,
    problem: Problem,
    solution: Solution,
    grade: Grade | None,
    error: Exception | None,
    seconds: float,
) -> ResultEntry:
    outcome = grade.outcome if grade else Outcome.ERROR
    return ResultEntry(
        problem_id=problem.id,
        problem=problem.text,
        use_hierarchical=not run.config.vanilla_baseline,
        label_level=run.config.label_level,
        thought_types=tuple(step.thought_type or FINISH for step in solution.steps),
        thoughts=tuple(
            step.thought for step in solution.steps if step.thought or step.thought_type != FINISH
        ),
        final_response=solution.final_response,
        extracted_answer=grade.extracted if grade else None,
        is_correct=outcome.is_correct,
        ground_truth=problem.answer,
        outcome=outcome,
        reason=grade.reason if grade else f"{type(error).__name__}: {error}",
        category=problem.category,
        steps=tuple(solution.steps),
        usage={role: RoleUsage.priced(spent, run.prices.get(role)) for role, spent in solution.spent.items()},
        seconds=seconds,
        error=ErrorRecord(type=type(error).__name__, message=str(error)) if error else None,
        notes=tuple(solution.notes),
    )


def _kept(run: Run, journal: Journal) -> dict[str, ResultEntry]:
    """The entries of this run's problems that need no further call: errors are owed again."""
    wanted = {problem.id for problem in run.problems.problems}
    entries = {record.problem_id: _entry_in(journal, record) for record in journal.contents.latest.values()}
    return {
        key: entry for key, entry in entries.items() if key in wanted and entry.outcome is not Outcome.ERROR
    }


def _entry_in(journal: Journal, record: JournalRecord) -> ResultEntry:
    try:
        return ResultEntry.model_validate(record.entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole of it"
        raise JournalError(
            f"{journal.path}: the entry of problem {record.problem_id!r} is none that this version reads "
            f"({where}: {first['msg']}); resume it with the version that began it, or start a new run without "
            "--resume"
        ) from error


def _write(
    run: Run, backends: Backends, journal: Journal, entries: tuple[ResultEntry, ...], seconds: float
) -> Finished:
    header = journal.contents.header
    examples_usage = header.config.get("examples_usage")
    besides = {"examples": RoleUsage.model_validate(examples_usage)} if examples_usage else None
    versions = _versions()
    results = ResultsFile(
        model_name=run.config.model_name,
        label_level=run.config.label_level,
        use_hierarchical_reasoning=not run.config.vanilla_baseline,
        summary=summarize(
            entries, wall_seconds=seconds, superseded=_superseded(run, journal), besides=besides
        ),
        config={
            **_resolved(run.config),
            "fingerprint": header.fingerprint,
            "versions": dict(header.versions),
            **({} if versions == dict(header.versions) else {"versions_of_last_session": versions}),
            "backends": backends.described(),
            "problems_sha256": run.problems.sha256,
            "answer_format": run.verifier.format,
            "notes": [*run.notes, *backends.notes],
        },
        results=entries,
    )
    path = write_results(journal.path.parent, journal.path.stem, results)
    return Finished(results, path, journal.path, backends.notes)


def _superseded(run: Run, journal: Journal) -> tuple[ResultEntry, ...]:
    """Attempts of earlier sessions that were made again."""
    wanted = {problem.id for problem in run.problems.problems}
    found = [_entry_in(journal, record) for record in journal.contents.records if record.problem_id in wanted]
    latest = {entry.problem_id: entry for entry in found if entry.outcome is not Outcome.ERROR}
    return tuple(entry for entry in found if latest.get(entry.problem_id) is not entry)


def _create(
    directory: Path, stem: str, settings: Mapping[str, object], config: Mapping[str, object]
) -> Journal:
    counter = 0
    while True:
        path = directory / (f"{stem}_{counter}.jsonl" if counter else f"{stem}.jsonl")
        try:
            return Journal.create(path, settings=settings, config=config, versions=_versions())
        except FileExistsError:
            counter += 1


def _newest_of(directory: Path, wanted: str, notes: list[str]) -> Path | None:
    """The newest journal with this fingerprint; `notes` says which others were passed over.

    Headers alone are read: a journal of this run that is damaged further down is found, and opening it is the error.
    """
    others = []
    found = None
    for path in sorted(directory.glob("results_*.jsonl"), key=lambda p: p.stat().st_mtime, reverse=True):
        try:
            header = read_header(path)
        except JournalError as error:
            notes.append(f"--resume: passed over {path.name}: {error}")
            continue
        if header.fingerprint == wanted:
            found = path
            break
        others.append(path.name)
    if others:
        notes.append(
            f"--resume: passed over journals of other settings: {len(others)}, the newest is {others[0]}"
        )
    return found


def _resolved(config: RunConfig) -> dict[str, object]:
    """The configuration as it is recorded: with what was taken where nothing was said."""
    return config.model_dump(mode="json") | {
        "llm_framework": config.framework,
        "num_icl_examples": config.n_examples,
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions | {"commit": _commit()}


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
