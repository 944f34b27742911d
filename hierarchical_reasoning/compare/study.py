"""What a study found, read back: its arms, their entries, and tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchical_reasoning.compare.layout import StudyFiles
from hierarchical_reasoning.compare.plan import (
    StudyPlan,
    StudyProblem,
    read_plan,
    read_record,
    read_study_problems,
)
from hierarchical_reasoning.compare.record import ArmInfo, StudyRecord
from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.results.reader.run_files import open_run
from hierarchical_reasoning.results.records import ResultEntry

if TYPE_CHECKING:
    import pandas as pd

    from hierarchical_reasoning.compare.report import ReportedStudy


@dataclass(frozen=True)
class Study:
    """A study that was merged."""

    directory: Path
    plan: StudyPlan
    problems: tuple[StudyProblem, ...]
    """In the order in which every arm took them."""
    record: StudyRecord

    @property
    def files(self) -> StudyFiles:
        """Where its files are."""
        return StudyFiles(self.directory)

    @property
    def arms(self) -> tuple[ArmInfo, ...]:
        """In order, twins behind those that were asked for."""
        return self.record.arms

    def entries(self, arm: str) -> Iterator[ResultEntry]:
        """Of an arm, one a problem and sample, in the order of the problems; none is held. Of an arm that chooses
        among samples, the choices.

        Raises:
            ConfigError: there is no such arm.
            ResultsFileError: its results cannot be read.
        """
        if arm not in {one.name for one in self.arms}:
            names = ", ".join(one.name for one in self.arms)
            raise ConfigError(f"{arm!r} is no arm of the study; there are {names}")
        path = self.files.results(arm)
        return open_run(path).entries() if path.exists() else iter(())

    def samples(self) -> pd.DataFrame:
        """A row an entry of each arm; columns as `results.reader` has them, and the arm's before them."""
        return self._frame(steps=False)

    def steps(self) -> pd.DataFrame:
        """A row a step of each arm that takes steps."""
        return self._frame(steps=True)

    def usage(self) -> pd.DataFrame:
        """A row an arm: accuracy, tokens and cost a problem, with their intervals."""
        from hierarchical_reasoning.compare.frames import usage_frame

        return usage_frame(self.record)

    def comparisons(self) -> pd.DataFrame:
        """A row a comparison: difference, interval, test, n and p-values."""
        from hierarchical_reasoning.compare.frames import comparisons_frame

        return comparisons_frame(self.record)

    def reported(self) -> ReportedStudy:
        """What its report is made from."""
        from hierarchical_reasoning.compare.reported import reported

        return reported(self)

    def _frame(self, *, steps: bool) -> Any:
        from hierarchical_reasoning.compare.frames import entries_frame

        return entries_frame(self, steps=steps)


def open_study(directory: Path | str) -> Study:
    """A study that was merged; reading it needs no model.

    Raises:
        ConfigError: there is none, or it was not merged yet.
        JournalError: its files are none that this version reads.
    """
    files = StudyFiles(Path(directory))
    plan, problems = read_plan(files), read_study_problems(files)
    record = read_record(files.comparison, StudyRecord)
    if record is None:
        raise ConfigError(
            f"{files.directory} was not merged yet; hierarchical-reasoning compare --output {files.directory} --merge "
            "does"
        )
    return Study(files.directory, plan, problems.problems, record)
