"""What a run has of its problems and what it owes: the journal in the words of problems, samples and entries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hierarchical_reasoning.assembly import Run
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.errors import JournalError
from hierarchical_reasoning.journal.file import (
    Journal,
    JournalHeader,
    JournalRecord,
    Place,
    differences,
    fingerprint,
    read_header,
)
from hierarchical_reasoning.journal.trees import SUFFIX as TREES_SUFFIX
from hierarchical_reasoning.journal.trees import RunTrees
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.file import check_writable, results_stem
from hierarchical_reasoning.results.records import ResultEntry, RoleUsage
from hierarchical_reasoning.results.summary import Sessions
from hierarchical_reasoning.versions import versions
from hierarchical_reasoning.wording import counted

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

MOST_DIFFERENCES = 5
"""Shown of a journal that was passed over."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A problem to be solved, once."""

    problem: Problem
    sample: int

    @property
    def key(self) -> tuple[str, int]:
        """What its record is found by."""
        return self.problem.id, self.sample


class RunJournal:
    """The journal of one run, being written. A context manager."""

    def __init__(
        self, run: Run, journal: Journal, *, part: Collection[tuple[str, int]] | None = None
    ) -> None:
        """
        Args:
            part: problem id and sample of the attempts of the run that this journal is for; None: all of them.

        Raises:
            JournalError: an entry is none that this version reads.
        """
        self.path = journal.path
        self.header = journal.contents.header
        self._journal = journal
        self._places = list(journal.contents.places)
        self._latest = journal.contents.latest
        self._unfinished: list[Mapping[str, RoleUsage]] = [
            _usage_in(usage) for usage in journal.contents.unfinished
        ]
        self._attempts = tuple(
            Attempt(problem, sample)
            for problem in run.problems.problems
            for sample in range(run.config.samples)
            if part is None or (problem.id, sample) in part
        )
        again = (Outcome.ERROR,) if run.config.retry_errors else ()
        self._kept = {
            attempt.key: entry.outcome
            for attempt in self._attempts
            if (entry := self._entry(attempt)) is not None and entry.outcome not in again
        }
        self.owed: tuple[Attempt, ...] = tuple(a for a in self._attempts if a.key not in self._kept)
        """In the order of the problems: not finished when the journal was opened, or, unless told otherwise, ended in
        an error."""

        self.trees = RunTrees(self.path, self._kept.keys())
        """Of searches, one for each attempt that is finished."""

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Of the whole run, or of its part, in the order of the problems."""
        return self._attempts

    @property
    def n(self) -> int:
        """Attempts of the whole run, or of its part."""
        return len(self._attempts)

    @property
    def kept_errors(self) -> int:
        """Attempts that ended in an error before and are not made again."""
        return sum(outcome is Outcome.ERROR for outcome in self._kept.values())

    @property
    def sessions(self) -> Sessions:
        """What all sessions took, this one included if it had anything to do."""
        examples_usage = self.header.config.get("examples_usage")
        before = self._journal.contents.sessions
        return Sessions(
            wall_seconds=self._journal.seconds if self.owed else sum(before.values()),
            n=len({*before, self._journal.session} if self.owed else before),
            unfinished=tuple(self._unfinished),
            besides={"examples": RoleUsage.model_validate(examples_usage)} if examples_usage else {},
        )

    def kept(self) -> Iterator[ResultEntry]:
        """What was finished before and is not asked again, in the order of the problems."""
        return (entry for a in self._attempts if a.key in self._kept if (entry := self._entry(a)) is not None)

    def entries(self) -> Iterator[ResultEntry]:
        """The last entry of every problem and sample that has one, in the order of the problems."""
        return (entry for attempt in self._attempts if (entry := self._entry(attempt)) is not None)

    def superseded(self) -> Iterator[ResultEntry]:
        """Attempts that were made again since."""
        wanted = {attempt.key for attempt in self._attempts}
        for place in self._places:
            if place.key in wanted and self._latest[place.key] is not place:
                yield self._read(place)

    def append(self, entry: ResultEntry) -> None:
        """Record what became of an attempt; raises as `Journal.append`."""
        dump = entry.model_dump(mode="json")
        place = self._journal.append(entry.problem_id, dump, sample=entry.sample)
        self._places.append(place)
        self._latest[place.key] = place

    def end_session(self, unfinished: Mapping[str, RoleUsage]) -> None:
        """Record that the session is over, and what it spent on attempts that it leaves unfinished."""
        self._unfinished.append(unfinished)
        self._journal.end_session({role: used.model_dump(mode="json") for role, used in unfinished.items()})

    def close(self) -> None:
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _entry(self, attempt: Attempt) -> ResultEntry | None:
        place = self._latest.get(attempt.key)
        return None if place is None else self._read(place)

    def _read(self, place: Place) -> ResultEntry:
        record = self._journal.read(place)
        try:
            return ResultEntry.model_validate(record.entry)
        except ValidationError as error:
            raise _other_version(self.path, record, error) from error


def open_journal(run: Run, *, resume: bool | Path) -> tuple[RunJournal, tuple[str, ...]]:
    """The journal to write, and notes on what was found in it.

    Args:
        run: whose problems are solved.
        resume: go on with the newest journal of the same settings in ``--cache_dir``, or begin one where there is none;
            a path names the journal to go on with.

    Raises:
        OutputError: the directory cannot be written.
        JournalError: the journal to go on with is damaged or of another version, or another process writes it; one
            that is named is missing, or was started with other settings.
    """
    config = run.config
    directory = check_writable(config.cache_dir)
    headers, notes = _headers(directory)
    if resume:
        found = resume if isinstance(resume, Path) else _newest_of(run, headers, notes)
        if found is not None:
            return _resumed(run, found, notes)
        notes.append(f"--resume: no run with these settings in {directory}; a new one begins")
    stem = results_stem(
        config.model_name,
        level=config.label_level,
        hierarchical=not config.vanilla_baseline,
        now=datetime.now(),
    )
    order = max((header.order for header in headers.values()), default=0) + 1
    return RunJournal(run, _create(run, directory, stem, order)), tuple(notes if resume else ())


def resolved(config: RunConfig) -> dict[str, object]:
    """The configuration as it is recorded: with what was taken where nothing was said."""
    return config.model_dump(mode="json") | {
        "llm_framework": config.framework,
        "num_icl_examples": config.n_examples,
    }


def _resumed(run: Run, path: Path, notes: Sequence[str]) -> tuple[RunJournal, tuple[str, ...]]:
    journal = Journal.resume(path, settings=run.settings)
    try:
        found = RunJournal(run, journal)
    except BaseException:
        journal.close()
        raise
    noun = "problem" if run.config.samples == 1 else "sample"
    nothing_owed = "" if found.owed else "; nothing is owed"
    done = f"{found.n - len(found.owed)} of {counted(found.n, noun)} {'is' if found.n == 1 else 'are'} done"
    return found, (*notes, f"resuming {path}: {done}{nothing_owed}", *filter(None, [journal.contents.torn]))


def _create(run: Run, directory: Path, stem: str, order: int) -> Journal:
    examples_usage = run.examples_spent.model_dump(mode="json") if run.examples_spent else None
    config = resolved(run.config) | {"examples_usage": examples_usage}
    counter = 0
    while True:
        path = directory / (f"{stem}_{counter}.jsonl" if counter else f"{stem}.jsonl")
        try:
            return Journal.create(
                path, settings=run.settings, config=config, versions=versions(), order=order
            )
        except FileExistsError:
            counter += 1


def _headers(directory: Path) -> tuple[dict[Path, JournalHeader], list[str]]:
    """Of all journals, newest first; and which files have none.

    Headers alone are read: a journal that is damaged further down is found, and opening it is the error. They are
    ordered by what is in them, since clocks and times of files go back.
    """
    headers, notes = {}, []
    paths = (path for path in directory.glob("results_*.jsonl") if not path.stem.endswith(TREES_SUFFIX))
    for path in sorted(paths):
        try:
            headers[path] = read_header(path)
        except JournalError as error:
            notes.append(f"--resume: passed over {path.name}: {error}")
    ordered = sorted(headers.items(), key=lambda item: (item[1].order, item[1].created), reverse=True)
    return dict(ordered), notes


def _newest_of(run: Run, headers: Mapping[Path, JournalHeader], notes: list[str]) -> Path | None:
    """The newest journal with the settings of this run; `notes` says which newer ones were passed over, and how the one
    among them that is most alike differs."""
    wanted = fingerprint(run.settings)
    found = next((path for path, header in headers.items() if header.fingerprint == wanted), None)
    others: dict[Path, list[str]] = {}
    for path, header in headers.items():
        if path == found:
            break
        others[path] = differences(header.settings, run.settings)
    if others:
        nearest = min(others, key=lambda path: len(others[path]))
        shown, more = others[nearest][:MOST_DIFFERENCES], len(others[nearest]) - MOST_DIFFERENCES
        notes.append(
            f"--resume: not resumed, as settings differ: {counted(len(others), 'journal')}; the most alike, "
            f"{nearest.name}, has {'; '.join(shown)}{f'; and {more} more' if more > 0 else ''}"
        )
    return found


def _usage_in(usage: Mapping[str, object]) -> dict[str, RoleUsage]:
    return {role: RoleUsage.model_validate(used) for role, used in usage.items()}


def _other_version(path: Path, record: JournalRecord, error: ValidationError) -> JournalError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the whole of it"
    return JournalError(
        f"{path}: the entry of problem {record.problem_id!r} is none that this version reads "
        f"({where}: {first['msg']}); resume it with the version that began it, or start a new run without --resume"
    )
