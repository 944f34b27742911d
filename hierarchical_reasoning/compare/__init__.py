"""Comparison studies: arms over the same problems, their statistics, and a report.

- `plan`, `arms`, `beginning`, `study_yaml`: what a study is, and how one is begun
- `work`, `journals`, `models`, `matching`: doing it, or a shard of it
- `merging`, `voting`, `record`, `summary`: what it found
- `processes`, `status`: several processes, and how far they are
- `study`, `frames`, `reported`: reading it back
- `statistics/`, `report/`, `launch/`: packages of their own

What is here is imported when it is asked for, so that the package costs nothing to import.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hierarchical_reasoning.compare.matching import rounds
    from hierarchical_reasoning.compare.study import Study, open_study

__all__ = ["Study", "compare", "open_study", "rounds"]

_FROM = {"Study": "study", "open_study": "study", "rounds": "matching"}


async def compare(
    directory: Path | str,
    arms: Sequence[str | Mapping[str, Any]] = (),
    *,
    matched: bool | None = None,
    processes: int = 1,
    report: bool = False,
    **settings: Any,
) -> Study:
    """Begin a study or go on with one, do what is owed, and read what it found.

    Args:
        directory: of the study.
        arms: names as ``--arms`` takes them, and mappings with `name` and settings; those it has need not be named.
        matched: whether every arm gets a vanilla majority vote that takes as much; None: as before, at first yes.
        processes: that share the work; 1: this one does it.
        report: whether to write the report too.
        settings: of `RunConfig`, for all arms.

    Raises:
        UsageError, TaxonomyError, BackendError: as the command line tells them.
        ProcessFailedError: one of several processes failed.
    """
    from hierarchical_reasoning.compare.beginning import Asked, begin
    from hierarchical_reasoning.compare.layout import StudyFiles
    from hierarchical_reasoning.compare.merging import merge, write_report
    from hierarchical_reasoning.compare.processes import run_processes
    from hierarchical_reasoning.compare.study import open_study
    from hierarchical_reasoning.compare.work import run_shard
    from hierarchical_reasoning.stopping import Stop

    directory = Path(directory)
    begin(StudyFiles(directory), Asked(arms=arms, settings=settings, matched=matched))
    if processes == 1:
        await run_shard(directory)
    else:
        await run_processes(directory, processes, Stop())
    merge(directory)
    if report:
        write_report(directory)
    return open_study(directory)


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
