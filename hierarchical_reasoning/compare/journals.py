"""What the journals of an arm hold together: each shard appends to its own, and all are read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from hierarchical_reasoning.assembly import Run
from hierarchical_reasoning.compare.layout import Shard, StudyFiles
from hierarchical_reasoning.errors import JournalError, ResumeError
from hierarchical_reasoning.journal.file import (
    Journal,
    JournalContents,
    JournalHeader,
    Place,
    differences,
    fingerprint,
    read_journal,
)
from hierarchical_reasoning.journal.lines import as_json, parsed
from hierarchical_reasoning.journal.of_run import RunJournal, resolved
from hierarchical_reasoning.journal.trees import trees_of
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.results.records import ResultEntry, RoleUsage
from hierarchical_reasoning.results.summary import Sessions
from hierarchical_reasoning.trees.file import TreeFile
from hierarchical_reasoning.trees.tree import ReasoningTree
from hierarchical_reasoning.versions import versions

Key = tuple[str, int]
"""A problem's id, and the sample."""


class ArmJournals:
    """The journals of an arm, as they are found; other processes may be writing them."""

    def __init__(self, files: StudyFiles, name: str, run: Run | None = None) -> None:
        """
        Args:
            name: of the arm.
            run: that the journals must be of; None: any.

        Raises:
            JournalError: a journal is damaged.
            ResumeError: one was begun with other settings.
        """
        self._contents = {path: read_journal(path) for path in files.journals(name) if has_header(path)}
        if run is not None:
            for path, contents in self._contents.items():
                _check_settings(path, contents.header, run)
        self._placed: dict[Key, tuple[Path, Place, Outcome]] = {}
        self._superseded: list[tuple[Path, Place]] = []
        for path, contents in self._contents.items():
            for place, outcome in _outcomes(path, contents):
                self._note(path, place, outcome)

    def _note(self, path: Path, place: Place, outcome: Outcome) -> None:
        """Of several attempts at the same the last one counts, but none that failed counts beside one that did not."""
        known = self._placed.get(place.key)
        if known is not None and outcome is Outcome.ERROR and known[2] is not Outcome.ERROR:
            self._superseded.append((path, place))
            return
        if known is not None:
            self._superseded.append(known[:2])
        self._placed[place.key] = (path, place, outcome)

    @cached_property
    def outcomes(self) -> Mapping[Key, Outcome]:
        """How every attempt that was made ended."""
        return {key: outcome for key, (_, _, outcome) in self._placed.items()}

    @property
    def header(self) -> JournalHeader | None:
        """Of the first journal; None where there is none."""
        return next((contents.header for contents in self._contents.values()), None)

    def finished(self, *, besides: Path, again: Collection[Outcome]) -> set[Key]:
        """Of the attempts in the other journals, those that need not be made again because of how they ended."""
        return {
            key
            for key, (path, _, outcome) in self._placed.items()
            if path != besides and outcome not in again
        }

    @property
    def sessions(self) -> Sessions:
        """What all sessions took; those of several shards overlap."""
        examples = [contents.header.config.get("examples_usage") for contents in self._contents.values()]
        known = [RoleUsage.model_validate(usage) for usage in examples if usage]
        return Sessions(
            wall_seconds=sum(sum(contents.sessions.values()) for contents in self._contents.values()),
            n=sum(len(contents.sessions) for contents in self._contents.values()),
            unfinished=[
                {role: RoleUsage.model_validate(used) for role, used in usage.items()}
                for contents in self._contents.values()
                for usage in contents.unfinished
            ],
            besides={"examples": known[0]} if known else {},
        )

    def entry(self, key: Key) -> ResultEntry | None:
        """The one of a problem and sample; None where that is owed."""
        placed = self._placed.get(key)
        return None if placed is None else self._read(*placed[:2])

    def superseded(self, wanted: Collection[Key]) -> Iterator[ResultEntry]:
        """Attempts at these that were made again since."""
        return (self._read(path, place) for path, place in self._superseded if place.key in wanted)

    def trees(self, wanted: Iterable[Key]) -> Iterator[ReasoningTree]:
        """Those that searches grew, as far as there are any, in this order."""
        places: dict[Key, tuple[TreeFile, tuple[int, int]]] = {}
        for journal in self._contents:
            path = trees_of(journal)
            if path.exists() and path.stat().st_size:
                file = TreeFile(path)
                for placed in file:
                    places[placed.tree.problem_id, placed.tree.sample or 0] = (
                        file,
                        (placed.line, placed.start),
                    )
        for key in wanted:
            if key in places and self.outcomes.get(key) not in (None, Outcome.ERROR):
                file, place = places[key]
                yield from file.in_order([place])

    def _read(self, path: Path, place: Place) -> ResultEntry:
        (record,) = self._contents[path].read([place])
        try:
            return ResultEntry.model_validate(record.entry)
        except ValidationError as error:
            raise JournalError(
                f"{path}: the entry of problem {record.problem_id!r} is none that this version reads; go on with the "
                "version that wrote it"
            ) from error


def open_journal_of_shard(
    files: StudyFiles, name: str, run: Run, shard: Shard, part: Collection[Key]
) -> RunJournal:
    """The journal that a shard writes for an arm; the caller has the shard to itself.

    Args:
        part: problem id and sample of the attempts that are the shard's to make, and are made nowhere else.

    Raises:
        JournalError, ResumeError: as `Journal.resume`.
        OutputError: it cannot be written.
    """
    path = files.journal(name, shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not has_header(path):
        path.unlink()  # a kill came before the first line was whole
    if path.exists():
        journal = Journal.resume(path, settings=run.settings)
    else:
        usage = run.examples_spent.model_dump(mode="json") if run.examples_spent else None
        config = resolved(run.config) | {"examples_usage": usage}
        journal = Journal.create(path, settings=run.settings, config=config, versions=versions())
    try:
        return RunJournal(run, journal, part=part)
    except BaseException:
        journal.close()
        raise


def has_header(path: Path) -> bool:
    """Whether the first line is whole."""
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")


def _outcomes(path: Path, contents: JournalContents) -> Iterator[tuple[Place, Outcome]]:
    """How each attempt ended, without its entry being checked."""
    with path.open("rb") as file:
        for place in contents.places:
            file.seek(place.offset)
            line = parsed(file.read(place.length)[:-1])
            outcome = None if line is None else line["entry"].get("outcome")
            if outcome not in list(Outcome):
                raise JournalError(
                    f"{path}: the entry of problem {place.problem_id!r} has the outcome {outcome!r}, which this "
                    "version does not know; go on with the version that wrote it"
                )
            yield place, Outcome(outcome)


def _check_settings(path: Path, header: JournalHeader, run: Run) -> None:
    if header.fingerprint == fingerprint(run.settings):
        return
    changed = "; ".join(differences(header.settings, json.loads(as_json(run.settings))))
    raise ResumeError(
        f"{path} was begun with other settings: {changed}; restore what was changed, or begin another study with "
        "another --output"
    )
