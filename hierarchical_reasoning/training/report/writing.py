"""Reading a log and writing its report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hierarchical_reasoning.errors import OutputError
from hierarchical_reasoning.training.report.contents import Contents, contents_of
from hierarchical_reasoning.training.report.page import report_page
from hierarchical_reasoning.training.report.png import (
    MATPLOTLIB_MISSING,
    curves_png,
    matplotlib_is_there,
    reliability_png,
    transitions_png,
    usage_png,
)
from hierarchical_reasoning.training.report.reading import read_log, read_settings
from taxonomy.atomic import write_atomically

PAGE_NAME = "index.html"


@dataclass(frozen=True)
class Report:
    """What was written."""

    html: Path
    pngs: tuple[Path, ...]
    notes: tuple[str, ...]
    """What was left out of it, or is drawn otherwise than it stands in the log."""


def write_report(output_dir: Path, *, target: Path | None = None, pngs: bool = True) -> Report:
    """Write the page and a PNG of each figure; either is the old one or the new one, never something between.

    Args:
        output_dir: of a training run: its log.jsonl, and settings.json where it is there.
        target: the directory to write to; None: `report` in `output_dir`.
        pngs: whether to write the PNG files too, which takes seconds where the page takes a moment. Those of an earlier
            report stay as they are.

    Raises:
        ResultsFileError: the log is missing, empty or malformed, or the settings are no JSON object.
        OutputError: a file cannot be written.
    """
    target = output_dir / "report" if target is None else target
    log = read_log(output_dir)
    settings = read_settings(output_dir)
    contents = contents_of(log)
    page = report_page(contents, title=output_dir.resolve().name, settings=settings)
    _write(target / PAGE_NAME, page)
    drawn = pngs and matplotlib_is_there()
    written = []
    if drawn:
        for name, picture in _pictures(contents):
            written.append(target / f"{name}.png")
            _write(written[-1], picture)
    missing = (MATPLOTLIB_MISSING,) if pngs and not drawn else ()
    return Report(target / PAGE_NAME, tuple(written), (*contents.notes, *missing))


def _pictures(contents: Contents) -> Iterator[tuple[str, bytes]]:
    for figure in contents.curve_figures:
        yield figure.key, curves_png(figure, contents.span)
    if contents.reliabilities:
        yield "reliability", reliability_png(contents.reliabilities)
    if contents.usage is not None:
        yield "thought_types", usage_png(contents.usage, contents.colour_of, contents.span)
    for tables in contents.transitions:
        yield f"transitions_{tables.mode}", transitions_png(tables)


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; make room, or choose another --output"
        ) from error
