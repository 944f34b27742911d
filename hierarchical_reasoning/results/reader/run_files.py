"""What runs found, read back: results files, and the journals of runs that are not finished.

A file is read entry by entry, however large it is, and nothing but the entry at hand is held. Every entry is checked
against what this version writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hierarchical_reasoning.errors import ResultsFileError
from hierarchical_reasoning.journal.file import read_header, read_journal
from hierarchical_reasoning.results.reader.json_stream import JsonScanner, JsonStreamError, TruncatedJsonError
from hierarchical_reasoning.results.records import ResultEntry, TreesSummary
from hierarchical_reasoning.results.sampling import SamplingSummary

ENTRIES = "results"
"""The key of the entries, the last one of a results file."""


class _Facts(BaseModel):
    """Other versions may record more than is asked for here, or in another shape."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class RecordedSummary(_Facts):
    """What a finished run says of itself that its entries do not."""

    cost_usd: float | None = None
    """Of all calls that were made, earlier attempts included; None where a price is not known."""
    sampling: SamplingSummary | None = None
    """None where each problem was attempted once."""
    trees: TreesSummary | None = None
    """None where nothing was searched, and in files of earlier versions."""


class RecordedSettings(_Facts):
    """How a run was told to do what it did; what is not named here is kept as it was recorded."""

    model_config = ConfigDict(extra="allow")

    seed: int = 0
    answer_format: str | None = None
    """None in journals of earlier versions, which do not say."""

    @property
    def recorded(self) -> Mapping[str, Any]:
        """All settings, by name."""
        return {**(self.model_extra or {}), "seed": self.seed, "answer_format": self.answer_format}


class RunFacts(_Facts):
    """What a file says of its run, besides the entries."""

    model_name: str
    label_level: int
    use_hierarchical_reasoning: bool
    config: RecordedSettings = RecordedSettings()
    summary: RecordedSummary | None = None
    """None for a journal, whose run may not be finished."""


class RunFile(ABC):
    """The record of one run, on disk."""

    def __init__(self, path: Path, facts: RunFacts, notes: tuple[str, ...] = ()) -> None:
        self.path = path
        self.facts = facts
        self.notes = notes
        """What the user should know of how the file is read."""

    @abstractmethod
    def entries(self) -> Iterator[ResultEntry]:
        """One entry for each problem and sample, as it ended; each call reads the file anew.

        Raises:
            ResultsFileError, JournalError: at the first entry that is damaged, saying which.
        """


def open_run(path: str | Path) -> RunFile:
    """The facts of a file, and its entries for the asking.

    Args:
        path: `results_*.json`, or the journal of a run, which ends in `.jsonl`.

    Raises:
        ResultsFileError, JournalError: the file is missing, or is neither.
    """
    path = Path(path)
    return JournalOfRun(path) if path.suffix == ".jsonl" else ResultsOfRun(path)


class ResultsOfRun(RunFile):
    """A results file."""

    def __init__(self, path: Path) -> None:
        with _scanning(path) as scanner:
            facts = _facts(path, _head(path, scanner))
        super().__init__(path, facts)

    def entries(self) -> Iterator[ResultEntry]:
        number = 0
        with _scanning(self.path) as scanner:
            _head(self.path, scanner)
            try:
                for number, entry in enumerate(scanner.items(), start=1):
                    yield _entry(f"{self.path}, result {number}", entry)
                scanner.expect("}")
                scanner.expect("")
            except TruncatedJsonError as error:
                raise ResultsFileError(
                    f"{self.path} is cut off after {number} whole results ({error}); the journal of the run, if it "
                    "is still there, has all that were finished"
                ) from error


class JournalOfRun(RunFile):
    """The journal of a run, finished or not."""

    def __init__(self, path: Path) -> None:
        header = read_header(path)
        config = header.config
        recorded = {**config, "answer_format": header.settings.get("answer_format")}
        vanilla = config.get("vanilla_baseline")
        mode = {} if vanilla is None else {"use_hierarchical_reasoning": not vanilla}
        super().__init__(path, _facts(path, {**config, **mode, "config": recorded}))

    def entries(self) -> Iterator[ResultEntry]:
        contents = read_journal(self.path)
        for record in contents.read(contents.latest.values()):
            yield _entry(f"{self.path}, problem {record.problem_id!r}", record.entry)


@contextmanager
def _scanning(path: Path) -> Iterator[JsonScanner]:
    try:
        with path.open("rb") as file:
            yield JsonScanner(file)
    except JsonStreamError as error:
        raise ResultsFileError(f"{path} is no results file of a run: {error}") from error
    except OSError as error:
        raise ResultsFileError(f"{path} cannot be read ({error.strerror})") from error


def _head(path: Path, scanner: JsonScanner) -> Mapping[str, Any]:
    """What stands before the entries, which come next."""
    head: dict[str, Any] = {}
    for key in scanner.keys():  # noqa: SIM118 - no dictionary
        if key == ENTRIES:
            return head
        value = scanner.value()
        if key in RunFacts.model_fields:
            head[key] = value
    raise ResultsFileError(f"{path} is no results file of a run: the object has no {ENTRIES!r}")


def _facts(path: Path, head: Mapping[str, Any]) -> RunFacts:
    try:
        return RunFacts.model_validate(head)
    except ValidationError as error:
        raise ResultsFileError(f"{path} is no record of a run: {_first(error)}") from error


def _entry(where: str, entry: object) -> ResultEntry:
    try:
        return ResultEntry.model_validate(entry)
    except ValidationError as error:
        raise ResultsFileError(f"{where}: none that this version reads ({_first(error)})") from error


def _first(error: ValidationError) -> str:
    """The first of the things that are wrong."""
    first = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole of it'}: {first['msg']}"
